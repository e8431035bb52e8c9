"""What a look is: it sees every leaf of its kinds once, in order, and says what it found over all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar, Final
from uuid import UUID

from troth.notice import Clause, Notice
from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Example, Finding, Verdict

GRACE: Final = timedelta(seconds=1)
"""How long a decision that was taken may still be carried out after what it rested on ended."""

_MOST_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class Told:
    """What a look says, for each way in which it can end.

    Attributes:
        holds: Of a domain that fits.
        broken: Of one that does not.
        idle: Of an empty one.
    """

    holds: str
    broken: str
    idle: str


@dataclass(slots=True)
class Tally:
    """Counts a domain: what fits, what does not, and the first of those."""

    told: Told
    fits: int = 0
    against: int = 0
    examples: list[Example] = field(default_factory=list)
    blind_to: int | None = None
    late: int = 0

    def fit(self, leaf: Leaf) -> None:
        """One that fits."""
        self.fits += 1

    def miss(self, leaf: Leaf) -> None:
        """One that does not."""
        self.against += 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(example(leaf))

    def miss_now(self, leaf: Leaf) -> None:
        """One that does not because its day is over, and that is still open."""
        self.late += 1
        self.miss(leaf)

    def judge(self, leaf: Leaf, fits: bool) -> None:
        """One of the two."""
        (self.fit if fits else self.miss)(leaf)

    def skip(self, leaf: Leaf) -> None:
        """One of the domain whose leaf does not say what is needed: it is never counted as kept."""
        self.blind_to = leaf.index

    def fork(self) -> Tally:
        """A copy to count on with what is open now."""
        return replace(self, examples=list(self.examples))

    def joined(self, other: Tally) -> Tally:
        """Both counts as one."""
        blind_to = max((each for each in (self.blind_to, other.blind_to) if each is not None), default=None)
        examples = sorted([*self.examples, *other.examples], key=lambda each: each.number)[:_MOST_EXAMPLES]
        return Tally(self.told, self.fits + other.fits, self.against + other.against, examples, blind_to)

    def finding(self, name: str) -> Finding:
        """What was found over all."""
        of = self.fits + self.against
        since = ""
        if self.blind_to is not None:
            first = self.blind_to + 1
            since = f"; computed since entry {first:,}, what was before does not say enough"
        if self.against:
            broken, examples = self.told.broken + since, tuple(self.examples)
            return Finding(name, Verdict.BROKEN, broken, self.fits, of, examples, self.late)
        if of:
            return Finding(name, Verdict.HOLDS, self.told.holds + since, of, of)
        return Finding(name, Verdict.IDLE, self.told.idle + since)


def example(leaf: Leaf) -> Example:
    """An entry as a counter-example: number, kind, minute, and for its own office the organisation."""
    at = leaf.at.replace(second=0, microsecond=0)
    return Example(leaf.index, leaf.kind, at, UUID(leaf.tenant) if leaf.tenant else None)


class Kin:
    """Which identifiers were one person's at the time: both entries of a merge name the merge, and not each other."""

    def __init__(self) -> None:
        self._merges: dict[str, set[str]] = {}
        self._of: dict[str, set[str]] = {}

    def see(self, leaf: Leaf) -> None:
        """A merge, or the end of one."""
        merge = leaf.ref("merge")
        if leaf.kind == "people:subjects:merged":
            self._merges.setdefault(merge, set()).add(leaf.subject)
            self._of.setdefault(leaf.subject, set()).add(merge)
        elif leaf.kind == "people:subjects:unmerged":
            for subject in self._merges.pop(merge, ()):
                self._of[subject].discard(merge)

    def of(self, subject: str) -> frozenset[str]:
        """All identifiers of the person behind one of them."""
        if not self._of.get(subject):
            return frozenset({subject})
        found, waiting = {subject}, [subject]
        while waiting:
            for merge in self._of.get(waiting.pop(), ()):
                fresh = self._merges[merge] - found
                waiting += fresh
                found |= fresh
        return frozenset(found)


class Look(ABC):
    """One universal sentence over a domain of entries.

    Attributes:
        name: Of the look, as results name it.
        kinds: Kinds of entries that it has to see; None: all.
    """

    name: ClassVar[str] = ""
    kinds: ClassVar[Collection[str] | None] = None

    @property
    def rests_on(self) -> tuple[object, ...]:
        """What it shares with other looks, and which sees every entry before it."""
        return ()

    @abstractmethod
    def see(self, leaf: Leaf) -> None:
        """Take in one entry; they come in the order of the ledger."""

    @abstractmethod
    def found(self, now: datetime) -> Finding:
        """What was found over all.

        Args:
            now: What is open and past its clock by then is late.
        """


@dataclass(frozen=True)
class Text:
    """The notices that looks hold entries against.

    Attributes:
        current: In force.
        published: Every version that was ever in force, the current ones too: what was done under one of them is
            measured by it.
    """

    current: tuple[Notice, ...]
    published: tuple[Notice, ...]

    def grants(self, key: str) -> list[tuple[str, Mapping[str, frozenset[str]]]]:
        """The activities of a key in any version: clause id, and what each role may do."""
        found: list[tuple[str, Mapping[str, frozenset[str]]]] = []
        for notice in self.published:
            clause = notice.find("purpose", key)
            if clause is None:
                continue
            roles: dict[str, frozenset[str]] = {}
            for access in getattr(clause, "access", ()):
                for role in access.who:
                    roles[role] = roles.get(role, frozenset()) | frozenset(access.does)
            found.append((clause.id, roles))
        return found

    def all(self, kind: str) -> list[Clause]:
        """All clauses of a kind in force."""
        return [clause for notice in self.current for clause in notice.all(kind)]
