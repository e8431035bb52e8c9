"""Transactions carry their tenant and nothing longer."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.common.servers import ServedDatabase
from troth.kit.db import Database


@dataclass
class Scope:
    tenant: UUID | None


@pytest.fixture(scope="module")
async def notes(database: ServedDatabase) -> ServedDatabase:
    with psycopg.connect(database.dsn("troth_owner"), autocommit=True) as connection:
        connection.execute("create table note (tenant uuid not null, id int not null, primary key (tenant, id))")
        connection.execute("select tenant_table('note')")
    return database


@pytest.mark.asvs("V8.4.1")
async def test_rows_of_another_tenant_are_not_there(notes: ServedDatabase) -> None:
    mine, theirs = Scope(uuid4()), Scope(uuid4())
    async with notes.transaction(mine) as connection:
        await connection.execute("insert into note values (%s, 1)", [mine.tenant])
    for scope, expected in ((mine, 1), (theirs, 0), (None, 0), (Scope(None), 0)):
        async with notes.transaction(scope) as connection:
            cursor = await connection.execute("select count(*) as n from note")
            assert await cursor.fetchone() == {"n": expected}


@pytest.mark.asvs("V8.4.1")
async def test_a_row_for_another_tenant_is_refused_and_the_exception_rolls_back(notes: ServedDatabase) -> None:
    mine, theirs = Scope(uuid4()), Scope(uuid4())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with notes.transaction(mine) as connection:
            await connection.execute("insert into note values (%s, 1)", [mine.tenant])
            await connection.execute("insert into note values (%s, 2)", [theirs.tenant])
    async with notes.transaction(mine) as connection:
        cursor = await connection.execute("select count(*) as n from note")
        assert await cursor.fetchone() == {"n": 0}


async def test_the_tenant_does_not_stay_on_the_connection(notes: ServedDatabase) -> None:
    single = Database(notes.dsn("troth_app"), max_size=1)
    async with single.transaction(Scope(uuid4())) as connection:
        first = connection
    async with single.transaction(None) as connection:
        assert connection is first
        cursor = await connection.execute("select current_setting('app.tenant') as t")
        assert await cursor.fetchone() == {"t": ""}
    await single.close()
