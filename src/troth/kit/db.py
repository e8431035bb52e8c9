"""The one way to the database: a transaction that carries its tenant.

Row-level security reads `app.tenant`; it is set for the length of one transaction and for nothing longer, so a pooled
connection never remembers whose it was. Only this module begins, commits and rolls back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from troth.kit.calls import Calls, Parameter
from troth.kit.errors import Unavailable
from troth.kit.rounds import Answer, Rounds
from troth.kit.watching import WatchedConnection

WAIT_SECONDS = 15.0
"""How long somebody waits for a connection: as long as the database server takes to come back, usually."""

_GONE = frozenset({"08", "53", "57"})  # classes of SQLSTATE: connection, resources, operator intervention

Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Row]
AtEnd = Callable[[WatchedConnection], Awaitable[None]]


class HasTenant(Protocol):
    """Anything that says in whose space the work is done, above all a `Permit`."""

    @property
    def tenant(self) -> UUID | None:
        """The tenant, or None on the platform."""


@dataclass(frozen=True, slots=True)
class Space:
    """The space of one tenant, or with None the platform's, where no permit or actor says it."""

    tenant: UUID | None


class DatabaseUnavailable(Unavailable):
    """No connection could be had in time; nothing was changed."""

    slug = "database-unavailable"
    title = "The database does not answer"


