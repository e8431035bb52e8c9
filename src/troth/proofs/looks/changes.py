"""Changes of the notice: two people, a signature, and each account written to once."""

from __future__ import annotations

from datetime import datetime

from troth.notice import Clause, Notice
from troth.proofs.looks.base import Look, Tally, Told
from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Finding

_PUBLISHED, _MAILED = "notice:version:published", "outreach:amendment:mailed"


class OfVersions(Look):
    """Every version of this notice names two people; the first one may stand alone, and is then not called agreed."""

    name = "amendment"
    kinds = frozenset({_PUBLISHED})

    def __init__(self, notice: Notice) -> None:
        self._notice = notice.name
        self._seen = 0
        self._founding: Leaf | None = None
        self._tally = Tally(
            Told(
                "two accounts signed every version; that they are two people rests on how identity was checked",
                "a version came into force with one person behind it",
                "the first version is in force, which one person put there at founding; there was no change yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A version that was published."""
        if not leaf.is_full:
            self._tally.skip(leaf)
            return
        if leaf.word("notice") != self._notice:
            return
        self._seen += 1
        is_agreed = len({leaf.actor, *leaf.people} - {""}) > 1
        if self._seen == 1 and not is_agreed:
            self._founding = leaf
        else:
            self._tally.judge(leaf, is_agreed)

    def found(self, now: datetime) -> Finding:
        """Over all versions."""
        return self._tally.finding(self.name)


class OfMailing(Look):
    """Each account that a change was mailed to had it once."""

    name = "mailing"
    kinds = frozenset({_MAILED})

    def __init__(self, clause: Clause) -> None:
        self._told: set[tuple[str, str]] = set()
        self._tally = Tally(
            Told(
                "each account was written to once about each change",
                "an account was written to twice about one change",
                "nobody had to be written to about a change yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A letter about a change."""
        account, version = leaf.ref("account"), leaf.ref("version")
        if not leaf.is_full or not account or not version:
            self._tally.skip(leaf)
            return
        self._tally.judge(leaf, (account, version) not in self._told)
        self._told.add((account, version))

    def found(self, now: datetime) -> Finding:
        """Over all letters."""
        return self._tally.finding(self.name)


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
    """Each account that was made accepted what came with it, before its first act."""

    name = "accept"
    kinds = frozenset({"people:member:joined", "people:subject:matched", "people:terms:accepted"})

    def __init__(self, clause: Clause) -> None:
        self._made: dict[str, Leaf] = {}
        self._accepted: set[str] = set()
        self._tally = Tally(
            Told(
                "every account that was made by invitation accepted the terms that came with it",
                "an account was made by invitation without accepting the terms",
                "no account was made by invitation yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """An account that was made by invitation, or what it accepted."""
        account = leaf.ref("account")
        if leaf.kind == "people:terms:accepted":
            self._accepted.add(account)
        elif leaf.ref("invitation"):
            if account:
                self._made.setdefault(account, leaf)
            else:
                self._tally.skip(leaf)

    def found(self, now: datetime) -> Finding:
        """Over all accounts: the record is written with the account, in one transaction."""
        tally = self._tally.fork()
        for account, leaf in self._made.items():
            tally.judge(leaf, account in self._accepted)
        return tally.finding(self.name)
