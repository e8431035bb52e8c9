"""All SQL of the archive. Nothing outside `service` and `workflows` calls it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from troth import people
from troth.archive import correcting_store
from troth.archive.arriving import Rows
from troth.archive.model import Row
from troth.kit.db import Connection, Database, HasTenant
from troth.policy import Column, Columns, Filter

Held = dict[str, list[Row]]

# Whose a study is (`subject`) is the subject of its identifier (`origin`), or the one that this is merged into.
STUDY: LiteralString = (
    """s.id, s.tenant, s.study_uid, s.surviving_id as subject_id, s.subject_id as origin_id,
    s.key, s.audit_key, s.state, s.is_restricted, s.study_date, s.modalities, s.sop_classes, s.series_count,
    s.instance_count, s.length_bytes, s.patient_key_token, s.sealed, s.standing_sealed, s.stored_at,
    """
    + people.OWNER_COLUMNS
)
_INSTANCE = """i.id, r.series_uid, i.instance_uid, i.sop_class, i.syntax, i.number, i.rows, i.columns, i.frames,
    i.head_locator, i.head_bytes, i.bulk_locator, i.bulk_bytes, i.bulk_tag, i.bulk_vr, i.bulk_length, i.frame_table,
    i.sealed"""
# How the decision's own conditions read a study, for lists.
COLUMNS: Columns = {
    "is_present": True,
    "id": Column("s.id", "uuid"),
    "tenant": Column("s.tenant", "uuid"),
    "subject": Column("s.surviving_id", "uuid"),
    "is_restricted": Column("s.is_restricted", "bool"),
}


def is_race(fault: BaseException) -> bool:
    """Whether a batch failed only because others were writing the same things, and should be decided anew."""
    return isinstance(fault, psycopg.Error) and (
        fault.sqlstate == "TR001"
        or isinstance(
            fault,
            psycopg.errors.UniqueViolation | psycopg.errors.DeadlockDetected | psycopg.errors.ForeignKeyViolation,
        )
    )


async def held(
    connection: Connection,
    tenant: UUID,
    *,
    studies: Sequence[str],
    series: Sequence[str],
    instances: Sequence[str],
    digests: Sequence[bytes],
) -> Held:
    """What is there already of a batch, in one round trip.

    Each statement sees what was committed when it began: a study made by another process in between can be missing
    while its series is there, so each row says itself which study it is of.

    Returns:
        Rows under `studies`, `series`, `instances` and `tombstones`.
    """
    async with connection.pipeline():
        cursors = {
            "studies": await connection.execute(
                "select id, study_uid, key, audit_key, subject_id, state, patient_key_token, corrected_key_token,"
                " corrections, standing_sealed from study"
                " where tenant = %s and study_uid = any(%s)",
                (tenant, list(studies)),
            ),
            "series": await connection.execute(
                "select r.id, s.study_uid, r.series_uid from series r join study s on s.tenant = r.tenant"
                " and s.id = r.study_id where r.tenant = %s and r.series_uid = any(%s)",
                (tenant, list(series)),
            ),
            "instances": await connection.execute(
                "select i.id, i.instance_uid, i.head_locator, i.bulk_locator, i.sealed, s.key, s.study_uid,"
                " exists (select from broken_instance b where b.tenant = i.tenant and b.instance_id = i.id)"
                " as is_broken"
                " from instance i join series r on r.tenant = i.tenant and r.id = i.series_id"
                " join study s on s.tenant = r.tenant and s.id = r.study_id"
                " where i.tenant = %s and i.instance_uid = any(%s)",
                (tenant, list(instances)),
            ),
            "tombstones": await connection.execute(
                "select digest from tombstone where tenant = %s and digest = any(%s)", (tenant, list(digests))
            ),
        }
        return {name: list(await cursor.fetchall()) for name, cursor in cursors.items()}


_TAKE: LiteralString = (
    "archive_take($1::uuid, $2::timestamptz, $3::bytea[], $4::jsonb, $5::uuid[], $6::int[], $7::int[], $8::bigint[],"
    " $9::text[], $10::text[], $11::uuid[], $12::int[], $13::jsonb, $14::jsonb, $15::int[])"
)


async def take(db: Database, scope: HasTenant, rows: Rows, entries: bytes, *, is_durable: bool) -> None:
    """Write one batch and its ledger entries: all of it, or nothing with an error that `is_race` knows.

    Committed on return.

    Args:
        db: The database.
        scope: Whose space.
        rows: What the batch is.
        entries: What `Ledger.sealed` gave.
        is_durable: See `Database.call`.
    """
    await db.call(scope, _TAKE, _taken(rows, entries), is_durable=is_durable)


_TAKE_WITHIN: LiteralString = """select archive_take(%s::uuid, %s::timestamptz, %s::bytea[], %s::jsonb, %s::uuid[],
    %s::int[], %s::int[], %s::bigint[], %s::text[], %s::text[], %s::uuid[], %s::int[], %s::jsonb, %s::jsonb,
    %s::int[])"""


async def take_within(connection: Connection, tenant: UUID, rows: Rows, entries: bytes) -> None:
    """The same as `take`, within a transaction that does more.

    Args:
        connection: A transaction in the tenant's scope.
        tenant: The tenant.
        rows: What the batch is.
        entries: What `Ledger.sealed` gave.
    """
    values = [None if value is None else value.decode() for value in _taken(rows, entries)]
    await connection.execute(_TAKE_WITHIN, [tenant, *values])


def _taken(rows: Rows, entries: bytes) -> list[bytes | None]:
    """Values of the parameters of `archive_take` after the tenant, as PostgreSQL's own text."""
    gains = list(zip(*rows.gains, strict=True))
    series = sorted(rows.series.items())
    return [
        rows.at.isoformat().encode(),
        _array([f'"\\\\x{digest.hex()}"' for digest in rows.digests]),
        None if rows.made is None else _json(rows.made),
        *(_array(column) for column in gains[:4]),
        *(_array([f'"{joined}"' for joined in column]) for column in gains[4:6]),
        _array([series_id for series_id, _ in series]),
        _array([count for _, count in series]),
        _json(rows.instances),
        entries,
        _array(gains[6]),
    ]


