"""Codes that people type: figures of any script, and recovery codes. Pure."""

from __future__ import annotations

import secrets
import unicodedata
from typing import Final

RECOVERY_CODES: Final = 10
_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # none that is taken for another
_HALF: Final = 5


def figures(typed: str, most: int = 16) -> str:
    """The decimal digits of what was typed, of whatever script, as 0 to 9; everything between them is left out.

    Args:
        typed: As typed, such as `１２３ ４５６` of a Japanese keyboard.
        most: How many are read.
    """
    found = (unicodedata.decimal(letter, None) for letter in typed[:256])
    return "".join(str(figure) for figure in found if figure is not None)[:most]


def recovery_codes() -> tuple[str, ...]:
    """Ten new recovery codes, of 49 bits each."""
    return tuple("-".join(_part() for _ in range(2)) for _ in range(RECOVERY_CODES))


def plain(typed: str) -> str:
    """A recovery code as it is compared: compatibility forms, capitals, spaces and hyphens make no difference."""
    folded = unicodedata.normalize("NFKC", typed[:256]).casefold()
    return "".join(letter for letter in folded if letter in _LETTERS)[: 2 * _HALF]


def _part() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_HALF))