class Database:
    """Pools of connections, one per event loop, for one role.

    Args:
        dsn: libpq connection string.
        min_size: Connections kept open per loop.
        max_size: Most connections per loop.
    """

    def __init__(self, dsn: str, *, min_size: int = 1, max_size: int = 8) -> None:
        self._dsn = dsn
        self._min_size = min_size
        self._max_size = max_size
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncConnectionPool[Connection]] = WeakKeyDictionary()
        self._calls: WeakKeyDictionary[asyncio.AbstractEventLoop, Calls] = WeakKeyDictionary()
        self._flushes: WeakKeyDictionary[asyncio.AbstractEventLoop, Rounds] = WeakKeyDictionary()
        self._flushing: set[asyncio.Task[None]] = set()
        self.at_end: AtEnd | None = None  # for transactions that change rows which are bound (`ledger.binding`)

    @asynccontextmanager
    async def transaction(
        self, scope: HasTenant | None, *, with_general_plans: bool = False
    ) -> AsyncIterator[Connection]:
        """One transaction in the space of a tenant; commits at the end, rolls back on any exception.

        Args:
            scope: Whose space; None, or a scope without tenant, sees platform tables only.
            with_general_plans: Statements are planned once for all values, and not for those that are given.

        Yields:
            The connection, with rows as dictionaries.

        Raises:
            DatabaseUnavailable: No connection could be had, or the server went away meanwhile.
        """
        tenant = scope.tenant if scope is not None else None
        # One message without parameters begins and sets the tenant: a round trip less on every path.
        plans = "; set local plan_cache_mode = 'force_generic_plan'" if with_general_plans else ""
        pool = await self._pool()
        connection = await self._begun(pool, f"begin; set local app.tenant = '{tenant or ''}'{plans}")
        watched = connection if isinstance(connection, WatchedConnection) else None
        try:
            if watched is not None:
                watched.begins(self.at_end)
            try:
                yield connection
                if watched is not None and watched.changed and watched.at_end is not None:
                    await watched.at_end(watched)
            except BaseException:
                if not connection.closed:
                    await connection.execute("rollback")
                raise
            await connection.execute("commit")
        except psycopg.OperationalError as fault:
            raise _as_it_is(fault) from fault
        finally:
            await pool.putconn(connection)

    async def _begun(self, pool: AsyncConnectionPool[Connection], begin: str) -> Connection:
        """A connection on which a transaction has begun; those that died in the pool are passed over."""
        tries = self._max_size + 1
        while True:
            try:
                connection = await pool.getconn(timeout=WAIT_SECONDS)
            except (PoolTimeout, psycopg.OperationalError) as fault:
                raise DatabaseUnavailable from fault
            try:
                await connection.execute(begin)
            except psycopg.OperationalError as fault:
                await pool.putconn(connection)
                tries -= 1
                if not tries or not _is_gone(fault):
                    raise _as_it_is(fault) from fault
            except BaseException:
                await pool.putconn(connection)
                raise
            else:
                return connection

    async def answers(self) -> bool:
        """Whether the database answers now."""
        try:
            async with self.transaction(None) as connection:
                await connection.execute("select 1")
        except DatabaseUnavailable:
            return False
        return True

    async def call(
        self,
        scope: HasTenant | None,
        function: LiteralString,
        parameters: Sequence[Parameter],
        *,
        is_durable: bool = True,
    ) -> bytes | None:
        """Call one SQL function as a transaction of its own, in one round trip; see `kit.calls`.

        Args:
            scope: Whose space.
            function: The call as SQL, such as ``f($2::uuid, $3::jsonb)``; ``$1`` is the tenant.
            parameters: Values from ``$2`` on, as PostgreSQL's own text.
            is_durable: Else committed is not yet durable: await `flushing`, begun after this returned, before anybody
                is told.

        Returns:
            Its value as text.

        Raises:
            DatabaseUnavailable: The server went away. Whether it had committed is not known.
            psycopg.Error: The function failed; nothing was changed.
        """
        tenant = scope.tenant if scope is not None else None
        loop = asyncio.get_running_loop()
        calls = self._calls.get(loop)
        if calls is None:
            calls = self._calls[loop] = Calls(self._dsn)
        try:
            return await calls.call(
                str(tenant) if tenant is not None else "", function, parameters, is_durable=is_durable
            )
        except psycopg.OperationalError as fault:
            raise _as_it_is(fault) from fault

    def flushing(self) -> Answer:
        """Begin to make everything durable that is committed now, whoever committed it.

        Returns:
            A future that many share: await it through `asyncio.shield`. Ends in `DatabaseUnavailable` where it is not
            known to be durable.
        """
        loop = asyncio.get_running_loop()
        rounds = self._flushes.get(loop)
        if rounds is None:
            rounds = self._flushes[loop] = Rounds(self._start_flush)
        return rounds.begin()

    def _start_flush(self, answer: Answer) -> None:
        task = asyncio.get_running_loop().create_task(self._flush(answer))
        self._flushing.add(task)
        task.add_done_callback(self._flushing.discard)

    async def _flush(self, answer: Answer) -> None:
        """A transaction that writes almost nothing: the log is flushed up to its commit, and so all before it."""
        fault: Exception | None = DatabaseUnavailable()
        try:
            await self.call(None, "pg_logical_emit_message(true, 'troth', '')", ())
            fault = None
        except (DatabaseUnavailable, psycopg.Error) as error:
            fault = error if isinstance(error, DatabaseUnavailable) else DatabaseUnavailable()
        finally:
            self._flushes[asyncio.get_running_loop()].ended(answer, fault)

    async def listen(self, channel: str, heard: Callable[[], None] = lambda: None) -> AsyncIterator[str]:
        """Payloads notified on a channel, over a connection of its own.

        Args:
            channel: Name of the channel; a constant, never input.
            heard: Called once nothing that comes from now on is missed.
        """
        connection = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True)
        try:
            await connection.execute(f"listen {channel}")
            heard()
            async for notice in connection.notifies():
                yield notice.payload
        finally:
            await connection.close()

    async def close(self) -> None:
        """Close the connections of the running loop."""
        loop = asyncio.get_running_loop()
        calls, pool = self._calls.pop(loop, None), self._pools.pop(loop, None)
        if calls is not None:
            await calls.close()
        if pool is not None:
            await pool.close(timeout=5)

    async def _pool(self) -> AsyncConnectionPool[Connection]:
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            arguments: Mapping[str, Any] = {"row_factory": dict_row, "autocommit": True}
            pool = AsyncConnectionPool(
                self._dsn,
                connection_class=WatchedConnection,
                kwargs=dict(arguments),
                min_size=self._min_size,
                max_size=self._max_size,
                open=False,
            )
            self._pools[loop] = pool
            await pool.open()
        return pool


def _is_gone(fault: psycopg.OperationalError) -> bool:
    """Whether the server, and not a statement, is the reason."""
    if isinstance(fault, psycopg.errors.QueryCanceled):
        return False
    return fault.sqlstate is None or fault.sqlstate[:2] in _GONE


def _as_it_is(fault: psycopg.OperationalError) -> Exception:
    return DatabaseUnavailable() if _is_gone(fault) else fault
