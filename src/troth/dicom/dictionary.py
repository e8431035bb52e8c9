"""The data dictionary (DICOM PS3.6) as a table beside this file, written by `tools/dictionary.py`.

Reading it takes milliseconds; importing a toolkit for it would cost every process a second at its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("dictionary.tsv")


@dataclass(frozen=True, slots=True)
class Term:
    """What the standard says of an attribute.

    Attributes:
        vr: Value representation; several are joined by " or ".
        keyword: Keyword, or empty for some retired ones.
    """

    vr: str
    keyword: str


@cache
def terms() -> dict[int, Term]:
    """All attributes with one tag."""
    return {int(tag, 16): term for tag, term in _rows() if "x" not in tag}


def term(tag: int) -> Term | None:
    """An attribute, one of a repeating group (60xx) included; None where the dictionary knows none."""
    found = terms().get(tag)
    if found is None and tag >> 16 & 1 == 0:
        for mask, value, repeating in _repeating():
            if tag & mask == value:
                return repeating
    return found


@cache
def tags() -> dict[str, int]:
    """Tag by keyword."""
    return {term.keyword: tag for tag, term in terms().items() if term.keyword}


@cache
def _repeating() -> tuple[tuple[int, int, Term], ...]:
    found = []
    for tag, term in _rows():
        if "x" in tag:
            mask = int("".join("0" if digit == "x" else "F" for digit in tag), 16)
            found.append((mask, int(tag.replace("x", "0"), 16), term))
    return tuple(found)


@cache
def _rows() -> tuple[tuple[str, Term], ...]:
    rows = (line.split("\t") for line in _TABLE.read_text(encoding="ascii").splitlines())
    return tuple((tag, Term(vr, keyword)) for tag, vr, keyword in rows)
