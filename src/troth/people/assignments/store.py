"""All SQL of assignments; everything lies behind row-level security."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from troth.kit.db import Connection, Row
from troth.policy import belief

# With the subject that an assignment is about now: of a merged one, the survivor. Its entries stay in its own list.
_ASSIGNMENT = """subject_surviving(subject_id) as surviving_id, id, tenant, account_id, way, subject_id,
    study_id, made_by, made_at, until, ended_at, reviewed_at,
    key_ref, sealed"""


async def insert(connection: Connection, values: dict[str, Any], now: datetime) -> bool:
    """Record an assignment; False when the same one is in force. One whose time is over makes room for it."""
    await connection.execute(
        "update assignment set ended_at = until where account_id = %(account_id)s and way = %(way)s "
        "and subject_id is not distinct from %(subject_id)s and study_id is not distinct from %(study_id)s "
        "and ended_at is null and until <= %(now)s",
        {**values, "now": now},
    )
    columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    cursor = await connection.execute(
        f"insert into assignment ({columns}) values ({places}) on conflict do nothing".encode(),  # noqa: S608
        values,
    )
    return cursor.rowcount == 1


async def standing(
    connection: Connection, account_id: UUID, subject_id: UUID | None, study_id: UUID | None, now: datetime
) -> list[Row]:
    """Assignments of somebody to a person or study at a moment; on duty whatever it is. With what binds them."""
    cursor = await connection.execute(
        "select tenant, id, way, "  # noqa: S608
        + belief.columns("assignment", "assignment")
        + " from assignment where account_id = %(account)s and ended_at is null and until > %(now)s "
        "and (way = 'duty' or study_id = %(study)s "
        "or (study_id is null and subject_id = any(array(select subject_kin(%(subject)s)))))",
        {"account": account_id, "subject": subject_id, "study": study_id, "now": now},
    )
    return await cursor.fetchall()


async def in_force(connection: Connection, now: datetime, subject_id: UUID | None, limit: int) -> list[Row]:
    """Assignments in force, of one person or of the organisation, newest first."""
    cursor = await connection.execute(
        f"select {_ASSIGNMENT} from assignment where ended_at is null and until > %(now)s "  # noqa: S608
        "and (%(subject)s::uuid is null or subject_id = any(array(select subject_kin(%(subject)s)))) "
        "order by made_at desc limit %(limit)s".encode(),
        {"now": now, "subject": subject_id, "limit": limit},
    )
    return await cursor.fetchall()


async def emergencies(connection: Connection, limit: int) -> list[Row]:
    """What was opened in an emergency: first what nobody has checked, then the newest."""
    cursor = await connection.execute(
        f"select {_ASSIGNMENT} from assignment where way = 'emergency' "  # noqa: S608
        "order by reviewed_at is not null, made_at desc limit %s".encode(),
        (limit,),
    )
    return await cursor.fetchall()


async def one(connection: Connection, assignment_id: UUID) -> Row | None:
    """One assignment; locked until the transaction ends."""
    cursor = await connection.execute(
        f"select {_ASSIGNMENT} from assignment where id = %s for update".encode(),  # noqa: S608
        (assignment_id,),
    )
    return await cursor.fetchone()


async def change(connection: Connection, assignment_id: UUID, values: dict[str, Any]) -> None:
    """End or check an assignment."""
    places = ", ".join(f"{name} = %({name})s" for name in values)
    await connection.execute(
        f"update assignment set {places} where id = %(id)s".encode(),  # noqa: S608
        {**values, "id": assignment_id},
    )
