"""All SQL of quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from troth import people
from troth.archive.errors import StudyMisplaced
from troth.archive.model import Row
from troth.kit.db import Connection
from troth.vault import KeyDestroyed, Keyring

_COLUMNS: LiteralString = """id, reason, study_uid, series_uid, instance_uid, sop_class, syntax, modality,
    patient_key_token, study_digest, digest, key, head_locator, head_bytes, bulk_locator, bulk_bytes, frame_table,
    sealed, sender_id, received_at"""
_GROUP: LiteralString = """tenant = %(tenant)s and state = 'kept' and study_uid = %(study)s and reason = %(reason)s
    and patient_key_token = %(patient)s"""


async def alone(connection: Connection, tenant: UUID) -> None:
    """Keep others from putting anything into an organisation's quarantine until this transaction ends."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('quarantine:' || %s::text, 0))", (tenant,))


async def settle_studies(connection: Connection, tenant: UUID, study_uids: Sequence[str]) -> None:
    """Wait for erasures of these studies that are under way, and keep others from beginning until this ends."""
    await connection.execute(
        "select id from study where tenant = %s and study_uid = any(%s) order by id for share",
        (tenant, sorted(study_uids)),
    )


async def barred(connection: Connection, tenant: UUID, digests: Sequence[bytes]) -> set[bytes]:
    """Which of some tombstones there are."""
    cursor = await connection.execute(
        "select digest from tombstone where tenant = %s and digest = any(%s)", (tenant, list(digests))
    )
    return {bytes(row["digest"]) for row in await cursor.fetchall()}


async def known(connection: Connection, tenant: UUID, digests: Sequence[bytes]) -> set[bytes]:
    """Which of some bytes are kept apart already."""
    cursor = await connection.execute(
        "select digest from quarantined where tenant = %s and state = 'kept' and digest = any(%s)",
        (tenant, list(digests)),
    )
    return {bytes(row["digest"]) for row in await cursor.fetchall()}


async def totals(connection: Connection, tenant: UUID) -> tuple[int, int]:
    """How many instances are kept apart, and their bytes; those that are about to go are still there."""
    cursor = await connection.execute(
        "select count(*) as number, coalesce(sum(head_bytes + bulk_bytes), 0)::bigint as length_bytes"
        " from quarantined where tenant = %s",
        (tenant,),
    )
    (row,) = await cursor.fetchall()
    return row["number"], row["length_bytes"]


