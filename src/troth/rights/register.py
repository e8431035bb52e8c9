"""The register of requests: rows that are bound, and how one is shown that somebody changed past us."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from troth.kit import clock
from troth.kit.db import Row
from troth.policy import Distrusted, belief
from troth.rights.model import State
from troth.vault import Keyring

REGISTER: Final = "rights_request"
_OPEN_AND_DUE: Final = {"state": State.UNDER_WAY.value, "closed_at": None}


def shown(keyring: Keyring, rows: Sequence[Row]) -> tuple[list[Row], list[Distrusted]]:
    """Rows as they are shown, and which of them are not believed.

    Those are open and due: nobody loses the answer that they are owed.

    Args:
        keyring: Computes tags.
        rows: As the database has them.
    """
    _, doubts = belief.sift(keyring, REGISTER, rows)
    doubted, now = {each.row for each in doubts}, clock.now()
    return [
        {**row, **_OPEN_AND_DUE, "due_at": min(row["due_at"], now)} if row["id"] in doubted else row for row in rows
    ], list(doubts)
