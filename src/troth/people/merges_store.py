"""All SQL of merges, candidates and the rule about issuers; everything lies behind row-level security."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from troth.kit.db import Connection, Row

_MERGE = """id, tenant, subject_id, surviving_id, rule_id, made_by, made_at, ended_at, key_ref, sealed"""
_SUBJECT = "tenant, id, key, audit_key, demographics_sealed"
# Neither is merged into another: what is merged is nobody of its own.
_BOTH_STAND = """not exists (select from subject_merge m where m.tenant = a.tenant
    and m.subject_id in (a.id, b.id) and m.ended_at is null)"""
_NOT_APART = """not exists (select from subject_apart n where n.tenant = a.tenant
    and n.subject_id = least(a.id, b.id) and n.other_subject_id = greatest(a.id, b.id))"""

_WITH_PATIENT_ID: LiteralString = """array(select m.surviving_id from subject_merge m where m.tenant = {tenant}
    and m.patient_id_token = {token} and m.ended_at is null union all select m.surviving_id from subject_merge m
    where m.tenant = {tenant} and m.surviving_patient_id_token = {token} and m.ended_at is null)"""


def with_patient_id(tenant: LiteralString, token: LiteralString) -> LiteralString:
    """SQL of the surviving subjects of which some identifier has a PatientID, as an array; empty without merges.

    Args:
        tenant: The tenant as SQL, such as the name of a parameter.
        token: The token that the PatientID is searched by, as SQL.
    """
    return _WITH_PATIENT_ID.replace("{tenant}", tenant).replace("{token}", token)


async def _all(connection: Connection, statement: str, values: dict[str, Any]) -> list[Row]:
    return await (await connection.execute(statement.encode(), values)).fetchall()


async def _insert(connection: Connection, table: str, values: dict[str, Any]) -> bool:
    columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    statement = f"insert into {table} ({columns}) values ({places}) on conflict do nothing"  # noqa: S608 - names are ours
    return (await connection.execute(statement.encode(), values)).rowcount == 1


async def surviving(connection: Connection, subject_id: UUID) -> UUID:
    """Whose the data of a subject is now: its own, or of the one that it is merged into."""
    rows = await _all(connection, "select subject_surviving(%(id)s) as id", {"id": subject_id})
    found: UUID = rows[0]["id"]
    return found


async def kin(connection: Connection, subject_id: UUID) -> list[UUID]:
    """All subjects that are the same human being; the surviving one first."""
    rows = await _all(connection, "select subject_kin(%(id)s) as id", {"id": subject_id})
    return [row["id"] for row in rows]


async def lock(connection: Connection, subject_ids: Sequence[UUID]) -> list[Row]:
    """Subjects, held by this transaction until it ends: nobody makes a study of them meanwhile, or merges them."""
    return await _all(
        connection,
        f"select {_SUBJECT} from subject where id = any(%(ids)s) order by id for update",  # noqa: S608
        {"ids": list(subject_ids)},
    )


async def standing(connection: Connection, subject_ids: Sequence[UUID]) -> list[Row]:
    """Merges in force that some subjects take part in, on either side."""
    return await _all(
        connection,
        f"select {_MERGE} from subject_merge where ended_at is null "  # noqa: S608
        "and (subject_id = any(%(ids)s) or surviving_id = any(%(ids)s))",
        {"ids": list(subject_ids)},
    )


async def insert(connection: Connection, values: dict[str, Any]) -> bool:
    """Record a merge; False where the subject is merged already."""
    return await _insert(connection, "subject_merge", values)


async def merge(connection: Connection, merge_id: UUID) -> Row | None:
    """A merge, whether it stands or not."""
    rows = await _all(connection, f"select {_MERGE} from subject_merge where id = %(id)s", {"id": merge_id})  # noqa: S608
    return rows[0] if rows else None


async def merges(connection: Connection, rule_id: UUID | None, limit: int) -> list[Row]:
    """Merges in force, newest first; of one rule where that is given."""
    return await _all(
        connection,
        f"select {_MERGE} from subject_merge where ended_at is null "  # noqa: S608
        "and (%(rule)s::uuid is null or rule_id = %(rule)s) order by made_at desc, id desc limit %(limit)s",
        {"rule": rule_id, "limit": limit},
    )


async def end(connection: Connection, merge_id: UUID, now: datetime, ended_by: UUID | None) -> bool:
    """End a merge; False when somebody was faster."""
    cursor = await connection.execute(
        "update subject_merge set ended_at = %s, ended_by = %s where id = %s and ended_at is null",
        (now, ended_by, merge_id),
    )
    return cursor.rowcount == 1


async def said_since(connection: Connection, subject_id: UUID, since: datetime) -> bool:
    """Whether a restriction or objection that stands was made by a subject since a moment."""
    rows = await _all(
        connection,
        "select 1 from restriction where subject_id = %(id)s and made_at > %(since)s and lifted_at is null "
        "and study_id is null "
        "union all select 1 from choice where holder_id = %(id)s and made_at > %(since)s and is_current "
        "and kind = 'objection' and state in ('granted', 'waiting') limit 1",
        {"id": subject_id, "since": since},
    )
    return bool(rows)


# Candidates


async def undescribed(connection: Connection, limit: int) -> list[Row]:
    """Subjects that were made before candidates were looked for."""
    return await _all(
        connection,
        f"select {_SUBJECT} from subject where likeness_token is null limit %(limit)s",  # noqa: S608
        {"limit": limit},
    )


async def describe(connection: Connection, subject_id: UUID, likeness_token: int) -> None:
    """Note what a subject is compared by; 0 where it is compared with nobody."""
    await connection.execute("update subject set likeness_token = %s where id = %s", (likeness_token, subject_id))


async def alike(connection: Connection, limit: int) -> list[tuple[UUID, UUID]]:
    """Pairs of subjects with the same name and birth date, newest first."""
    rows = await _all(
        connection,
        "select a.id, b.id as other_id from subject a join subject b on b.tenant = a.tenant "  # noqa: S608
        "and b.likeness_token = a.likeness_token and b.likeness_token <> 0 and b.id > a.id "
        f"where a.likeness_token <> 0 and {_BOTH_STAND} and {_NOT_APART} order by b.id desc, a.id limit %(limit)s",
        {"limit": limit},
    )
    return [(row["id"], row["other_id"]) for row in rows]


async def under_rule(
    connection: Connection, no_issuer: int, issuer_token: int, after: UUID | None, limit: int
) -> list[tuple[UUID, UUID]]:
    """Pairs of subjects with one PatientID: without an issuer, and of an issuer. In the order of the first ones."""
    rows = await _all(
        connection,
        "select a.id, b.id as other_id from subject a join subject b on b.tenant = a.tenant "  # noqa: S608
        "and b.patient_token = a.patient_token and b.issuer_token = %(issuer)s "
        f"where a.issuer_token = %(none)s and {_BOTH_STAND} and {_NOT_APART} "
        "and (%(after)s::uuid is null or a.id > %(after)s) order by a.id limit %(limit)s",
        {"none": no_issuer, "issuer": issuer_token, "after": after, "limit": limit},
    )
    return [(row["id"], row["other_id"]) for row in rows]


async def may_merge(connection: Connection, subject_id: UUID, other_id: UUID) -> bool:
    """Whether neither of two subjects is merged into another, and nobody said that they are two human beings."""
    rows = await _all(
        connection,
        f"select 1 from subject a join subject b on b.tenant = a.tenant and b.id = %(other)s "  # noqa: S608
        f"where a.id = %(id)s and {_BOTH_STAND} and {_NOT_APART}",
        {"id": subject_id, "other": other_id},
    )
    return bool(rows)


async def set_apart(connection: Connection, values: dict[str, Any]) -> bool:
    """Note that two subjects are two human beings; False where that was known."""
    return await _insert(connection, "subject_apart", values)


async def not_apart(connection: Connection, first_id: UUID, second_id: UUID) -> None:
    """Two subjects are one human being after all."""
    await connection.execute(
        "delete from subject_apart where subject_id = %s and other_subject_id = %s",
        (min(first_id, second_id), max(first_id, second_id)),
    )


# The rule


async def rule(connection: Connection) -> Row | None:
    """The rule in force."""
    rows = await _all(
        connection,
        "select id, tenant, issuer_token, made_at, key_ref, sealed from identity_rule where ended_at is null",
        {},
    )
    return rows[0] if rows else None


async def insert_rule(connection: Connection, values: dict[str, Any]) -> bool:
    """State a rule; False where one is in force."""
    return await _insert(connection, "identity_rule", values)


async def end_rule(connection: Connection, rule_id: UUID, now: datetime, ended_by: UUID | None) -> bool:
    """End a rule; False when somebody was faster."""
    cursor = await connection.execute(
        "update identity_rule set ended_at = %s, ended_by = %s where id = %s and ended_at is null",
        (now, ended_by, rule_id),
    )
    return cursor.rowcount == 1
