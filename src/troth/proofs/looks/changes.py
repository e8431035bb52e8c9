"""Changes of the notice: two people, and each account written to once; what is accepted; what programs decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import combinations
from typing import Final
from uuid import UUID

from troth.notice import Clause, Notice
from troth.people import independent
from troth.proofs.looks.base import Look, Tally, Text, Told
from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Finding, Verdict

_PUBLISHED: Final = "notice:version:published"
_MAILED, _TOLD = "outreach:amendment:mailed", "outreach:amendment:told"
_LET_IN: Final = frozenset({"people:member:joined", "people:member:changed"})
_MADE: Final[Mapping[str, str]] = {"people:member:joined": "users", "people:subject:matched": "patients"}
"""What makes an account by invitation, and whose it is."""


class OfVersions(Look):
    """Every version of this notice was signed by two people who let neither in the other, and nobody alone both.

    The first one may stand alone, and is then not called agreed. Who let whom in is what the entries of members say; an
    account whose entry says it of nobody was there at the founding. Per: decision 0026.
    """

    name = "amendment"
    kinds = frozenset({_PUBLISHED, *_LET_IN})

    def __init__(self, notice: Notice) -> None:
        self._notice = notice.name
        self._seen = 0
        self._ways: dict[str, dict[UUID, list[frozenset[UUID]]]] = {}
        self._tally = Tally(
            Told(
                "two accounts signed every version and let neither in the other; that they are two people rests on how"
                " identity was checked",
                "a version came into force with one person behind it, or with two of whom one let in the other",
                "the first version is in force, which one person put there at founding; there was no change yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """Somebody who was let into a role, or a version that was published."""
        if not leaf.is_full:
            if leaf.kind == _PUBLISHED:
                self._tally.skip(leaf)
        elif leaf.kind in _LET_IN:
            ways = self._ways.setdefault(leaf.tenant, {})
            ways.setdefault(UUID(leaf.ref("account")), []).append(frozenset(map(UUID, leaf.people)))
        elif leaf.word("notice") == self._notice:
            self._seen += 1
            people = {UUID(each) for each in (leaf.actor, *leaf.people) if each}
            if self._seen > 1 or len(people) > 1:
                self._tally.judge(leaf, len(people) > 1 and self._are_apart(people))

    def _are_apart(self, people: set[UUID]) -> bool:
        """Whether they are two people to an organisation that both are of."""
        houses = [ways for ways in self._ways.values() if people <= ways.keys()]
        pairs = list(combinations(people, 2))
        return not houses or any(all(independent(ways, *pair) for pair in pairs) for ways in houses)

    def found(self, now: datetime) -> Finding:
        """Over all versions."""
        return self._tally.finding(self.name)


@dataclass(slots=True)
class _Change:
    """A version that has to be mailed.

    Attributes:
        published: Its entry.
        due: The end of its effective day (UTC); None where the entry names none.
        settled: Accounts that were written to, and those that had been closed before the letter was.
        told: The entry that says that everybody was written to, and how many that had to be.
    """

    published: Leaf
    due: datetime | None
    settled: set[str] = field(default_factory=set)
    told: Leaf | None = None


class OfMailing(Look):
    """A letter about each change left once for each account that was counted for it, by the end of its effective day.

    A version that nobody tells of is late by the clock alone; one that is told is held against the number of accounts
    that its own entry says it was due to. Whether a letter arrived, no entry can say.
    """

    name = "mailing"
    kinds = frozenset({_PUBLISHED, _MAILED, _TOLD})

    def __init__(self, clause: Clause, notice: Notice) -> None:
        self._notice = notice.name
        self._is_every = getattr(clause, "mails", "") == "every"
        self._is_founded = False
        self._changes: dict[str, _Change] = {}
        self._tally = Tally(
            Told(
                "a letter about each change left once for each account that was counted for it, before it counted, and"
                " none for those that had been closed",
                "of the accounts that were counted for a change, one had no letter before it counted, or had two",
                "no account was counted for a change yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A version, a letter about it, or that everybody has theirs."""
        if leaf.kind == _PUBLISHED:
            if leaf.is_full and leaf.word("notice") != self._notice:
                return
            is_change, self._is_founded = self._is_founded, True
            if not leaf.is_full:
                self._tally.skip(leaf)
            elif is_change and (self._is_every or leaf.counts.get("material", 1)):
                self._changes[leaf.ref("version")] = _Change(leaf, leaf.moment("effective_on"))
        elif (change := self._changes.get(leaf.ref("version"))) is not None:
            self._told_of(change, leaf)

    def _told_of(self, change: _Change, leaf: Leaf) -> None:
        if leaf.kind == _TOLD:
            change.told = change.told or leaf
            return
        account = leaf.ref("account")
        is_second = account in change.settled
        change.settled.add(account)
        if leaf.is_done or is_second:
            self._tally.judge(leaf, not is_second and change.due is not None and leaf.at <= change.due)

    def found(self, now: datetime) -> Finding:
        """Over all changes; the letters of one that is still being told count once everybody has theirs."""
        tally = self._tally.fork()
        is_open = False
        for change in self._changes.values():
            if change.told is not None:
                for _ in range(change.told.counts.get("accounts", 0) - len(change.settled)):
                    tally.miss(change.told)
            elif change.due is None or now > change.due:
                tally.miss_now(change.published)
            else:
                is_open = True
        finding = tally.finding(self.name)
        if is_open and finding.verdict is Verdict.HOLDS:
            return replace(finding, verdict=Verdict.IDLE, said="a change is being mailed, and not everybody has it yet")
        return finding


