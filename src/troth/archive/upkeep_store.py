"""SQL of what looks after the archive: sweeping, scrubbing, their runs. Columns are found in the catalogue.

A table that holds locators has them in a column `locator`, `…_locator` or `locators`; one that holds references to keys
in `key`, `…_key` or `key_ref`; one that belongs to a subject in `subject_id`. A table made later is so never forgotten
when something that nobody names is given back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from troth.archive.model import Row
from troth.kit.db import Connection, HasTenant

_PAGE = 1000

_COLUMNS = """
select c.relname as tab, a.attname as col, t.typname = '_bytea' as is_list,
    exists (select from pg_attribute x where x.attrelid = c.oid and x.attname = 'tenant' and x.attnum > 0) as is_tenants
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
  and t.typname = any(%s) and a.attname ~ %s
order by 1, 2
"""


async def columns(connection: Connection, types: Sequence[str], pattern: str) -> list[Row]:
    """Columns of some types whose names fit a pattern: `tab`, `col`, `is_list`, `is_tenants`."""
    return list(await (await connection.execute(_COLUMNS, (list(types), pattern))).fetchall())


async def values_of(connection: Connection, column: Row, length: int | None = None) -> AsyncIterator[bytes]:
    """Every value of a column that the scope of the transaction sees, over a cursor of the server.

    Args:
        connection: A transaction.
        column: As `columns` gave it.
        length: Only values of so many bytes.
    """
    table, name = sql.Identifier(column["tab"]), sql.Identifier(column["col"])
    chosen = sql.SQL("unnest({})").format(name) if column["is_list"] else name
    statement = sql.SQL("select {} as value from {} where {} is not null").format(chosen, table, name)
    if length is not None:
        statement += sql.SQL(" and octet_length({}) = {}").format(name, sql.Literal(length))
    async with connection.cursor(name="sweep") as cursor:
        cursor.itersize = _PAGE
        await cursor.execute(statement)
        while rows := await cursor.fetchmany(_PAGE):
            for row in rows:
                yield bytes(row["value"])


async def now(connection: Connection) -> datetime:
    """The server's clock."""
    (row,) = await (await connection.execute("select clock_timestamp() as at")).fetchall()
    at: datetime = row["at"]
    return at


async def older_transactions(connection: Connection, before: datetime) -> int:
    """How many transactions of our role run that began before a moment."""
    cursor = await connection.execute(
        "select count(*) as number from pg_stat_activity where datname = current_database()"
        " and usename = current_user and pid <> pg_backend_pid() and xact_start < %s",
        (before,),
    )
    (row,) = await cursor.fetchall()
    return int(row["number"])


async def swept_packs(connection: Connection, since: datetime) -> dict[bytes, int]:
    """Packs that were looked through not long ago, and how long they were then."""
    cursor = await connection.execute("select pack, length_bytes from sweep_pack where swept_at > %s", (since,))
    return {bytes(row["pack"]): row["length_bytes"] for row in await cursor.fetchall()}


async def mark_swept(connection: Connection, pack: bytes, length_bytes: int | None, at: datetime) -> None:
    """A pack was looked through; None when it is gone."""
    if length_bytes is None:
        await connection.execute("delete from sweep_pack where pack = %s", (pack,))
        return
    await connection.execute(
        "insert into sweep_pack (pack, length_bytes, swept_at) values (%s, %s, %s)"
        " on conflict (pack) do update set length_bytes = excluded.length_bytes, swept_at = excluded.swept_at",
        (pack, length_bytes, at),
    )


async def remember_unnamed(connection: Connection, refs: Sequence[bytes], at: datetime) -> None:
    """These keys are named by nobody now; of the others nothing is remembered any more."""
    await connection.execute("delete from sweep_key where not ref = any(%s)", (list(refs),))
    await connection.execute(
        "insert into sweep_key (ref, seen_at) select ref, %s from unnest(%s::bytea[]) as ref on conflict do nothing",
        (at, list(refs)),
    )


async def unnamed_since(connection: Connection, before: datetime) -> list[bytes]:
    """Keys that were named by nobody at that time already."""
    cursor = await connection.execute("select ref from sweep_key where seen_at <= %s", (before,))
    return [bytes(row["ref"]) for row in await cursor.fetchall()]


async def forget_unnamed(connection: Connection, refs: Sequence[bytes]) -> None:
    """These keys are gone."""
    await connection.execute("delete from sweep_key where ref = any(%s)", (list(refs),))


async def lone_subjects(connection: Connection, tables: Sequence[Row], before: datetime, *, limit: int) -> list[Row]:
    """Subjects that nothing refers to, made before some time.

    Args:
        connection: A transaction in their tenant.
        tables: Columns that refer to subjects.
        before: They were made before this.
        limit: Most of them.
    """
    statement = sql.SQL("select p.id, p.key, p.audit_key from subject p where p.made_at <= {} and {} limit {}").format(
        sql.Literal(before), _lone(tables), sql.Literal(limit)
    )
    return list(await (await connection.execute(statement)).fetchall())