async def put(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put rows in."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "insert into quarantined (tenant, id, reason, study_uid, series_uid, instance_uid, sop_class, syntax,"
            " modality, patient_key_token, study_digest, digest, key, head_locator, head_bytes, bulk_locator,"
            " bulk_bytes, frame_table, sealed, sender_id, received_at) values (%(tenant)s, %(id)s, %(reason)s,"
            " %(study_uid)s, %(series_uid)s, %(instance_uid)s, %(sop_class)s, %(syntax)s, %(modality)s,"
            " %(patient_key_token)s, %(study_digest)s, %(digest)s, %(key)s, %(head_locator)s, %(head_bytes)s,"
            " %(bulk_locator)s, %(bulk_bytes)s, %(frame_table)s, %(sealed)s, %(sender_id)s, %(received_at)s)",
            [dict(row) for row in rows],
        )


async def to_end(
    connection: Connection,
    tenant: UUID,
    *,
    study_uid: str | None = None,
    patient_key_token: int | None = None,
    before: datetime | None = None,
) -> list[Row]:
    """Rows that are to be destroyed unless something keeps them, locked.

    Args:
        connection: A transaction.
        tenant: The organisation.
        study_uid: Those that say they are of this study.
        patient_key_token: Or those that say they are of this patient.
        before: Or those that came before this.
    """
    cursor = await connection.execute(
        "select id, study_uid, patient_key_token from quarantined where tenant = %(tenant)s and state = 'kept'"
        " and (study_uid = %(study)s::text or patient_key_token = %(patient)s::int8"
        " or received_at < %(before)s::timestamptz) order by id for update",
        {"tenant": tenant, "study": study_uid, "patient": patient_key_token, "before": before},
    )
    return list(await cursor.fetchall())


async def end(connection: Connection, tenant: UUID, ids: Sequence[UUID]) -> list[Row]:
    """Take rows out of every answer; `ending` has what is left to be done."""
    cursor = await connection.execute(
        "update quarantined set state = 'ending' where tenant = %s and state = 'kept' and id = any(%s)"  # noqa: S608
        f" returning {_COLUMNS}",
        (tenant, list(ids)),
    )
    return list(await cursor.fetchall())


async def studies_held(
    connection: Connection, tenant: UUID, study_ids: Sequence[UUID], subject_ids: Sequence[UUID]
) -> list[Row]:
    """UIDs and tokens of some studies, and of those of some subjects and all that are merged with them."""
    cursor = await connection.execute(
        "select s.study_uid, s.patient_key_token, s.corrected_key_token, false as is_of_subject from study s"
        " where s.tenant = %(tenant)s and s.id = any(%(studies)s) union all"
        " select s.study_uid, s.patient_key_token, s.corrected_key_token, true from study s"
        " where s.tenant = %(tenant)s"
        " and s.surviving_id = any(array(select subject_surviving(t) from unnest(%(subjects)s::uuid[]) t))",
        {"tenant": tenant, "studies": list(study_ids), "subjects": list(subject_ids)},
    )
    return list(await cursor.fetchall())


async def ending(connection: Connection, tenant: UUID, *, limit: int) -> list[Row]:
    """Rows whose key and bytes are to go."""
    cursor = await connection.execute(
        "select id, key, head_locator, bulk_locator from quarantined where tenant = %s and state = 'ending'"
        " order by id limit %s",
        (tenant, limit),
    )
    return list(await cursor.fetchall())


async def kept_keys(connection: Connection, tenant: UUID) -> list[Row]:
    """Keys of all that is kept apart."""
    cursor = await connection.execute(
        "select id, key from quarantined where tenant = %s and state = 'kept' order by id", (tenant,)
    )
    return list(await cursor.fetchall())


async def remove(connection: Connection, tenant: UUID, ids: Sequence[UUID], state: str) -> int:
    """Take rows of a state away; how many there were."""
    cursor = await connection.execute(
        "delete from quarantined where tenant = %s and state = %s and id = any(%s)", (tenant, state, list(ids))
    )
    return cursor.rowcount


async def bar(connection: Connection, tenant: UUID, digests: Sequence[bytes], at: datetime) -> None:
    """Bar studies of patients from coming back."""
    await connection.execute(
        "insert into tombstone (tenant, digest, erased_at) select %s, digest, %s from unnest(%s::bytea[]) as digest"
        " on conflict do nothing",
        (tenant, at, list(set(digests))),
    )


async def tokens_of_last_study(connection: Connection, tenant: UUID, study: Row) -> list[int]:
    """Tokens of the patient's identifier, as sent and as corrected, where nothing else is held of a study's subject."""
    cursor = await connection.execute(
        "select s.patient_key_token, s.corrected_key_token from study s where s.tenant = %(tenant)s and s.id = %(id)s"
        " and not exists (select from study x where x.tenant = s.tenant and x.subject_id = s.subject_id"
        " and x.state = 'held')",
        {"tenant": tenant, "id": study["id"]},
    )
    row = await cursor.fetchone()
    return [token for token in (row or {}).values() if token is not None]


async def groups(connection: Connection, tenant: UUID, *, limit: int) -> list[Row]:
    """What is kept apart, by study and reason, newest first; each with the row that came last."""
    cursor = await connection.execute(
        "select g.reason, g.study_uid, g.patient_key_token, g.number, g.length_bytes, g.first_at, g.last_at,"
        " g.modalities, q.id, q.key, q.head_locator, q.bulk_locator, q.sealed"
        " from (select reason, study_uid, patient_key_token,"
        " count(*) as number, sum(head_bytes + bulk_bytes)::bigint as length_bytes, min(received_at) as first_at,"
        " max(received_at) as last_at, array_agg(distinct modality) filter (where modality <> '') as modalities,"
        " max(id::text)::uuid as newest from quarantined where tenant = %(tenant)s and state = 'kept'"
        " group by 1, 2, 3) g join quarantined q on q.tenant = %(tenant)s and q.id = g.newest"
        " order by g.last_at desc, q.id desc limit %(limit)s",
        {"tenant": tenant, "limit": limit},
    )
    return list(await cursor.fetchall())


async def one(connection: Connection, tenant: UUID, quarantined_id: UUID, *, lock: bool = False) -> Row | None:
    """One row that is kept apart, or None."""
    ending: LiteralString = " for update" if lock else ""
    cursor = await connection.execute(
        f"select {_COLUMNS} from quarantined where tenant = %s and id = %s and state = 'kept'{ending}",  # noqa: S608
        (tenant, quarantined_id),
    )
    return await cursor.fetchone()


async def group_of(connection: Connection, tenant: UUID, row: Row) -> list[Row]:
    """Names of all in the same group as a row, newest first."""
    cursor = await connection.execute(
        "select id, series_uid, instance_uid, digest, head_bytes + bulk_bytes as length_bytes, modality, received_at"  # noqa: S608
        f" from quarantined where {_GROUP} order by id desc",
        {"tenant": tenant, "study": row["study_uid"], "reason": row["reason"], "patient": row["patient_key_token"]},
    )
    return list(await cursor.fetchall())


async def some(connection: Connection, tenant: UUID, ids: Sequence[UUID]) -> list[Row]:
    """Some rows that are kept apart, oldest first."""
    cursor = await connection.execute(
        f"select {_COLUMNS} from quarantined where tenant = %s and state = 'kept' and id = any(%s) order by id",  # noqa: S608
        (tenant, list(ids)),
    )
    return list(await cursor.fetchall())


_HELD: LiteralString = (
    "select i.id, i.instance_uid, i.sop_class, i.syntax, i.number, i.rows, i.columns, i.frames, i.head_locator,"  # noqa: S608 - words of ours
    """ i.head_bytes, i.bulk_locator, i.bulk_bytes, i.bulk_tag, i.bulk_vr, i.bulk_length, i.frame_table,
    i.sealed, r.series_uid, s.study_uid, s.id as study_id, s.key as study_key, s.subject_id, s.audit_key,
    s.surviving_id, s.patient_key_token, s.corrected_key_token, s.standing_sealed, s.is_restricted,
    s.tenant, s.key, s.subject_id as origin_id, """
    + people.OWNER_COLUMNS
    + """
    from instance i join series r on r.tenant = i.tenant and r.id = i.series_id
    join study s on s.tenant = r.tenant and s.id = r.study_id where i.tenant = %(tenant)s and s.state = 'held' and """
)
_AGAINST: Mapping[str, LiteralString] = {
    "duplicate-differs": "i.instance_uid = %(instance)s",
    "other-study": "r.series_uid = %(series)s order by i.number nulls last, i.instance_uid limit 1",
    "other-patient": "s.study_uid = %(study)s"
    " order by r.number nulls last, r.series_uid, i.number nulls last, i.instance_uid limit 1",
}


async def held_against(connection: Connection, keyring: Keyring, tenant: UUID, row: Row) -> Row | None:
    """What a row contradicts: the instance of its UID, or the first one of its series or study; or None.

    Raises:
        StudyMisplaced: It is of a study that is not owned by whom its row names.
    """
    cursor = await connection.execute(
        _HELD + _AGAINST[row["reason"]],
        {
            "tenant": tenant,
            "instance": row["instance_uid"],
            "series": row["series_uid"],
            "study": row["study_uid"],
        },
    )
    held = await cursor.fetchone()
    with suppress(KeyDestroyed):
        if held is not None and not people.is_owned(keyring, held):
            raise StudyMisplaced(held["study_id"])
    return held


async def held_uids(connection: Connection, tenant: UUID, instance_uids: Sequence[str]) -> set[str]:
    """Which of some SOP Instance UIDs are held."""
    cursor = await connection.execute(
        "select instance_uid from instance where tenant = %s and instance_uid = any(%s)", (tenant, list(instance_uids))
    )
    return {row["instance_uid"] for row in await cursor.fetchall()}
