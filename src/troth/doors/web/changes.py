"""Changes of a notice as everybody reads them: what went, what came, for whom, and why it weighs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from troth.notice import Change

READERS: Mapping[str, str] = {"patients": "patients", "users": "people who work here", "visitors": "visitors"}
KINDS: Mapping[str, str] = {"added": "New", "changed": "Changed", "removed": "Gone"}


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of a sentence: `same`, `gone` or `come`."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One change: where, what, for whom, and why it weighs."""

    clause: str
    word: str
    pieces: tuple[Piece, ...]
    readers: str
    weighs: str
    terms: str


def change_line(change: Change) -> ChangeLine:
    """One change as it is read: what went, what came, for whom, and why it weighs."""
    return ChangeLine(
        clause=change.clause_id,
        word=KINDS[change.kind],
        pieces=pieces(change.before, change.after),
        readers=listed([READERS[each] for each in change.audiences]),
        weighs=listed(list(change.weights)),
        terms=", ".join(change.terms) if change.before == change.after else "",
    )


def pieces(before: str, after: str) -> tuple[Piece, ...]:
    """Two sentences as one, word by word: what stayed, what went, what came."""
    old, new = re.findall(r"\S+\s*", before), re.findall(r"\S+\s*", after)
    found: list[Piece] = []
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found.append(Piece("same", "".join(new[c:d])))
            continue
        if b > a:
            found.append(Piece("gone", "".join(old[a:b])))
        if d > c:
            found.append(Piece("come", "".join(new[c:d])))
    return tuple(found)


def listed(said: Sequence[str]) -> str:
    """Words in a row, the last one after "and"."""
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)
