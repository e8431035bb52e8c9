"""What changed between two versions, for whom, and whether it weighs on data that is already held.

A change is material when it brings a new purpose, recipient, category of data or country, or a longer retention.
Clauses are compared by their keys for this, so that moving a promise to another place weighs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from troth.notice.clauses.base import Clause
from troth.notice.clauses.retention import Retention
from troth.notice.model import Notice
from troth.notice.period import birthday
from troth.notice.vocabulary import AUDIENCES

NEW_PURPOSE: Final = "a new purpose"
NEW_RECIPIENT: Final = "a new recipient"
NEW_CATEGORY: Final = "more data"
NEW_REGION: Final = "another country"
LONGER: Final = "kept longer"

_LOOSER: Final = {"fixed": 0, "longer": 1, "agreed": 1}
_ANCHORS: Final = (date(2024, 2, 29), date(2026, 1, 31), date(2026, 11, 1))
_AGES: Final = tuple(range(31))


@dataclass(frozen=True, slots=True)
class Change:
    """One clause that is new, gone or different.

    Attributes:
        kind: `added`, `removed` or `changed`.
        clause_id: Its number.
        before: What it said; empty when it is new.
        after: What it says; empty when it is gone.
        terms: Which of its terms differ.
        audiences: Who reads it, before or after.
        weights: Why it is material, in a few words each; empty when it is not.
    """

    kind: Literal["added", "removed", "changed"]
    clause_id: str
    before: str
    after: str
    terms: tuple[str, ...] = ()
    audiences: tuple[str, ...] = AUDIENCES
    weights: tuple[str, ...] = ()

    @property
    def is_material(self) -> bool:
        """Whether it weighs on data that is already held."""
        return bool(self.weights)

    def __str__(self) -> str:
        weighs = f" [material: {', '.join(self.weights)}]" if self.weights else ""
        if self.kind == "changed":
            said = f"{self.before!r} is now {self.after!r}" if self.before != self.after else self.after
            return f"changed § {self.clause_id} ({', '.join(self.terms)}): {said}{weighs}"
        return f"{self.kind} § {self.clause_id}: {self.after or self.before}{weighs}"


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

    def read_by(self, audience: str) -> tuple[Change, ...]:
        """The changes that one audience reads."""
        return tuple(change for change in self.changes if audience in change.audiences)

    @property
    def is_material(self) -> bool:
        """Whether any change weighs on data that is already held."""
        return any(change.is_material for change in self.changes)

    @property
    def weighs_on(self) -> tuple[str, ...]:
        """The audiences whom a material change is about."""
        found = {audience for change in self.changes if change.is_material for audience in change.audiences}
        return tuple(audience for audience in AUDIENCES if audience in found)


def diff(before: Notice, after: Notice) -> Difference:
    """Compare two versions of a notice, clause by clause.

    Args:
        before: The earlier one.
        after: The later one.
    """
    changes = []
    for clause in after.clauses:
        old = before.clause(clause.id)
        weights = _weights(before, clause)
        if old is None or old.kind != clause.kind:
            said = clause.sentence(after)
            changes.append(Change("added", clause.id, "", said, (), clause.audiences, weights))
        elif terms := _differing(old, clause):
            read_by = tuple(each for each in AUDIENCES if each in {*old.audiences, *clause.audiences})
            told = (old.sentence(before), clause.sentence(after))
            changes.append(Change("changed", clause.id, *told, terms, read_by, weights))
    for old in before.clauses:
        new = after.clause(old.id)
        if new is None or new.kind != old.kind:
            changes.append(Change("removed", old.id, old.sentence(before), "", (), old.audiences))
    return Difference(tuple(changes))


def _differing(old: Clause, new: Clause) -> tuple[str, ...]:
    was = old.content()
    return tuple(name for name, value in new.content().items() if was[name] != value)


def _weights(before: Notice, clause: Clause) -> tuple[str, ...]:
    """Why a clause of the newer version weighs on what was held under the older one."""
    weigh = _WEIGH.get(clause.kind)
    return tuple(dict.fromkeys(weigh(before, clause))) if weigh is not None else ()


def _more(new: Clause, old: Clause | None, term: str) -> bool:
    """Whether a list of the newer clause holds what that of the older one did not."""
    return bool(set(getattr(new, term, ())) - set(getattr(old, term, ())))


def _of_purpose(before: Notice, clause: Clause) -> Iterator[str]:
    old = before.find("purpose", clause.key)
    if old is None:
        yield NEW_PURPOSE
        return
    for term, weight in (("categories", NEW_CATEGORY), ("recipients", NEW_RECIPIENT), ("regions", NEW_REGION)):
        if _more(clause, old, term):
            yield weight


def _of_category(before: Notice, clause: Clause) -> Iterator[str]:
    if before.find("category", clause.key) is None:
        yield NEW_CATEGORY


def _of_recipient(before: Notice, clause: Clause) -> Iterator[str]:
    old = before.find("recipient", clause.key)
    if old is None or _more(clause, old, "roles"):
        yield NEW_RECIPIENT
    if old is not None and _more(clause, old, "uses"):
        yield NEW_PURPOSE
    country = getattr(clause, "country", "")
    if old is not None and country and country != getattr(old, "country", ""):
        yield NEW_REGION


def _of_sharing(before: Notice, clause: Clause) -> Iterator[str]:
    known = {role for old in before.all("sharing") for role in getattr(old, "to", ())}
    if set(getattr(clause, "to", ())) - known:
        yield NEW_RECIPIENT


def _of_residency(before: Notice, clause: Clause) -> Iterator[str]:
    if set(getattr(clause, "regions", ())) - set(before.regions):
        yield NEW_REGION


def _of_transfer(before: Notice, clause: Clause) -> Iterator[str]:
    known = {place for old in before.all(clause.kind) for place in _places(old)}
    if _places(clause) - known:
        yield NEW_REGION


def _places(clause: Clause) -> set[str]:
    """Countries that a clause names, whatever it calls them."""
    found: set[str] = set()
    for term in ("destinations", "country", "regions"):
        value = getattr(clause, term, ())
        found |= {value} if isinstance(value, str) else set(value)
    return found - {""}


def _of_retention(before: Notice, clause: Clause) -> Iterator[str]:
    old = before.find("retention", clause.key)
    if isinstance(old, Retention) and isinstance(clause, Retention) and _is_longer(old, clause):
        yield LONGER


def _is_longer(old: Retention, new: Retention) -> bool:
    """Whether anything could be kept longer by the newer rule; another anchor cannot be compared, so it counts."""
    if old.anchor != new.anchor or _LOOSER.get(new.contract, 1) > _LOOSER.get(old.contract, 1):
        return True
    for anchor in _ANCHORS:
        births = [None, *(birthday(anchor, -age) for age in _AGES)]
        if any(new.dispose_on(anchor, born) > old.dispose_on(anchor, born) for born in births):
            return True
    return False


_WEIGH: Final[Mapping[str, Callable[[Notice, Clause], Iterator[str]]]] = {
    "purpose": _of_purpose,
    "category": _of_category,
    "recipient": _of_recipient,
    "sharing": _of_sharing,
    "residency": _of_residency,
    "transfer": _of_transfer,
    "retention": _of_retention,
}
