"""A connection of psycopg that watches its socket once, not anew for each wait.

psycopg registers its socket with the event loop before each wait and takes it away afterwards. Under uvloop that is
nine system calls for each round trip, more than the round trip itself (decision 0011). Here the socket stays registered
while the connection is in use; what psycopg does with it is psycopg's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

_READ, _WRITE = 1, 2  # psycopg.waiting.Wait and Ready have the same numbers
_IDLE_WAKES = 4
_CANCEL_SECONDS = 5.0

_CHANGED: Final = "troth:row "

Value = TypeVar("Value")


class WatchedConnection(psycopg.AsyncConnection[Any]):
    """Waits for the server with one registration of its socket. Belongs to one event loop.

    Attributes:
        changed: What triggers said was changed in this transaction, in order, each once: table, key of the row, and
            `-` or, of a row that is no more, the turn that it ends with. Said as notices, which cost no round trip.
        at_end: Is called before the commit where anything stands in `changed`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.changed: dict[str, None] = {}
        self.at_end: Callable[[WatchedConnection], Awaitable[None]] | None = None
        self.add_notice_handler(self._heard)
        self._loop: asyncio.AbstractEventLoop | None = None  # while the socket is registered with it
        self._watched = -1
        self._waiter: asyncio.Future[int] | None = None
        self._idle_wakes = 0

    async def wait(self, gen: PQGen[Value], interval: float = 0.1, timeout: float | None = None) -> Value:
        """Run what psycopg does on the connection, waiting where it says so.

        Args:
            gen: psycopg's own steps.
            interval: Of psycopg's own way of waiting; asyncio tells of interruptions by itself.
            timeout: Seconds; with one, psycopg waits in its own way.
        """
        if timeout is not None:
            self._let_go()
            return await super().wait(gen, interval, timeout)
        try:
            state = next(gen)
            while True:
                state = gen.send(await self._until(state))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            self._let_go()
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                await self._stop(gen)
            raise
        except BaseException:
            self._let_go()  # libpq may have closed the socket
            raise

    def begins(self, at_end: Callable[[WatchedConnection], Awaitable[None]] | None) -> None:
        """A new transaction: nothing was changed in it yet.

        Args:
            at_end: Is called before the commit.
        """
        self.changed.clear()
        self.at_end = at_end

    def _heard(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        text = diagnostic.message_primary or ""
        if text.startswith(_CHANGED):
            self.changed[text.removeprefix(_CHANGED)] = None

    async def close(self) -> None:
        """Close the connection."""
        self._let_go()
        await super().close()

    async def _stop(self, gen: PQGen[Any]) -> None:
        """Tell the server to stop what nobody waits for any more, so that the connection can be used again."""
        try:
            await self.cancel_safe(timeout=_CANCEL_SECONDS)
            await super().wait(gen, timeout=_CANCEL_SECONDS)
        except psycopg.errors.QueryCanceled:
            return  # as it should
        except BaseException:
            self.pgconn.finish()  # in an unknown state; the pool makes another one
            raise

    async def _until(self, state: int) -> int:
        """Wait until the socket can be read or written, as asked.

        Returns:
            What it can.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[int] = loop.create_future()
        self._waiter = waiter
        if self._loop is None:
            self._loop, self._watched = loop, self.pgconn.socket
            loop.add_reader(self._watched, self._readable)
        if state & _WRITE:
            loop.add_writer(self._watched, self._writable)
        try:
            return await waiter
        finally:
            self._waiter, self._idle_wakes = None, 0
            if state & _WRITE and self._loop is not None:
                loop.remove_writer(self._watched)

    def _readable(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(_READ)
            return
        self._idle_wakes += 1  # the task that was woken has its turn soon; else nobody asked for what came
        if self._idle_wakes > _IDLE_WAKES:
            self._let_go()

    def _writable(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(_WRITE)

    def _let_go(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_writer(self._watched)
            loop.remove_reader(self._watched)
        self._idle_wakes = 0