def _array(values: Iterable[object]) -> bytes:
    """An array as PostgreSQL's own text, of values that need no quoting or have it."""
    return f"{{{','.join(map(str, values))}}}".encode()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


async def study_by_uid(connection: Connection, tenant: UUID, study_uid: str) -> Row | None:
    """A study that is held, or None."""
    cursor = await connection.execute(
        f"select {STUDY} from study s where s.tenant = %s and s.study_uid = %s and s.state = 'held'",  # noqa: S608
        (tenant, study_uid),
    )
    return await cursor.fetchone()


async def mark_restricted(connection: Connection, tenant: UUID, study_id: UUID, *, is_restricted: bool) -> bool:
    """Mark a held study as restricted or not; False where it was so already, or is not held."""
    cursor = await connection.execute(
        "update study set is_restricted = %s where tenant = %s and id = %s and state = 'held' and is_restricted <> %s",
        (is_restricted, tenant, study_id, is_restricted),
    )
    return cursor.rowcount == 1


async def study_by_id(connection: Connection, tenant: UUID, study_id: UUID, *, lock: bool = False) -> Row | None:
    """A study in whatever state, or None."""
    ending: LiteralString = " for update" if lock else ""
    cursor = await connection.execute(
        f"select {STUDY} from study s where s.tenant = %s and s.id = %s{ending}",  # noqa: S608
        (tenant, study_id),
    )
    return await cursor.fetchone()


async def studies_of_subject(connection: Connection, tenant: UUID, subject_id: UUID, *, own: bool = False) -> list[Row]:
    """All studies that are held of a subject, newest first; or those that came with its identifier."""
    column: LiteralString = "subject_id" if own else "surviving_id"
    cursor = await connection.execute(
        f"select {STUDY} from study s where s.tenant = %s and s.{column} = %s and s.state = 'held'"  # noqa: S608
        " order by s.study_date desc, s.id desc",
        (tenant, subject_id),
    )
    return list(await cursor.fetchall())


async def series_of(connection: Connection, tenant: UUID, study_ids: Sequence[UUID]) -> list[Row]:
    """Series of some studies, in the order of their numbers."""
    cursor = await connection.execute(
        "select id, study_id, series_uid, modality, number, instance_count, sealed from series"
        " where tenant = %s and study_id = any(%s) order by number nulls last, series_uid",
        (tenant, list(study_ids)),
    )
    return list(await cursor.fetchall())


