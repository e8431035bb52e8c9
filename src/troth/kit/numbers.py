"""Numbers that strangers write, in addresses, forms and files: the length first, then figures, then the bounds.

Python's own `int` takes figures of every script, underscores and thousands of places, and gives up by an error at
4,301; `float` takes `nan` and makes `inf` of `1e999`, which no JSON can tell.
"""

from __future__ import annotations

import math
import re

_WHOLE = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_MOST_CHARACTERS = 64


def whole(text: str | None, *, least: int = 0, most: int) -> int | None:
    """A whole number within bounds; None where the text is none.

    Args:
        text: What was written; space around it is passed over, a sign counts only where `least` is below nought.
        least: The smallest.
        most: The largest; of no more than 20 figures.
    """
    figures = (text or "")[: _MOST_CHARACTERS + 1].strip()
    if not _WHOLE.fullmatch(figures) or (least >= 0 and not figures[0].isdigit()):
        return None
    number = int(figures)
    return number if least <= number <= most else None


def decimal(text: str | None) -> float | None:
    """A decimal number that is finite; None where the text is none.

    Args:
        text: What was written; space around it is passed over.
    """
    figures = (text or "")[: _MOST_CHARACTERS + 1].strip()
    if len(figures) > _MOST_CHARACTERS or not _DECIMAL.fullmatch(figures):
        return None
    number = float(figures)
    return number if math.isfinite(number) else None
