"""All SQL of legal holds; everything lies behind row-level security."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, LiteralString
from uuid import UUID

from troth.kit.db import Connection, Row
from troth.policy import belief

_KIN: LiteralString = "array(select k from unnest(%(targets)s::uuid[]) t, subject_kin(t) k)"
_HOLD = """id, tenant, scope, target_id, owner_id, review_on, ends_on, made_at, released_at, key_ref, sealed"""


async def insert(connection: Connection, values: dict[str, Any]) -> None:
    """Place a hold."""
    columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    await connection.execute(f"insert into legal_hold ({columns}) values ({places})".encode(), values)  # noqa: S608


async def ever_on(connection: Connection, targets: Sequence[UUID]) -> list[Row]:
    """Every hold that was ever on any of these, or on a subject that is merged with one of them; with what binds it.

    Also those that say that they are released: whether that is so, their tag tells.
    """
    cursor = await connection.execute(
        "select tenant, id, released_at, ends_on, " + belief.columns("legal_hold", "legal_hold")  # noqa: S608
        + " from legal_hold where target_id = any(" + _KIN + ")",
        {"targets": list(targets)},
    )  # fmt: skip
    return await cursor.fetchall()


async def placed_since(connection: Connection, target_id: UUID, since: datetime, day: date) -> bool:
    """Whether a hold in force on something was placed since a moment."""
    cursor = await connection.execute(
        "select 1 from legal_hold where target_id = %s and made_at > %s and released_at is null "
        "and (ends_on is null or ends_on >= %s) limit 1",
        (target_id, since, day),
    )
    return await cursor.fetchone() is not None


async def in_force(connection: Connection, day: date, targets: Sequence[UUID] | None = None) -> list[Row]:
    """Holds in force, by day of review; on some things only, or all of the organisation."""
    cursor = await connection.execute(
        f"select {_HOLD} from legal_hold where released_at is null "  # noqa: S608
        "and (ends_on is null or ends_on >= %(day)s) "
        f"and (%(targets)s::uuid[] is null or target_id = any({_KIN})) order by review_on, made_at".encode(),
        {"day": day, "targets": list(targets) if targets is not None else None},
    )
    return await cursor.fetchall()


async def hold(connection: Connection, hold_id: UUID) -> Row | None:
    """One hold; locked until the transaction ends."""
    cursor = await connection.execute(
        f"select {_HOLD} from legal_hold where id = %s for update".encode(),  # noqa: S608
        (hold_id,),
    )
    return await cursor.fetchone()


async def release(connection: Connection, values: dict[str, Any]) -> None:
    """Release a hold."""
    await connection.execute(
        "update legal_hold set released_at = %(released_at)s, released_by = %(released_by)s, sealed = %(sealed)s "
        "where id = %(id)s",
        values,
    )
