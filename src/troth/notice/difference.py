"""What changed between two versions. Whether it weighs on anybody is decided later, from the same list."""

from __future__ import annotations

from dataclasses import dataclass

from troth.notice.clauses.base import Clause
from troth.notice.model import Notice


@dataclass(frozen=True, slots=True)
class Change:
    """A clause that stands in both versions and differs.

    Attributes:
        before: As it was.
        after: As it is.
        terms: Which of its terms differ.
    """

    before: Clause
    after: Clause
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed, by the number of the clause."""

    added: tuple[Clause, ...]
    removed: tuple[Clause, ...]
    changed: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def diff(before: Notice, after: Notice) -> Difference:
    """Compare two versions of a notice.

    Args:
        before: The earlier one.
        after: The later one.
    """
    added, changed = [], []
    for clause in after.clauses:
        old = before.clause(clause.id)
        if old is None or old.kind != clause.kind:
            added.append(clause)
        elif terms := tuple(name for name, value in clause.content().items() if old.content()[name] != value):
            changed.append(Change(old, clause, terms))
    removed = [old for old in before.clauses if (new := after.clause(old.id)) is None or new.kind != old.kind]
    return Difference(tuple(added), tuple(removed), tuple(changed))
