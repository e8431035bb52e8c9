"""SQL of who let whom in, and of what waits for a second person."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from troth.kit.db import Connection, Row


async def insert_way(connection: Connection, values: dict[str, Any]) -> None:
    """Keep how an account came in, and which accounts had to agree."""
    await connection.execute(
        "insert into way_in (tenant, id, account_id, role, way, accounts, made_at) values"
        " (%(tenant)s, %(id)s, %(account_id)s, %(role)s, %(way)s, %(accounts)s, %(made_at)s)",
        values,
    )


async def ways(connection: Connection) -> dict[UUID, list[frozenset[UUID]]]:
    """The ways in of every account of the scope's organisation."""
    cursor = await connection.execute("select account_id, accounts from way_in")
    found: dict[UUID, list[frozenset[UUID]]] = {}
    for row in await cursor.fetchall():
        found.setdefault(row["account_id"], []).append(frozenset(row["accounts"]))
    return found


async def insert(connection: Connection, values: dict[str, Any]) -> None:
    """Keep what waits for a second person."""
    await connection.execute(
        "insert into admission (tenant, id, account_id, role, invitee_sealed, proposed_by, proposed_at, expires_at)"
        " values (%(tenant)s, %(id)s, %(account_id)s, %(role)s, %(invitee_sealed)s, %(proposed_by)s, %(proposed_at)s,"
        " %(expires_at)s)",
        values,
    )


async def waiting(connection: Connection, now: datetime, admission_id: UUID | None = None) -> list[Row]:
    """What waits for a second person and has not lapsed, oldest first; all, or one."""
    cursor = await connection.execute(
        "select id, account_id, role, invitee_sealed, proposed_by, proposed_at, expires_at from admission"
        " where state = 'waits' and expires_at > %(now)s and (%(id)s::uuid is null or id = %(id)s)"
        " order by proposed_at",
        {"now": now, "id": admission_id},
    )
    return list(await cursor.fetchall())


async def decide(connection: Connection, admission_id: UUID, state: str, by: UUID | None, now: datetime) -> bool:
    """Decide what waits; False where it was decided before, or has lapsed. What was sealed in it goes."""
    cursor = await connection.execute(
        "update admission set state = %(state)s, decided_by = %(by)s, decided_at = %(now)s,"
        " invitee_sealed = case when account_id is null then ''::bytea end"
        " where id = %(id)s and state = 'waits' and expires_at > %(now)s",
        {"id": admission_id, "state": state, "by": by, "now": now},
    )
    return cursor.rowcount == 1
