from __future__ import annotations

import asyncio
from types import SimpleNamespace
from uuid import UUID

import psycopg
import pytest
import uvloop

from tests.common.servers import ServedDatabase
from troth.kit.db import Database, DatabaseUnavailable

SCOPE = SimpleNamespace(tenant=UUID(int=1))


async def _use(database: Database) -> None:
    async def one(number: int) -> None:
        async with database.transaction(SCOPE) as connection:
            cursor = await connection.execute("select %s::int as n, repeat('x', %s) as t", (number, number * 3000))
            row = await cursor.fetchone()
            assert row is not None
            assert (row["n"], len(row["t"])) == (number, number * 3000)

    await asyncio.gather(*(one(number) for number in range(40)))
    async with database.transaction(SCOPE) as connection:
        large = "y" * 20_000_000  # more than the socket takes at once
        assert await (await connection.execute("select length(%s) as n", (large,))).fetchone() == {"n": len(large)}
        async with connection.pipeline():
            await connection.execute("select 1 as a")
            second = await connection.execute("select 2 as b")
        assert await second.fetchone() == {"b": 2}


async def test_many_connections_large_values_and_pipelines(database: ServedDatabase) -> None:
    await _use(database)


def test_the_same_under_the_loop_that_serves(database: ServedDatabase) -> None:
    async def work() -> None:
        other = Database(database.dsn("troth_app"))
        await _use(other)
        await other.close()

    uvloop.run(work())


async def test_a_caller_that_gives_up_leaves_a_connection_that_works(database: ServedDatabase) -> None:
    single = Database(database.dsn("troth_app"), max_size=1)

    async def waits() -> None:
        async with single.transaction(SCOPE) as connection:
            await connection.execute("select pg_sleep(30)")

    waiting = asyncio.create_task(waits())
    await asyncio.sleep(0.2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with single.transaction(SCOPE) as connection:
        assert await (await connection.execute("select 1 as n")).fetchone() == {"n": 1}
    await single.close()


async def test_an_error_of_the_server_and_its_end(database: ServedDatabase) -> None:
    single = Database(database.dsn("troth_app"), max_size=1)
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with single.transaction(SCOPE) as connection:
            await connection.execute("select 1 / 0")
    async with single.transaction(SCOPE) as connection:
        row = await (await connection.execute("select pg_backend_pid() as pid")).fetchone()
    assert row is not None
    async with await psycopg.AsyncConnection.connect(database.server.dsn("troth_super"), autocommit=True) as superuser:
        await superuser.execute("select pg_terminate_backend(%s)", (row["pid"],))
        async with single.transaction(SCOPE) as connection:  # what ended while nobody used it is replaced unseen
            other = await (await connection.execute("select pg_backend_pid() as pid")).fetchone()
        assert other is not None
        assert other["pid"] != row["pid"]
        with pytest.raises(DatabaseUnavailable):
            async with single.transaction(SCOPE) as connection:
                await superuser.execute("select pg_terminate_backend(%s)", (other["pid"],))
                await connection.execute("select 1")
    async with single.transaction(SCOPE) as connection:
        assert await (await connection.execute("select 1 as n")).fetchone() == {"n": 1}
    await single.close()
