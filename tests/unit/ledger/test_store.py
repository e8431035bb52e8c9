"""What PostgreSQL lets each role do with the ledger, whatever the code above asks for."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import errors

from tests.unit.ledger.conftest import Deployment, Scope
from troth.ledger import WrongScope, store
from troth.ledger.tail import HEAD_DIFFERED

TABLES = (
    "ledger_entry",
    "ledger_pending",
    "ledger_leaf",
    "ledger_subject",
    "ledger_tile",
    "ledger_checkpoint",
    "ledger_fence",
)
OTHER = UUID(int=0xB)


async def run_as(deployment: Deployment, role: str, tenant: UUID | None, query: str) -> list[Any]:
    async with await psycopg.AsyncConnection.connect(deployment.database.dsn(role)) as connection:
        await connection.execute(f"set local app.tenant = '{tenant or ''}'")  # type: ignore[arg-type]
        cursor = await connection.execute(query)  # type: ignore[arg-type]
        return await cursor.fetchall() if cursor.description else []


@pytest.mark.asvs("V16.4.2")
@pytest.mark.parametrize("table", TABLES)
async def test_the_application_only_adds(deployment: Deployment, table: str) -> None:
    await deployment.append_one()
    await deployment.sequencer.drain()
    column = deployment.tamper(f"select attname from pg_attribute where attrelid='{table}'::regclass and attnum = 2")[0]
    column = column["attname"]
    for query in (f"update {table} set {column} = {column}", f"delete from {table}", f"truncate {table}"):
        with pytest.raises(errors.InsufficientPrivilege):
            await run_as(deployment, "troth_app", deployment.tenant, query)
    if table != "ledger_entry":
        with pytest.raises(errors.InsufficientPrivilege):
            await run_as(deployment, "troth_app", deployment.tenant, f"insert into {table} default values")


@pytest.mark.parametrize("table", ["ledger_entry", "ledger_leaf", "ledger_checkpoint"])
async def test_the_sequencer_does_not_change_what_is_written(deployment: Deployment, table: str) -> None:
    await deployment.append_one()
    await deployment.sequencer.drain()
    assert len(await run_as(deployment, "troth_sequencer", None, f"select 1 from {table}")) == 1
    for query in (f"update {table} set {'id' if table == 'ledger_entry' else 'size'} = null", f"delete from {table}"):
        with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedColumn)):
            await run_as(deployment, "troth_sequencer", None, query)
    with pytest.raises(errors.InsufficientPrivilege):
        await run_as(deployment, "troth_sequencer", None, "insert into ledger_entry default values")


@pytest.mark.parametrize("table", ["ledger_entry", "ledger_leaf", "ledger_subject"])
async def test_a_tenant_sees_its_own(deployment: Deployment, table: str) -> None:
    await deployment.append_one(subject_id=UUID(int=5))
    await deployment.append_one(tenant=OTHER, subject_id=UUID(int=5))
    await deployment.append_one(tenant=OTHER, subject_id=UUID(int=6))
    await deployment.append_one(tenant=None, subject_id=UUID(int=7))
    await deployment.sequencer.drain()
    seen = {}
    for tenant in (deployment.tenant, OTHER, None, UUID(int=0xC)):
        seen[tenant] = await run_as(deployment, "troth_app", tenant, f"select tenant from {table}")
    assert [len(rows) for rows in seen.values()] == [1, 2, 1, 0]
    assert {row[0] for row in seen[OTHER]} == {OTHER}


async def test_the_owner_sees_nothing(deployment: Deployment) -> None:
    await deployment.append_one()
    assert await run_as(deployment, "troth_owner", deployment.tenant, "select 1 from ledger_entry") == []


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("scope", [OTHER, None])
async def test_nobody_writes_for_another_tenant(deployment: Deployment, scope: UUID | None, count: int) -> None:
    entries = [deployment.entry()] * count
    async with deployment.database.transaction(Scope(deployment.tenant)) as connection:
        await deployment.ledger.append_many(connection, entries)
    with pytest.raises(WrongScope):
        async with deployment.database.transaction(Scope(scope)) as connection:
            await deployment.ledger.append_many(connection, entries)
    assert len(deployment.tamper("select 1 from ledger_entry")) == count


async def test_every_table_is_closed_as_it_should_be(deployment: Deployment) -> None:
    rows = deployment.tamper(
        "select relname, relrowsecurity and relforcerowsecurity as is_forced from pg_class"
        " where relname = any(%s) order by 1",
        (list(TABLES),),
    )
    assert {row["relname"] for row in rows if row["is_forced"]} == {
        "ledger_entry",
        "ledger_pending",
        "ledger_leaf",
        "ledger_subject",
    }


async def test_whether_a_difference_waits_is_asked_of_its_own_index_however_long_the_ledger(
    deployment: Deployment,
) -> None:
    assert f"'{HEAD_DIFFERED}'" in store.DIFFERED_WAITS
    await deployment.append_one()
    async with deployment.database.transaction(None) as connection:
        await connection.execute("set local enable_seqscan = off")  # a handful of rows is read through at once
        plan = await (await connection.execute(f"explain {store.DIFFERED_WAITS}".encode())).fetchall()
        assert await store.differed_waits(connection) is False
    assert "ledger_entry_differed" in str(plan)
