"""Second factors as a copy names them: of which kind, since when, when used last; never what makes them work.

Per: GDPR Art. 15(1); 15(4) for what is left out, which would let whoever finds the copy sign in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from troth.people import Factor
from troth.rights.known import Known, Source
from troth.rights.reader import ReaderClock

KINDS: Final[Mapping[str, str]] = {"totp": "app for codes", "passkey": "passkey"}


def factor_known(factor: Factor, clause: str, reader: ReaderClock) -> Known:
    """One factor, item by item.

    Args:
        factor: Of the account.
        clause: Of the notice, by which it is held.
        reader: Whose clock its times are said by.
    """
    used = f"last used on {reader.moment(factor.used_at)}" if factor.used_at else "not used yet"
    source = Source("subject", "you", "setting up a second factor", clause, factor.made_at)
    said = f"{KINDS[factor.form]}, set up on {reader.moment(factor.made_at)}, {used}"
    return Known("Second factor", said, "provided", source)


def factor_json(factor: Factor) -> dict[str, Any]:
    """The same for programs."""
    return {
        "kind": KINDS[factor.form],
        "enrolled_at": factor.made_at.isoformat(),
        "last_used_at": factor.used_at.isoformat() if factor.used_at else None,
    }
