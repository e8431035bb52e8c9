"""What comes in: each arrival names who brought it; each list its source, and everybody on it is told in time."""

from __future__ import annotations

from datetime import datetime

from troth.notice import Clause
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


class OfTelling(Look):
    """Everybody of whom we heard from others was told by the day that the list set."""

    name = "telling"
    kinds = frozenset({_TAKEN, _TOLD})

    def __init__(self, clause: Clause) -> None:
        self._names = frozenset(getattr(clause, "names", ()))
        self._due: dict[str, Leaf] = {}
        self._told: dict[str, int] = {}
        self._late: set[str] = set()
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
            if leaf.word("source") in self._names and leaf.moment("told_by") is not None:
                self._due[leaf.ref("list")] = leaf
        elif (ref := leaf.ref("list")) in self._due:
            self._told[ref] = self._told.get(ref, 0) + 1
            told_by = self._due[ref].moment("told_by")
            if told_by is not None and leaf.at > told_by:
                self._late.add(ref)

    def found(self, now: datetime) -> Finding:
        """Over all lists; one whose day is not over is not counted before everybody on it was told."""
        tally = self._tally.fork()
        for ref, leaf in self._due.items():
            told_by = leaf.moment("told_by")
            is_all = self._told.get(ref, 0) >= leaf.counts.get("contacts", leaf.counts.get("lines", 0))
            is_over = told_by is not None and now > told_by
            if is_over and not is_all:
                tally.miss_now(leaf)
            elif ref in self._late:
                tally.miss(leaf)
            elif is_all:
                tally.fit(leaf)
        return tally.finding(self.name)