async def instances_of(
    connection: Connection,
    tenant: UUID,
    study_id: UUID,
    series_uid: str | None = None,
    instance_uid: str | None = None,
) -> list[Row]:
    """Instances of a study, a series, or one of them, in the order of series and instance numbers."""
    cursor = await connection.execute(
        f"select {_INSTANCE} from series r join instance i on i.tenant = r.tenant and i.series_id = r.id"  # noqa: S608
        " where r.tenant = %(tenant)s and r.study_id = %(study)s"
        " and (%(series)s::text is null or r.series_uid = %(series)s)"
        " and (%(instance)s::text is null or i.instance_uid = %(instance)s)"
        " order by r.number nulls last, r.series_uid, i.number nulls last, i.instance_uid",
        {"tenant": tenant, "study": study_id, "series": series_uid, "instance": instance_uid},
    )
    return list(await cursor.fetchall())


async def instance_by_uid(connection: Connection, tenant: UUID, study_id: UUID, instance_uid: str) -> Row | None:
    """One instance of a study by its UID: the short way for frames."""
    cursor = await connection.execute(
        f"select {_INSTANCE} from instance i join series r on r.tenant = i.tenant and r.id = i.series_id"  # noqa: S608
        " where i.tenant = %s and i.instance_uid = %s and r.study_id = %s",
        (tenant, instance_uid, study_id),
    )
    return await cursor.fetchone()


async def described(connection: Connection, tenant: UUID, study_id: UUID, series_uid: str | None) -> list[Row]:
    """Series of a study, or one, each with the version of what it holds and the metadata kept for that very version.

    The version is made from the heads that are there now (see `ready.version_of`), so no writer need know of it.
    """
    cursor = await connection.execute(
        "select r.id, r.series_uid, v.version, m.sealed from series r cross join lateral"
        " (select sha256(string_agg(i.head_locator, ''::bytea order by i.head_locator)) as version from instance i"
        " where i.tenant = r.tenant and i.series_id = r.id) v left join series_metadata m"
        " on m.tenant = r.tenant and m.series_id = r.id and m.version = v.version"
        " where r.tenant = %(tenant)s and r.study_id = %(study)s"
        " and (%(series)s::text is null or r.series_uid = %(series)s) and v.version is not null"
        " order by r.number nulls last, r.series_uid",
        {"tenant": tenant, "study": study_id, "series": series_uid},
    )
    return list(await cursor.fetchall())


async def keep_described(
    connection: Connection, tenant: UUID, series_id: UUID, version: bytes, sealed_metadata: bytes
) -> None:
    """Keep the metadata of a series as it is at a version, in place of what was kept before.

    Nothing is kept where the series has other heads by now: what was corrected is not to be kept as it was before. The
    lock waits for a correction that is under way, and the statement after it sees the heads that this one left.
    """
    await connection.execute(
        "select from study s join series r on r.tenant = s.tenant and r.study_id = s.id"
        " where r.tenant = %s and r.id = %s for share of s",
        (tenant, series_id),
    )
    await connection.execute(
        "insert into series_metadata (tenant, series_id, version, sealed) select %(tenant)s, %(series)s, %(version)s,"
        " %(sealed)s where %(version)s = (select sha256(string_agg(i.head_locator, ''::bytea order by i.head_locator))"
        " from instance i where i.tenant = %(tenant)s and i.series_id = %(series)s)"
        " on conflict (tenant, series_id) do update set version = excluded.version, sealed = excluded.sealed",
        {"tenant": tenant, "series": series_id, "version": version, "sealed": sealed_metadata},
    )


async def followed(
    connection: Connection, tenant: UUID, study_ids: Iterable[UUID], reach: Filter
) -> dict[UUID, tuple[str, bool]]:
    """Studies that are held, by their ids: StudyInstanceUID, and whether they are within reach."""
    condition, parameters = reach.where(COLUMNS)
    cursor = await connection.execute(
        f"select s.id, s.study_uid, {condition} as may_follow from study s"  # noqa: S608 - the decision's own words
        " where s.tenant = %(tenant)s and s.id = any(%(studies)s) and s.state = 'held'",
        {**parameters, "tenant": tenant, "studies": list(study_ids)},
    )
    return {row["id"]: (row["study_uid"], row["may_follow"]) for row in await cursor.fetchall()}


