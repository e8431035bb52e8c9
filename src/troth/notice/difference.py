"""What changed between two versions. Whether it weighs on anybody is decided later, from the same list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from troth.notice.clauses.base import Clause
from troth.notice.model import Notice


@dataclass(frozen=True, slots=True)
class Change:
    """One clause that is new, gone or different.

    Attributes:
        kind: `added`, `removed` or `changed`.
        clause_id: Its number.
        before: What it said; empty when it is new.
        after: What it says; empty when it is gone.
        terms: Which of its terms differ.
    """

    kind: Literal["added", "removed", "changed"]
    clause_id: str
    before: str
    after: str
    terms: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "changed":
            said = f"{self.before!r} is now {self.after!r}" if self.before != self.after else self.after
            return f"changed § {self.clause_id} ({', '.join(self.terms)}): {said}"
        return f"{self.kind} § {self.clause_id}: {self.after or self.before}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed, in the order of the newer version; what is gone comes last."""

    changes: tuple[Change, ...]

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def of(self, kind: str) -> tuple[Change, ...]:
        """The changes of one kind: `added`, `removed` or `changed`."""
        return tuple(change for change in self.changes if change.kind == kind)


def diff(before: Notice, after: Notice) -> Difference:
    """Compare two versions of a notice, clause by clause.

    Args:
        before: The earlier one.
        after: The later one.
    """
    changes = []
    for clause in after.clauses:
        old = before.clause(clause.id)
        if old is None or old.kind != clause.kind:
            changes.append(Change("added", clause.id, "", clause.sentence(after)))
        elif terms := _differing(old, clause):
            changes.append(Change("changed", clause.id, old.sentence(before), clause.sentence(after), terms))
    for old in before.clauses:
        new = after.clause(old.id)
        if new is None or new.kind != old.kind:
            changes.append(Change("removed", old.id, old.sentence(before), ""))
    return Difference(tuple(changes))


def _differing(old: Clause, new: Clause) -> tuple[str, ...]:
    was = old.content()
    return tuple(name for name, value in new.content().items() if was[name] != value)