async def remove_lone_subject(connection: Connection, tables: Sequence[Row], subject_id: UUID) -> bool:
    """Take a subject away if nothing refers to it, once nobody else is about to; whether it went."""
    locked = await connection.execute("select id from subject where id = %s for update", (subject_id,))
    if await locked.fetchone() is None:
        return False
    # A statement of its own: it sees what was committed while we waited for the lock.
    statement = sql.SQL("delete from subject p where p.id = {} and {}").format(sql.Literal(subject_id), _lone(tables))
    return (await connection.execute(statement)).rowcount == 1


def _lone(tables: Sequence[Row]) -> sql.Composable:
    return sql.SQL(" and ").join(
        sql.SQL("not exists (select from {} x where x.tenant = p.tenant and x.{} = p.id)").format(
            sql.Identifier(table["tab"]), sql.Identifier(table["col"])
        )
        for table in tables
    )


async def begin_run(connection: Connection, run_id: UUID, kind: str, at: datetime) -> None:
    """Something began."""
    await connection.execute(
        "insert into upkeep_run (id, kind, state, started_at, seen_at) values (%s, %s, 'running', %s, %s)",
        (run_id, kind, at, at),
    )


async def note_run(
    connection: Connection, run_id: UUID, state: str, place: str, counts: Mapping[str, int], at: datetime
) -> None:
    """How far it is, or how it ended."""
    await connection.execute(
        "update upkeep_run set state = %s, place = %s, counts = %s, seen_at = %s,"
        " ended_at = case when %s = 'running' then null else %s end where id = %s",
        (state, place, Jsonb(dict(counts)), at, state, at, run_id),
    )


async def last_run(connection: Connection, kind: str, states: Sequence[str]) -> Row | None:
    """The last run of a kind in one of some states."""
    cursor = await connection.execute(
        "select id, kind, state, place, counts, started_at, seen_at, ended_at from upkeep_run"
        " where kind = %s and state = any(%s) order by started_at desc limit 1",
        (kind, list(states)),
    )
    return await cursor.fetchone()


async def prune_runs(connection: Connection, kind: str, before: datetime) -> None:
    """Forget runs that ended long ago."""
    await connection.execute("delete from upkeep_run where kind = %s and ended_at < %s", (kind, before))


async def tenants_of(connection: Connection) -> list[UUID]:
    """Every organisation."""
    return [row["id"] for row in await (await connection.execute("select id from organisation order by id")).fetchall()]


async def keys_in_ledger(connection: Connection, refs: Sequence[bytes]) -> list[bytes]:
    """Which of some keys seal entries of the ledger in this scope."""
    cursor = await connection.execute("select distinct key from ledger_entry where key = any(%s)", (list(refs),))
    return [bytes(row["key"]) for row in await cursor.fetchall()]


async def instances_after(
    connection: Connection,
    tenant: UUID,
    after: UUID | None,
    *,
    study_id: UUID | None,
    since: datetime | None,
    limit: int,
) -> list[dict[str, Any]]:
    """The next instances to be read, in the order of their ids, with what opens and names them."""
    cursor = await connection.execute(
        "select i.id, s.id as study_id, s.study_uid, s.key as study_key, s.subject_id, s.audit_key, r.series_uid,"
        " i.instance_uid, i.sop_class, i.syntax, i.number, i.rows, i.columns, i.frames, i.head_locator, i.head_bytes,"
        " i.bulk_locator, i.bulk_bytes, i.bulk_tag, i.bulk_vr, i.bulk_length, i.frame_table, i.sealed"
        " from instance i join series r on r.tenant = i.tenant and r.id = i.series_id"
        " join study s on s.tenant = r.tenant and s.id = r.study_id"
        " where i.tenant = %(tenant)s and s.state = 'held' and (%(after)s::uuid is null or i.id > %(after)s)"
        " and (%(study)s::uuid is null or s.id = %(study)s)"
        " and (%(since)s::timestamptz is null or i.stored_at >= %(since)s)"
        " order by i.id limit %(limit)s",
        {"tenant": tenant, "after": after, "study": study_id, "since": since, "limit": limit},
    )
    return list(await cursor.fetchall())


async def instance_is_held(connection: Connection, tenant: UUID, instance_id: UUID, head_locator: bytes) -> bool:
    """Whether an instance is still there with this head, in a study that is not being erased."""
    cursor = await connection.execute(
        "select 1 from instance i join series r on r.tenant = i.tenant and r.id = i.series_id"
        " join study s on s.tenant = r.tenant and s.id = r.study_id"
        " where i.tenant = %s and i.id = %s and i.head_locator = %s and s.state = 'held'",
        (tenant, instance_id, head_locator),
    )
    return await cursor.fetchone() is not None


async def instance_total(connection: Connection, tenant: UUID, study_id: UUID | None, since: datetime | None) -> int:
    """How many instances there are to be read."""
    cursor = await connection.execute(
        "select count(*) as number from instance i join series r on r.tenant = i.tenant and r.id = i.series_id"
        " where i.tenant = %(tenant)s and (%(study)s::uuid is null or r.study_id = %(study)s)"
        " and (%(since)s::timestamptz is null or i.stored_at >= %(since)s)",
        {"tenant": tenant, "study": study_id, "since": since},
    )
    (row,) = await cursor.fetchall()
    return int(row["number"])


