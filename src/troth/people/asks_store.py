"""All SQL of what browsers asked for at the door."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from troth.kit.db import Connection, Row


async def put(connection: Connection, values: dict[str, Any]) -> None:
    """Keep that a browser asked, in the place of what it asked before."""
    await connection.execute(
        b"insert into sign_in_ask (digest, bucket, made_at, expires_at) values (%(digest)s, %(bucket)s, %(made_at)s,"
        b" %(expires_at)s) on conflict (digest) do update set bucket = excluded.bucket, code_digest = null,"
        b" link_digest = null, tries = 0, made_at = excluded.made_at, expires_at = excluded.expires_at",
        values,
    )


async def put_code(connection: Connection, asked: Mapping[str, Any], code: bytes, link: bytes) -> bool:
    """Keep the digests of what was mailed to whoever asked; False when the browser has asked something else since.

    Args:
        connection: Of the platform's space.
        asked: What was put: the row may stand for another mailbox by now, whose wrong codes are counted elsewhere.
        code: Digest of the code.
        link: Digest of the link.
    """
    cursor = await connection.execute(
        b"update sign_in_ask set code_digest = %(code)s, link_digest = %(link)s where digest = %(digest)s"
        b" and bucket = %(bucket)s and made_at = %(made_at)s",
        {**asked, "code": code, "link": link},
    )
    return cursor.rowcount == 1


async def held(connection: Connection, digest: bytes, now: datetime) -> Row | None:
    """What a browser asked, held until the transaction ends; None when it is over."""
    cursor = await connection.execute(
        "select digest, bucket, code_digest, link_digest, tries from sign_in_ask where digest = %s"
        " and expires_at > %s for update",
        (digest, now),
    )
    return await cursor.fetchone()


async def count_try(connection: Connection, digest: bytes) -> int:
    """Count one wrong code; how many there were."""
    cursor = await connection.execute(
        "update sign_in_ask set tries = tries + 1 where digest = %s returning tries", (digest,)
    )
    row = await cursor.fetchone()
    return int(row["tries"]) if row else 0


async def take_answer(connection: Connection, digest: bytes, expires_at: datetime) -> bool:
    """Take the answer to a question; False when it was taken before."""
    cursor = await connection.execute(
        "insert into passkey_answer (nonce_digest, expires_at) values (%s, %s) on conflict do nothing",
        (digest, expires_at),
    )
    return cursor.rowcount == 1


async def count_attempt(connection: Connection, bucket: int, now: datetime, window: timedelta) -> int:
    """Count one more attempt in a bucket.

    Returns:
        How many there were in the window, this one included.
    """
    cursor = await connection.execute(
        b"insert into attempt as t (bucket, began_at, tries) values (%(bucket)s, %(now)s, 1) "
        b"on conflict (bucket) do update set "
        b"tries = case when t.began_at <= %(now)s - %(window)s then 1 else t.tries + 1 end, "
        b"began_at = case when t.began_at <= %(now)s - %(window)s then %(now)s else t.began_at end "
        b"returning tries",
        {"bucket": bucket, "now": now, "window": window},
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["tries"])


async def attempts(connection: Connection, bucket: int, now: datetime, window: timedelta) -> int:
    """How many attempts a bucket counted in the window."""
    cursor = await connection.execute(
        b"select tries from attempt where bucket = %(bucket)s and began_at > %(now)s - %(window)s",
        {"bucket": bucket, "now": now, "window": window},
    )
    row = await cursor.fetchone()
    return int(row["tries"]) if row else 0
