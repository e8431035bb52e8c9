"""All SQL of closing accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from troth.kit.db import Connection, Row


async def mark_closed(connection: Connection, account_ids: Sequence[UUID], now: datetime) -> None:
    """Note that accounts are being closed: their keys go next, then they."""
    await connection.execute("update account set closed_at = %s where id = any(%s)", (now, list(account_ids)))


async def closed_accounts(connection: Connection, account_ids: Sequence[UUID] | None) -> list[Row]:
    """Accounts that are being closed and are still there; all, or some of them."""
    return await (
        await connection.execute(
            b"select id, key from account where closed_at is not null"
            b" and (%(ids)s::uuid[] is null or id = any(%(ids)s))",
            {"ids": None if account_ids is None else list(account_ids)},
        )
    ).fetchall()


async def put_member_name(connection: Connection, account_id: UUID, sealed: bytes) -> None:
    """Write the name of a member, anew."""
    await connection.execute("update membership set name_sealed = %s where account_id = %s", (sealed, account_id))


async def delete_accounts(connection: Connection, account_ids: Sequence[UUID]) -> None:
    """Take accounts away that stand nowhere."""
    await connection.execute(
        "delete from account a where a.id = any(%s)"
        " and not exists (select 1 from standing t where t.account_id = a.id)",
        (list(account_ids),),
    )
