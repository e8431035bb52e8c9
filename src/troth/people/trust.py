"""Rows that give access are held against their tags before they are trusted: what was changed past us gives nothing.

A role, a match, a merge or a machine whose tag does not fit opens no door. That one is missing, or that an older state
stands in its place, is not seen here; `troth verify` compares with the ledger and names it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString
from uuid import UUID

from troth import policy
from troth.kit import clock
from troth.kit.db import Database, Space
from troth.ledger import REGISTERS, Ledger, Sealer, is_bound
from troth.policy import Actor

#: What is read beside a session `s`: its membership `m`, its match `l` and the merge `j`.
OF_SESSION: LiteralString = ", ".join(
    (
        REGISTERS["session"].columns("s", "s"),
        REGISTERS["membership"].columns("m", "m"),
        REGISTERS["subject_account"].columns("l", "l"),
        REGISTERS["subject_merge"].columns("j", "j"),
        "j.id as merge_id, m.account_id as member_id, l.subject_id as matched_id",
    )
)
OF_ORGANISATION: LiteralString = REGISTERS["organisation"].columns("o", "o")
OF_ACCOUNT: LiteralString = REGISTERS["account"].columns("account", "a")
OF_PEER: LiteralString = REGISTERS["peer"].columns("p", "p")

_TOLD_AGAIN: Final = timedelta(hours=1)
_MOST_REMEMBERED: Final = 1024
_logger = logging.getLogger(__name__)


def of_session(sealer: Sealer, tenant: UUID, row: Mapping[str, Any]) -> str:
    """Which register holds a row behind a session that is not what was bound; empty where all are.

    Args:
        sealer: Computes tags.
        tenant: Of the session.
        row: With what `OF_SESSION` reads.
    """
    if not is_bound(sealer, "session", tenant, (row["id"],), row, "s"):
        return "session"
    if row["member_id"] is not None and not is_bound(sealer, "membership", tenant, (row["member_id"],), row, "m"):
        return "membership"
    if row["matched_id"] is not None and row["kind"] == "patient":
        if not is_bound(sealer, "subject_account", tenant, (row["matched_id"], row["account_id"]), row, "l"):
            return "subject_account"
        if row["merge_id"] is not None and not is_bound(sealer, "subject_merge", tenant, (row["merge_id"],), row, "j"):
            return "subject_merge"
    return ""


def of_organisation(sealer: Sealer, organisation_id: UUID, row: Mapping[str, Any]) -> bool:
    """Whether an organisation is as it was bound: its level of service, and whether it runs the whole.

    Args:
        sealer: Computes tags.
        organisation_id: Its id.
        row: What `OF_ORGANISATION` read.
    """
    return is_bound(sealer, "organisation", None, (organisation_id,), row, "o")


def of_account(sealer: Sealer, row: Mapping[str, Any]) -> bool:
    """Whether an account is as it was bound: above all, whose address leads to it.

    Args:
        sealer: Computes tags.
        row: `id`, with what `OF_ACCOUNT` read.
    """
    return is_bound(sealer, "account", None, (row["id"],), row, "a")


def of_link(sealer: Sealer, digest: bytes, row: Mapping[str, Any]) -> bool:
    """Whether a sign-in link is one that we made for this account: it lives for minutes, so a tag alone binds it.

    Args:
        sealer: Computes tags.
        digest: Of its secret.
        row: `account_id`, `organisation_id`, `expires_at` and `tag`.
    """
    return row["tag"] is not None and bytes(row["tag"]) == sealer.tag(link_message(digest, row))


def link_message(digest: bytes, row: Mapping[str, Any]) -> bytes:
    """The bytes that the tag of a sign-in link is computed over; see `of_link`."""
    until = row["expires_at"].timestamp()
    return f"sign_in_link\n{digest.hex()}\n{row['account_id']}\n{row['organisation_id']}\n{until:.6f}".encode()


def of_peer(sealer: Sealer, row: Mapping[str, Any]) -> bool:
    """Whether a machine is registered as it was bound.

    Args:
        sealer: Computes tags.
        row: `id`, with what `OF_PEER` reads.
    """
    return is_bound(sealer, "peer", None, (row["id"],), row, "p")


class Alarm:
    """Says that a row was met that is not trusted: a line in the log and an entry, once an hour for each.

    Args:
        db: The database.
        ledger: Is told, in a transaction of its own.
    """

    def __init__(self, db: Database, ledger: Ledger) -> None:
        self._db = db
        self._ledger = ledger
        self._told: dict[tuple[str, UUID | None, UUID | None], datetime] = {}

    async def raise_about(self, register: str, tenant: UUID | None, row: UUID | None) -> None:
        """Raise it.

        Args:
            register: Where the row is.
            tenant: Whose it is; None on the platform.
            row: Whose access it would have given.
        """
        now, key = clock.now(), (register, tenant, row)
        told = self._told.get(key)
        if told is not None and now - told < _TOLD_AGAIN:
            return
        if len(self._told) >= _MOST_REMEMBERED:
            self._told.clear()
        self._told[key] = now
        _logger.error("a row of %s was changed past the platform and is not trusted: %s", register, row)
        entry = policy.act(
            Actor("system", tenant=tenant), "people:row:distrusted", "security", outcome="refused",
            clear=policy.Clear(says={"register": register}),
        )  # fmt: skip
        await self._ledger.write(self._db, Space(tenant), [entry])