async def begin_erasure(connection: Connection, tenant: UUID, row: Row, digests: Iterable[bytes], at: datetime) -> None:
    """Take a study out of every answer, remember what is to be done, and bar its return."""
    await connection.execute(
        "with noted as (insert into erasure (tenant, study_id, subject_id, surviving_id, key, audit_key, state,"
        " started_at) values (%(tenant)s, %(id)s, %(origin)s, %(subject)s, %(key)s, %(audit_key)s, 'erasing', %(at)s)"
        " on conflict do nothing), barred as (insert into tombstone (tenant, digest, erased_at)"
        " select %(tenant)s, digest, %(at)s from unnest(%(digests)s::bytea[]) as digest on conflict do nothing)"
        " update study set state = 'erasing' where tenant = %(tenant)s and id = %(id)s",
        {
            "tenant": tenant,
            "id": row["id"],
            "origin": row["origin_id"],
            "subject": row["subject_id"],
            "key": row["key"],
            "audit_key": row["audit_key"],
            "at": at,
            "digests": sorted(digests),
        },
    )


async def remove_rows(connection: Connection, tenant: UUID, study_id: UUID) -> tuple[dict[str, int], list[bytes]]:
    """Take away all rows of a study.

    Returns:
        How many went, and where the bytes of its objects lie.
    """
    counts: dict[str, int] = {}
    tokens = await connection.execute("delete from study_token where tenant = %s and study_id = %s", (tenant, study_id))
    counts["tokens"] = tokens.rowcount
    gone = await connection.execute(
        "delete from instance where tenant = %s and series_id in (select id from series where tenant = %s"
        " and study_id = %s) returning head_locator, bulk_locator, head_bytes + bulk_bytes as length_bytes",
        (tenant, tenant, study_id),
    )
    rows = await gone.fetchall()
    counts["instances"] = len(rows)
    counts["bytes"] = sum(row["length_bytes"] for row in rows)
    series = await connection.execute("delete from series where tenant = %s and study_id = %s", (tenant, study_id))
    counts["series"] = series.rowcount
    replaced = await correcting_store.remove(connection, tenant, study_id)
    await connection.execute("delete from study where tenant = %s and id = %s", (tenant, study_id))
    locators = [row[name] for row in rows for name in ("head_locator", "bulk_locator") if row[name] is not None]
    return counts, locators + replaced


async def erasure(connection: Connection, tenant: UUID, study_id: UUID, *, lock: bool = False) -> Row | None:
    """The erasure of a study, or None."""
    columns: LiteralString = (
        "study_id, surviving_id as subject_id, subject_id as origin_id, key, audit_key, state, counts, locators,"
        " event_id, started_at, erased_at"
    )
    ending: LiteralString = " for update" if lock else ""
    cursor = await connection.execute(
        f"select {columns} from erasure where tenant = %s and study_id = %s{ending}",  # noqa: S608
        (tenant, study_id),
    )
    return await cursor.fetchone()


async def studies_after(connection: Connection, tenant: UUID, after: UUID | None, *, limit: int) -> list[Row]:
    """Held studies in the order of their ids, for what goes through all of them."""
    cursor = await connection.execute(
        f"select {STUDY} from study s where s.tenant = %(tenant)s and s.state = 'held'"  # noqa: S608
        " and (%(after)s::uuid is null or s.id > %(after)s) order by s.id limit %(limit)s",
        {"tenant": tenant, "after": after, "limit": limit},
    )
    return list(await cursor.fetchall())


async def unfinished_erasures(connection: Connection, tenant: UUID) -> list[UUID]:
    """Studies whose erasure was begun and not ended."""
    cursor = await connection.execute(
        "select study_id from erasure where tenant = %s and state <> 'erased' order by started_at", (tenant,)
    )
    return [row["study_id"] for row in await cursor.fetchall()]


async def advance_erasure(
    connection: Connection,
    tenant: UUID,
    study_id: UUID,
    *,
    counts: Mapping[str, int],
    locators: Sequence[bytes],
    event_id: UUID,
    at: datetime,
) -> None:
    """The rows are gone; what is left is the room of the bytes."""
    await connection.execute(
        "update erasure set state = 'freeing', counts = %s, locators = %s, event_id = %s, erased_at = %s"
        " where tenant = %s and study_id = %s",
        (Jsonb(dict(counts)), list(locators), event_id, at, tenant, study_id),
    )


async def end_erasure(connection: Connection, tenant: UUID, study_id: UUID) -> None:
    """Everything is gone."""
    await connection.execute(
        "update erasure set state = 'erased', locators = '{}' where tenant = %s and study_id = %s", (tenant, study_id)
    )
