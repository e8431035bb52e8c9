from __future__ import annotations

import asyncio
from types import SimpleNamespace
from uuid import UUID

import psycopg
import pytest

from tests.common.servers import ServedDatabase
from troth.kit.db import Database, DatabaseUnavailable

HERE, THERE = (SimpleNamespace(tenant=UUID(int=number)) for number in (1, 2))
COUNT = "(select count(*) from calls_test where $2::text is not null)"
WRITE = "calls_test_write($2::uuid)"


@pytest.fixture(scope="module")
async def table(database: ServedDatabase) -> ServedDatabase:
    async with await psycopg.AsyncConnection.connect(database.dsn("troth_owner"), autocommit=True) as owner:
        await owner.execute("create table calls_test (tenant uuid not null)")
        await owner.execute("select tenant_table('calls_test')")
        await owner.execute(
            "create function calls_test_write(given uuid) returns bigint language plpgsql as $$ begin"
            " insert into calls_test values (given); return (select count(*) from calls_test); end $$"
        )
    return database


async def test_a_call_is_committed_in_the_space_of_its_scope(table: ServedDatabase) -> None:
    assert await table.call(HERE, WRITE, [str(HERE.tenant).encode()]) == b"1"
    assert await table.call(HERE, WRITE, [str(HERE.tenant).encode()]) == b"2"
    assert await table.call(THERE, COUNT, [b""]) == b"0"
    async with table.transaction(HERE) as connection:
        rows = await (await connection.execute("select count(*) as n from calls_test")).fetchall()
    assert rows == [{"n": 2}]


async def test_another_space_is_refused_and_the_next_call_is_its_own(table: ServedDatabase) -> None:
    before = await table.call(THERE, COUNT, [b""])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await table.call(THERE, WRITE, [str(HERE.tenant).encode()])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await table.call(None, WRITE, [str(HERE.tenant).encode()])
    assert await table.call(THERE, COUNT, [b""]) == before
    assert await table.call(THERE, "$2::text", [None]) is None


async def _lag_bytes(database: ServedDatabase, since: bytes) -> int:
    """How far the flushed log is behind a place in it."""
    behind = await database.call(None, "pg_wal_lsn_diff($2::pg_lsn, pg_current_wal_flush_lsn())::text", [since])
    return int(behind or b"0")


async def test_what_is_not_durable_at_once_is_so_after_a_flush(table: ServedDatabase) -> None:
    lagged = 0
    for _ in range(20):
        await table.call(HERE, WRITE, [str(HERE.tenant).encode()], is_durable=False)
        written = await table.call(None, "pg_current_wal_insert_lsn()::text", [])
        assert written is not None
        lagged += await _lag_bytes(table, written) > 0
        await asyncio.gather(*(asyncio.shield(table.flushing()) for _ in range(3)))
        assert await _lag_bytes(table, written) <= 0
    assert lagged, "else this shows nothing"


async def test_a_connection_does_not_remember_that_a_call_was_not_durable(table: ServedDatabase) -> None:
    setting = "current_setting('synchronous_commit')"
    assert await table.call(HERE, setting, [], is_durable=False) == b"off"
    assert await table.call(HERE, setting, []) == b"on"


async def test_many_calls_at_once(table: ServedDatabase) -> None:
    wanted = [str(number).encode() for number in range(40)]
    assert await asyncio.gather(*(table.call(HERE, "$2::text", [value]) for value in wanted)) == wanted
    large = b"x" * 5_000_000
    assert await table.call(HERE, "length($2::text)", [large]) == b"5000000"
    assert await table.call(HERE, "$2::text", [large]) == large


async def test_a_caller_that_gives_up_leaves_no_answer_for_the_next_one(table: ServedDatabase) -> None:
    waiting = asyncio.create_task(table.call(HERE, "(select $2::text from pg_sleep(0.2))", [b"late"]))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await table.call(HERE, "$2::text", [b"mine"]) == b"mine"


async def test_a_connection_that_was_ended_is_replaced(table: ServedDatabase) -> None:
    pid = int(await table.call(HERE, "pg_backend_pid()::text || left($2::text, 0)", [b""]) or b"0")
    asking = asyncio.create_task(table.call(HERE, "(select $2::text from pg_sleep(5))", [b""]))
    await asyncio.sleep(0.05)
    async with await psycopg.AsyncConnection.connect(table.server.dsn("troth_super"), autocommit=True) as superuser:
        await superuser.execute("select pg_terminate_backend(%s)", (pid,))
    with pytest.raises(DatabaseUnavailable):
        await asking
    assert await table.call(HERE, "$2::text", [b"again"]) == b"again"


async def test_without_a_server_it_is_unavailable() -> None:
    database = Database("host=/nowhere user=nobody dbname=none")
    with pytest.raises(DatabaseUnavailable):
        await database.call(HERE, "$2::text", [b""])
    with pytest.raises(DatabaseUnavailable):
        await database.flushing()
    await database.close()
