"""One SQL function as a transaction of its own: one message there, one back.

A transaction through a pool takes four round trips and ten times the work in this process (decision 0011). Where all
that is to be written goes into one function, libpq is driven directly: the statement is prepared once on each
connection, its parameters are text, and the answer is one value.

The tenant is set in the same statement, for the length of its transaction. Were it ever not, row-level security would
see no tenant and refuse every row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import LiteralString

import psycopg
from psycopg import errors, pq

_MOST = 8  # at once; more wait for their turn
_MOST_IDLE = 4

_DURABLE: LiteralString = "set_config('app.tenant', $1, true), "
_QUICK: LiteralString = _DURABLE + "set_config('synchronous_commit', 'off', true), "

Parameter = bytes | None


class Calls:
    """Connections of one event loop for such calls; as many as there are calls at once.

    Args:
        dsn: libpq connection string.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._idle: list[_Lane] = []
        self._turns = asyncio.Semaphore(_MOST)

    async def call(
        self, tenant: str, function: LiteralString, parameters: Sequence[Parameter], *, is_durable: bool = True
    ) -> bytes | None:
        """Call a function; what it did is committed on return, and undone when this raises.

        Args:
            tenant: Whose space; empty for the platform.
            function: The call as SQL, whose parameters begin with ``$2``; a constant, never input.
            parameters: Their values as PostgreSQL's own text.
            is_durable: Else the commit is not on the disk yet: others see it, and a crash of the server may undo it,
                until a later call that is durable has returned.

        Returns:
            Its value as text.

        Raises:
            psycopg.Error: It failed. After an `OperationalError` nobody knows whether it was committed.
        """
        async with self._turns:
            lane = self._waiting() or await _Lane.open(self._dsn)
            try:
                return await lane.call(function, [tenant.encode(), *parameters], _DURABLE if is_durable else _QUICK)
            finally:
                if lane.is_usable and len(self._idle) < _MOST_IDLE:
                    self._idle.append(lane)
                else:
                    await lane.close()

    async def close(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            await self._idle.pop().close()

    def _waiting(self) -> _Lane | None:
        """A connection that is idle and still there."""
        while self._idle:
            lane = self._idle.pop()
            if lane.is_usable:
                return lane
        return None


class _Lane:
    """One connection, one call at a time."""

    def __init__(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._libpq.nonblocking = 1
        self._loop = asyncio.get_running_loop()
        self._socket = self._libpq.socket
        self._names: dict[str, bytes] = {}
        self._answer: asyncio.Future[None] | None = None
        self._results: list[pq.abc.PGresult] = []
        self._is_given_up = False
        self._loop.add_reader(self._socket, self._read)

    @property
    def is_usable(self) -> bool:
        """Whether it can take another call."""
        return not self._is_given_up and self._libpq.status == pq.ConnStatus.OK

    @classmethod
    async def open(cls, dsn: str) -> _Lane:
        return cls(await psycopg.AsyncConnection.connect(dsn, autocommit=True))

    async def call(
        self, function: LiteralString, parameters: Sequence[Parameter], prefix: LiteralString
    ) -> bytes | None:
        statement = prefix + function
        name = self._names.get(statement)
        if name is None:
            name = f"call_{len(self._names)}".encode()
            self._libpq.send_prepare(name, f"select {statement}".encode())
            _value(await self._finish())
            self._names[statement] = name
        self._libpq.send_query_prepared(name, parameters)
        return _value(await self._finish())

    async def close(self) -> None:
        self._give_up()
        await self._connection.close()

    async def _finish(self) -> list[pq.abc.PGresult]:
        """Wait for all results of what was sent."""
        self._results = []
        self._answer = self._loop.create_future()
        try:
            if self._libpq.flush():
                self._loop.add_writer(self._socket, self._write)
            await self._answer
        except BaseException:
            # the answer may still come, and would then be taken for that of the next call
            self._give_up()
            raise
        finally:
            self._answer = None
        return self._results

    def _write(self) -> None:
        try:
            if not self._libpq.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error as fault:
            self._fail(fault)

    def _read(self) -> None:
        try:
            self._libpq.consume_input()
            while self._answer is not None and not self._libpq.is_busy():
                result = self._libpq.get_result()
                if result is None:
                    if not self._answer.done():
                        self._answer.set_result(None)
                    return
                self._results.append(result)
        except psycopg.Error as fault:
            self._fail(fault)

    def _fail(self, fault: psycopg.Error) -> None:
        if self._answer is None:
            self._give_up()  # the server went away between two calls
        elif not self._answer.done():
            self._answer.set_exception(fault)

    def _give_up(self) -> None:
        if not self._is_given_up:
            self._is_given_up = True
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)


def _value(results: Sequence[pq.abc.PGresult]) -> bytes | None:
    for result in results:
        if result.status == pq.ExecStatus.TUPLES_OK:
            return result.get_value(0, result.nfields - 1)
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise errors.error_from_result(result)
    return None
