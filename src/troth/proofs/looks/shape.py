"""One count over the whole ledger by what can be said of an act without naming anybody; several looks judge it.

Serves purpose, recipient (inside), prohibition: a group that does not fit gives its first entry as the counter-example.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from troth.notice import ANYBODY, Clause, Notice
from troth.proofs.looks.base import Look, Tally, Text, Told
from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Finding


class Group(NamedTuple):
    """Acts that are alike."""

    role: str
    action: str
    purpose: str
    clauses: tuple[str, ...]
    via: str = ""


@dataclass
class Shape:
    """How often each act was done that a notice decided."""

    groups: dict[Group, tuple[int, Leaf]] = field(default_factory=dict)
    older: Leaf | None = None

    def see(self, leaf: Leaf) -> None:
        """Count one entry."""
        if not leaf.is_done or not leaf.is_decided:
            return
        if not leaf.is_full:
            self.older = leaf
            return
        clauses = tuple(each for each in leaf.clauses if ":" not in each)
        group = Group(leaf.role, leaf.action, leaf.purpose, clauses, leaf.via)
        count, first = self.groups.get(group, (0, leaf))
        self.groups[group] = (count + 1, first)


class OfShape(Look):
    """A look over the groups of the shape.

    Args:
        shape: Counted once for all looks of its kind.
    """

    kinds: ClassVar[Collection[str]] = frozenset()

    def __init__(self, shape: Shape, told: Told) -> None:
        self._shape = shape
        self._told = told

    @property
    def rests_on(self) -> tuple[object, ...]:
        """The shape."""
        return (self._shape,)

    def see(self, leaf: Leaf) -> None:
        """The shape has seen it."""

    def judge(self, group: Group) -> bool | None:
        """Whether a group fits; None where it is not of the domain."""
        raise NotImplementedError

    def found(self, now: datetime) -> Finding:
        """Every group held against the sentence."""
        return self.tally().finding(self.name)

    def tally(self) -> Tally:
        """The groups that fit, and those that do not."""
        tally = Tally(self._told)
        if self._shape.older is not None:
            tally.skip(self._shape.older)
        for group, (count, first) in self._shape.groups.items():
            fits = self.judge(group)
            if fits is None:
                continue
            tally.judge(first, fits)
            if fits:
                tally.fits += count - 1
            else:
                tally.against += count - 1
        return tally


class OfPurpose(OfShape):
    """Each act for an activity names its clause and is one that it grants, by a role that it names."""

    name = "purpose"

    def __init__(self, shape: Shape, clause: Clause, text: Text) -> None:
        super().__init__(
            shape,
            Told(
                "every act for this names the clause and is one that it grants",
                "something was done for this that the clause does not grant",
                "nothing was done for this yet",
            ),
        )
        self._key = clause.key
        self._grants = text.grants(clause.key)

    def judge(self, group: Group) -> bool | None:
        """Of this activity only."""
        if group.purpose != self._key:
            return None
        return any(
            clause in group.clauses and group.action in roles.get(group.role, roles.get(ANYBODY, frozenset()))
            for clause, roles in self._grants
        )


class OfRole(OfShape):
    """Each act by people of a role rests on an activity that gives its data to them."""

    name = "recipient"

    def __init__(self, shape: Shape, clause: Clause, notice: Notice, text: Text) -> None:
        super().__init__(
            shape,
            Told(
                "every act by these people rests on a clause that names them",
                "something was done by these people that no clause gives them",
                "nothing was done by these people yet",
            ),
        )
        self._roles = frozenset(getattr(clause, "roles", ()))
        self._keys = {each.key for each in notice.all("purpose")}
        self._text = text
        self._known: dict[str, list[tuple[str, Any]]] = {}

    def judge(self, group: Group) -> bool | None:
        """By one of its roles, for an activity of its notice."""
        if group.role not in self._roles or group.purpose not in self._keys:
            return None
        if group.purpose not in self._known:
            self._known[group.purpose] = self._text.grants(group.purpose)
        return any(
            clause in group.clauses and (group.role in roles or ANYBODY in roles)
            for clause, roles in self._known[group.purpose]
        )


class OfNever(OfShape):
    """Of all that was done, nothing is what the clause forbids. It is shown by all that was done, not by a try."""

    name = "never"

    def __init__(self, shape: Shape, clause: Clause) -> None:
        super().__init__(
            shape,
            Told(
                "of all that was done, nothing is what this forbids",
                "something was done that this forbids",
                "nothing was done here yet",
            ),
        )
        self._purposes = frozenset(getattr(clause, "purposes", ()))
        self._roles = frozenset(getattr(clause, "who", ())) - {ANYBODY}
        self._actions = frozenset(getattr(clause, "does", ()))

    def judge(self, group: Group) -> bool | None:
        """Every act is of the domain."""
        is_meant = (
            (not self._purposes or group.purpose in self._purposes)
            and (not self._roles or group.role in self._roles)
            and (not self._actions or group.action in self._actions)
        )
        return not is_meant
