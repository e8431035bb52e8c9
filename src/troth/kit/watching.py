"""A connection of psycopg that watches its socket once, not anew for each wait.

psycopg registers its socket with the event loop before each wait and takes it away afterwards. Under uvloop that is
nine system calls for each round trip, more than the round trip itself (decision 0011). Here the socket stays registered
while the connection is in use; what psycopg does with it is psycopg's own.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

_READ, _WRITE = 1, 2  # psycopg.waiting.Wait and Ready have the same numbers
_IDLE_WAKES = 4
_CANCEL_SECONDS = 5.0

Value = TypeVar("Value")


class WatchedConnection(psycopg.AsyncConnection[Any]):
    """Waits for the server with one registration of its socket. Belongs to one event loop."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
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
