"""All SQL of reminders; everything lies behind row-level security."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from troth.kit.db import Connection


async def is_off(connection: Connection, account_id: UUID) -> bool:
    """Whether somebody turned them off."""
    row = await connection.execute(b"select from reminder where account_id = %s and is_off", (account_id,))
    return await row.fetchone() is not None


async def turn(connection: Connection, tenant: UUID, account_id: UUID, *, is_off: bool) -> None:
    """Turn them off, or on again."""
    await connection.execute(
        b"""insert into reminder (tenant, account_id, is_off) values (%s, %s, %s)
        on conflict (tenant, account_id) do update set is_off = excluded.is_off""",
        (tenant, account_id, is_off),
    )


async def done_with(connection: Connection, today: date) -> set[UUID]:
    """The accounts that are not written to today: they turned it off, or had theirs."""
    rows = await connection.execute(b"select account_id from reminder where is_off or mailed_on >= %s", (today,))
    return {row["account_id"] for row in await rows.fetchall()}


async def note(connection: Connection, tenant: UUID, account_id: UUID, today: date) -> None:
    """Somebody was written to today."""
    await connection.execute(
        b"""insert into reminder (tenant, account_id, mailed_on) values (%s, %s, %s)
        on conflict (tenant, account_id) do update set mailed_on = excluded.mailed_on""",
        (tenant, account_id, today),
    )
