"""All SQL of telling people. Platform-wide: accounts and notices belong to no organisation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from troth.kit.db import Connection, Row


async def known(connection: Connection) -> dict[UUID, bool]:
    """The versions that were taken up, and whether each was told to the end."""
    found = await connection.execute("select version_id, told_at is not null as is_told from amendment")
    return {row["version_id"]: bool(row["is_told"]) for row in await found.fetchall()}


async def take_up(connection: Connection, version_id: UUID, is_material: bool, at: datetime) -> bool:
    """Begin to tell of a version; False when somebody did before."""
    cursor = await connection.execute(
        "insert into amendment (version_id, is_material, queued_at) values (%s, %s, %s) on conflict do nothing",
        (version_id, is_material, at),
    )
    return bool(cursor.rowcount)


async def queue(connection: Connection, version_id: UUID, accounts: Sequence[tuple[UUID, Sequence[str]]]) -> None:
    """Name every account that has to be written to; those named before stay as they are."""
    if not accounts:
        return
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "insert into amendment_message (version_id, account_id, audiences) values (%s, %s, %s)"
            " on conflict do nothing",
            [(version_id, account_id, list(audiences)) for account_id, audiences in accounts],
        )


async def waiting(connection: Connection, version_id: UUID, limit: int) -> list[UUID]:
    """Accounts that were not written to yet."""
    found = await connection.execute(
        "select account_id from amendment_message where version_id = %s and sent_at is null"
        " order by account_id limit %s",
        (version_id, limit),
    )
    return [row["account_id"] for row in await found.fetchall()]


async def claim(connection: Connection, version_id: UUID, account_id: UUID) -> Row | None:
    """Lock a message that was not sent; None when it was, or another worker has it."""
    found = await connection.execute(
        "select audiences from amendment_message where version_id = %s and account_id = %s and sent_at is null"
        " for update skip locked",
        (version_id, account_id),
    )
    return await found.fetchone()


async def sent(connection: Connection, version_id: UUID, account_id: UUID, at: datetime) -> None:
    """Write down that a message left."""
    await connection.execute(
        "update amendment_message set sent_at = %s where version_id = %s and account_id = %s",
        (at, version_id, account_id),
    )


async def finish(connection: Connection, version_id: UUID, at: datetime) -> bool:
    """Write down that everybody was told; False when it was before."""
    cursor = await connection.execute(
        "update amendment set told_at = %s where version_id = %s and told_at is null", (at, version_id)
    )
    return bool(cursor.rowcount)


async def progress(connection: Connection, version_id: UUID) -> Row | None:
    """How far a version was told."""
    found = await connection.execute(
        "select a.told_at, count(m.account_id) as accounts, count(m.sent_at) as sent from amendment a"
        " left join amendment_message m on m.version_id = a.version_id where a.version_id = %s group by a.told_at",
        (version_id,),
    )
    return await found.fetchone()
