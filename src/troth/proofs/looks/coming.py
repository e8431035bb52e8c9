"""What comes in: each arrival names who brought it; each list its source, and everybody on it is told in time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from troth.notice import Clause, Notice
from troth.notice import clock as notice_clock
from troth.proofs.looks.base import Look, Tally, Told
from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Finding

_STORED, _TAKEN, _TOLD = "archive:instances:stored", "people:list:taken", "people:contact:told"


class OfArrivals(Look):
    """Every arrival of images names the machine or the person that brought it."""

    name = "source"
    kinds = frozenset({_STORED})

    def __init__(self) -> None:
        self._tally = Tally(
            Told(
                "every arrival names the machine or person that brought it",
                "something arrived and nobody is named who brought it",
                "nothing has arrived yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """An arrival."""
        if not leaf.is_full:
            self._tally.skip(leaf)
            return
        is_named = leaf.actor_kind != "anonymous" and bool(leaf.ref("peer") or leaf.session or leaf.actor)
        self._tally.judge(leaf, is_named)

    def found(self, now: datetime) -> Finding:
        """Over all arrivals."""
        return self._tally.finding(self.name)


class OfLists(Look):
    """Every list of people that was taken in names one of the clause's sources."""

    name = "source"
    kinds = frozenset({_TAKEN})

    def __init__(self, clause: Clause) -> None:
        self._names = frozenset(getattr(clause, "names", ()))
        self._tally = Tally(
            Told(
                "every list that was taken in names its source",
                "a list was taken in without its source",
                "no list was taken in from there yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A list."""
        source = leaf.word("source")
        if not leaf.is_full:
            self._tally.skip(leaf)
        elif source in self._names or not source:
            self._tally.judge(leaf, bool(source))

    def found(self, now: datetime) -> Finding:
        """Over all lists."""
        return self._tally.finding(self.name)


@dataclass(slots=True)
class _List:
    """A list that was taken in.

    Attributes:
        due: The last second in which somebody on it is told in time.
        told: Records on it whose person was told.
    """

    taken: Leaf
    due: datetime
    told: set[str] = field(default_factory=set)
    is_late: bool = False

    @property
    def is_all(self) -> bool:
        """Whether the person of every record that had to be told was."""
        return len(self.told) >= self.taken.counts["contacts"]


class OfTelling(Look):
    """Everybody of whom we heard from others was told within the time of the clause, from when their list was taken in.

    An earlier day that the entry of the list names counts; a later one does not, and one that names none gains nothing.
    Per: GDPR Art. 14(3)(a); Regulation (EEC, Euratom) 1182/71 Art. 3.
    """

    name = "telling"
    kinds = frozenset({_TAKEN, _TOLD})

    def __init__(self, clause: Clause, notice: Notice) -> None:
        self._names = frozenset(getattr(clause, "names", ()))
        self._within = str(getattr(clause, "told_within", ""))
        self._zone = notice.zone
        self._lists: dict[str, _List] = {}
        self._tally = Tally(
            Told(
                "everybody on every list was told in time",
                "somebody on a list was told late, or is not told and their day is over",
                "nobody had to be told yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A list, or somebody who was told."""
        if not leaf.is_full:
            self._tally.skip(leaf)
        elif leaf.kind == _TAKEN:
            if leaf.word("source") not in self._names:
                return
            if "contacts" not in leaf.counts:
                self._tally.skip(leaf)
            elif leaf.counts["contacts"]:
                due = notice_clock.due_at(leaf.at, self._within, zone=self._zone)
                self._lists[leaf.ref("list")] = _List(leaf, min(due, leaf.moment("told_by") or due))
        elif (held := self._lists.get(leaf.ref("list"))) is not None:
            held.told.add(leaf.ref("source"))
            held.is_late = held.is_late or leaf.at > held.due

    def found(self, now: datetime) -> Finding:
        """Over all lists; one whose day is not over is not counted before everybody on it was told."""
        tally = self._tally.fork()
        for held in self._lists.values():
            if now > held.due and not held.is_all:
                tally.miss_now(held.taken)
            elif held.is_late:
                tally.miss(held.taken)
            elif held.is_all:
                tally.fit(held.taken)
        return tally.finding(self.name)