async def mark_broken(connection: Connection, values: Mapping[str, Any]) -> bool:
    """Remember that an instance is broken; False when that is known already."""
    cursor = await connection.execute(
        "insert into broken_instance (tenant, instance_id, study_id, what, found_at)"
        " values (%(tenant)s, %(instance_id)s, %(study_id)s, %(what)s, %(found_at)s) on conflict do nothing",
        dict(values),
    )
    return cursor.rowcount == 1


async def mark_whole(connection: Connection, tenant: UUID, instance_ids: Sequence[UUID]) -> int:
    """These instances were read and are whole; how many were thought to be broken."""
    cursor = await connection.execute(
        "delete from broken_instance where tenant = %s and instance_id = any(%s)", (tenant, list(instance_ids))
    )
    return cursor.rowcount


async def broken(connection: Connection, tenant: UUID) -> list[Row]:
    """Instances that are broken, those of erased studies left out."""
    cursor = await connection.execute(
        "select b.instance_id, b.study_id, b.what, b.found_at, i.instance_uid from broken_instance b"
        " join instance i on i.tenant = b.tenant and i.id = b.instance_id where b.tenant = %s order by b.found_at",
        (tenant,),
    )
    return list(await cursor.fetchall())


async def damaged(connection: Connection, tenant: UUID, *, limit: int) -> list[Row]:
    """Instances that are broken with the studies they are in, those found first before the others."""
    cursor = await connection.execute(
        "select b.what, b.found_at, i.instance_uid, i.stored_at, r.modality, s.study_uid from broken_instance b"
        " join instance i on i.tenant = b.tenant and i.id = b.instance_id"
        " join series r on r.tenant = i.tenant and r.id = i.series_id"
        " join study s on s.tenant = r.tenant and s.id = r.study_id and s.state = 'held'"
        " where b.tenant = %s order by b.found_at, i.instance_uid limit %s",
        (tenant, limit),
    )
    return list(await cursor.fetchall())


async def replace_instance(
    connection: Connection, tenant: UUID, instance_id: UUID, head_locator: bytes, row: Mapping[str, Any]
) -> bool:
    """Let an instance name other bytes, unless somebody did so meanwhile; whether this one did.

    Args:
        connection: A transaction in the tenant's scope.
        tenant: The tenant.
        instance_id: Our id of it.
        head_locator: Where its head is thought to lie now.
        row: What `row_values.instance_row` says of the new bytes.
    """
    names = {"tenant": tenant, "held": instance_id, "place": head_locator}
    # The study first, as everybody does who takes both: none waits for another in a circle.
    cursor = await connection.execute(
        "select s.id, i.head_bytes + i.bulk_bytes as length_bytes from instance i"
        " join series r on r.tenant = i.tenant and r.id = i.series_id join study s on s.tenant = r.tenant"
        " and s.id = r.study_id where i.tenant = %(tenant)s and i.id = %(held)s and i.head_locator = %(place)s"
        " and s.state = 'held' for update of s",
        names,
    )
    study = await cursor.fetchone()
    if study is None:
        return False
    cursor = await connection.execute(
        "update instance set sop_class = %(sop_class)s, syntax = %(syntax)s, number = %(number)s,"
        " rows = %(rows)s, columns = %(columns)s, frames = %(frames)s, head_locator = %(head_locator)s::bytea,"
        " head_bytes = %(head_bytes)s, bulk_locator = %(bulk_locator)s::bytea, bulk_bytes = %(bulk_bytes)s,"
        " bulk_tag = %(bulk_tag)s, bulk_vr = %(bulk_vr)s, bulk_length = %(bulk_length)s,"
        " frame_table = %(frame_table)s::bytea, sealed = %(sealed)s::bytea"
        " where tenant = %(tenant)s and id = %(held)s and head_locator = %(place)s",
        {**row, **names},
    )
    if cursor.rowcount != 1:
        return False
    await connection.execute(
        "update study set length_bytes = length_bytes + %s where tenant = %s and id = %s",
        (row["head_bytes"] + row["bulk_bytes"] - study["length_bytes"], tenant, study["id"]),
    )
    return True


async def imported(connection: Connection, digests: Sequence[bytes]) -> set[bytes]:
    """Which of some files were imported by an earlier run."""
    cursor = await connection.execute("select digest from import_file where digest = any(%s)", (list(digests),))
    return {bytes(row["digest"]) for row in await cursor.fetchall()}


async def mark_imported(connection: Connection, scope: HasTenant, digests: Sequence[bytes], at: datetime) -> None:
    """These files are imported."""
    await connection.execute(
        "insert into import_file (tenant, digest, done_at) select %s, digest, %s from unnest(%s::bytea[]) as digest"
        " on conflict do nothing",
        (scope.tenant, at, list(digests)),
    )
