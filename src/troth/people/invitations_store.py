"""SQL of invitations."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql

from troth.kit.db import Connection, Row


async def insert(connection: Connection, values: dict[str, Any]) -> None:
    """Keep an invitation."""
    statement = sql.SQL("insert into invitation ({}) values ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(map(sql.Placeholder, values))
    )
    await connection.execute(statement, values)


async def end_of_subject(connection: Connection, subject_id: UUID, now: datetime) -> None:
    """End earlier invitations of a subject, so that there is never more than one to try."""
    await connection.execute(
        "update invitation set expires_at = %s, invitee_sealed = '' where subject_id = %s and used_at is null"
        " and expires_at > %s",
        (now, subject_id, now),
    )


async def open_of_subject(connection: Connection, subject_id: UUID, now: datetime) -> Row | None:
    """The invitation of a subject that can still be answered; None where there is none."""
    cursor = await connection.execute(
        "select id, expires_at from invitation where subject_id = %s and used_at is null and withdrawn_at is null"
        " and expires_at > %s order by made_at desc limit 1",
        (subject_id, now),
    )
    return await cursor.fetchone()


async def by_digest(connection: Connection, digest: bytes) -> Row | None:
    """An invitation, held by this transaction until it ends: tries are made one after the other."""
    cursor = await connection.execute(
        "select tenant, id, digest, kind, subject_id, role, code_digest, invitee_sealed, tries, expires_at, used_at,"
        " let_in_by from invitation where digest = %s for update",
        (digest,),
    )
    return await cursor.fetchone()


async def of_staff(connection: Connection, invitation_id: UUID | None = None) -> list[Row]:
    """Invitations of future members that were neither used nor withdrawn, newest first; all, or one."""
    cursor = await connection.execute(
        "select tenant, id, digest, role, let_in_by, invitee_sealed, made_by, made_at, expires_at from invitation"
        " where kind = 'user' and used_at is null and withdrawn_at is null and (%(id)s::uuid is null or id = %(id)s)"
        " order by made_at desc",
        {"id": invitation_id},
    )
    return list(await cursor.fetchall())


async def withdraw(connection: Connection, invitation_id: UUID, now: datetime) -> bool:
    """End an invitation that nobody used, and forget whose it was; False where it was used or withdrawn before."""
    cursor = await connection.execute(
        "update invitation set withdrawn_at = %s, expires_at = least(expires_at, %s), invitee_sealed = '' where id = %s"
        " and used_at is null and withdrawn_at is null",
        (now, now, invitation_id),
    )
    return cursor.rowcount == 1


async def renew(connection: Connection, invitation_id: UUID, values: dict[str, Any]) -> bool:
    """Give an invitation another secret and another end; False where it was used or withdrawn meanwhile."""
    cursor = await connection.execute(
        "update invitation set digest = %(digest)s, expires_at = %(expires_at)s, invitee_sealed = %(invitee_sealed)s"
        " where id = %(id)s and used_at is null and withdrawn_at is null",
        {**values, "id": invitation_id},
    )
    return cursor.rowcount == 1


async def count_try(connection: Connection, invitation_id: UUID) -> int:
    """Count one wrong try.

    Returns:
        How many there were.
    """
    cursor = await connection.execute(
        "update invitation set tries = tries + 1 where id = %s returning tries", (invitation_id,)
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["tries"])


async def use(connection: Connection, invitation_id: UUID, now: datetime) -> bool:
    """Use an invitation up, and forget whose it was; False when somebody was faster, to use or to withdraw it."""
    cursor = await connection.execute(
        "update invitation set used_at = %s, invitee_sealed = '' where id = %s and used_at is null"
        " and withdrawn_at is null",
        (now, invitation_id),
    )
    return cursor.rowcount == 1