class OfPrograms(Look):
    """What a program decided about somebody was decided by a person before, or rests on a ground."""

    name = "automation"

    def __init__(self, clause: Clause) -> None:
        self._confirmed: set[str] = set()
        self._tally = Tally(
            Told(
                "no act of a program decided about anybody without a person",
                "a program decided about somebody without a person",
                "no program has done anything yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A person's decision, or an act of a program."""
        if leaf.kind == "people:proposal:decided" and leaf.actor_kind == "user" and leaf.word("state") == "confirmed":
            self._confirmed.add(leaf.ref("proposal"))
        if leaf.actor_kind != "system" or not leaf.is_done or not leaf.is_full:
            return
        decides = leaf.action == "decide_about"
        self._tally.judge(leaf, not decides or leaf.ref("proposal") in self._confirmed)

    def found(self, now: datetime) -> Finding:
        """Over all acts of programs."""
        return self._tally.finding(self.name)


class OfAcceptance(Look):
    """Each account that was made by invitation accepted these terms with it, before its first act."""

    name = "accept"

    def __init__(self, clause: Clause, text: Text) -> None:
        self._terms = _terms(clause, text)
        self._kinds = {kind for kind, whose in _MADE.items() if whose in clause.audiences}
        self._made: dict[str, Leaf] = {}
        self._accepted: set[str] = set()
        self._early: set[str] = set()
        self._tally = Tally(
            Told(
                "every account that was made by invitation accepted the terms that came with it",
                "an account was made by invitation without accepting the terms, or acted before it had",
                "no account was made by invitation yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """An account that was made by invitation, what it accepted, or an act of one that has not yet."""
        account = leaf.ref("account")
        if leaf.kind == "people:terms:accepted":
            if leaf.is_full and _accepted(leaf) & self._terms:
                self._accepted.add(account)
                if made := self._made.pop(account, None):
                    self._tally.judge(made, account not in self._early)
        elif leaf.kind in self._kinds and leaf.ref("invitation"):
            if not leaf.is_full or not account:
                self._tally.skip(leaf)
            elif account in self._accepted:  # it comes in once more, and what it accepted stands
                self._tally.fit(leaf)
            else:
                self._made.setdefault(account, leaf)
        elif self._made and leaf.actor in self._made and leaf.is_decided and leaf.is_done:
            self._early.add(leaf.actor)

    def found(self, now: datetime) -> Finding:
        """Over all accounts: the record is written with the account, in one transaction."""
        tally = self._tally.fork()
        for leaf in self._made.values():
            tally.miss(leaf)
        return tally.finding(self.name)


class OfUse(Look):
    """Nobody did what these terms come before without having accepted them."""

    name = "accept"

    def __init__(self, clause: Clause, text: Text) -> None:
        self._terms = _terms(clause, text)
        self._before = frozenset(getattr(clause, "before", ()))
        self._accepted: set[str] = set()
        self._tally = Tally(
            Told(
                "everything that these terms come before was done by accounts that had accepted them",
                "something that these terms come before was done by an account that had not accepted them",
                "nothing that these terms come before was done yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """What an account accepted, or an act."""
        if leaf.kind == "people:terms:accepted":
            if leaf.is_full and _accepted(leaf) & self._terms:
                self._accepted.add(leaf.ref("account"))
        elif leaf.action in self._before and leaf.is_done and leaf.is_decided and leaf.actor_kind != "system":
            self._tally.judge(leaf, leaf.actor in self._accepted)

    def found(self, now: datetime) -> Finding:
        """Over all such acts."""
        return self._tally.finding(self.name)


def _terms(clause: Clause, text: Text) -> frozenset[str]:
    """Every edition of some terms that was ever in force, as entries name it."""
    held = (notice.find("accept", clause.key) for notice in (*text.current, *text.published))
    return frozenset(f"{clause.key}:{getattr(each, 'edition', '')}" for each in held if each is not None)


def _accepted(leaf: Leaf) -> set[str]:
    return set(leaf.word("accepts").split("+"))
