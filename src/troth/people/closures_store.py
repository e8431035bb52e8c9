"""All SQL of closing accounts."""

# ruff: noqa: S608 - joined from constants

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from troth.kit.db import Connection, Row
from troth.people import trust

_COLUMNS = "id, key, email_sealed, closed_at, " + trust.OF_ACCOUNT


async def hold(connection: Connection, account_ids: Sequence[UUID]) -> list[Row]:
    """Accounts, held until the transaction ends: nobody joins or closes them meanwhile.

    Held before anything else of theirs, in one order, so that two of them never wait for each other.
    """
    cursor = await connection.execute(
        "select " + _COLUMNS + " from account where id = any(%s) order by id for no key update", (list(account_ids),)
    )
    return await cursor.fetchall()


async def mark_closed(connection: Connection, marks: Sequence[tuple[UUID, bytes]], now: datetime) -> None:
    """Note that accounts are being closed, each with what stands for its address now: keys go next, then they."""
    await connection.execute(
        "update account a set closed_at = %s, email_sealed = m.sealed from unnest(%s::uuid[], %s::bytea[])"
        " as m (id, sealed) where a.id = m.id",
        (now, [each for each, _ in marks], [sealed for _, sealed in marks]),
    )


async def closed_accounts(connection: Connection, account_ids: Sequence[UUID] | None) -> list[Row]:
    """Accounts that are being closed, stand nowhere and are still there; all, or some of them."""
    cursor = await connection.execute(
        "select " + _COLUMNS + " from account where closed_at is not null"
        " and not exists (select 1 from standing t where t.account_id = account.id)"
        " and (%(ids)s::uuid[] is null or id = any(%(ids)s))",
        {"ids": None if account_ids is None else list(account_ids)},
    )  # fmt: skip
    return await cursor.fetchall()


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
