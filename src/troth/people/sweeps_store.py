"""All SQL of sweeping: which rows of the room are over, and what is kept of them."""

# ruff: noqa: S608 - joined from constants

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, LiteralString

from troth.kit.db import Connection

_ENDED: Final = "expires_at < %(now)s - interval '1 day'"
_AT_ONCE: Final = "expires_at < %(now)s"

#: Of the platform, with when a row is over.
OF_PLATFORM: Final[Mapping[LiteralString, LiteralString]] = {
    "attempt": "began_at < %(now)s - interval '1 day'",
    "sign_in_link": _ENDED,
    "sign_in_ask": _AT_ONCE,
    "passkey_answer": _AT_ONCE,
}
#: The same of an organisation.
OF_TENANT: Final[Mapping[LiteralString, LiteralString]] = {
    "session": "least(expires_at, ended_at) < %(now)s - interval '1 day'",
    # One of a colleague that ran out stays in the administrator's list for a while: it can be sent again.
    "invitation": (
        "case when kind = 'user' and used_at is null and withdrawn_at is null"
        " then expires_at < %(now)s - interval '31 days'"
        " else least(expires_at, used_at) < %(now)s - interval '1 day' end"
    ),
    "admission": "least(decided_at, expires_at) < %(now)s - interval '1 day'",  # the ledger has it
    "challenge": _ENDED,
    "factor_reset": _ENDED,
    "draft": _ENDED,
}


async def note_last_here(connection: Connection, now: datetime) -> None:
    """Keep of the sessions that go when their members were here last."""
    await connection.execute(
        "update membership m set last_here_at = s.seen_at from (select account_id, max(seen_at) as seen_at"
        " from session where " + OF_TENANT["session"] + " and kind = 'user' group by account_id) s"
        " where s.account_id = m.account_id and (m.last_here_at is null or m.last_here_at < s.seen_at)",
        {"now": now},
    )  # fmt: skip


async def delete_over(
    connection: Connection, table: LiteralString, over: LiteralString, now: datetime, most: int
) -> int:
    """Delete rows that have been over for as long as is said of their table.

    Args:
        connection: Of their space.
        table: Where.
        over: When a row is.
        now: The instant.
        most: Rows at once.

    Returns:
        How many went.
    """
    cursor = await connection.execute(
        "delete from " + table + " where ctid = any(array(select ctid from " + table + " where " + over
        + " limit %(most)s))",
        {"now": now, "most": most},
    )  # fmt: skip
    return cursor.rowcount
