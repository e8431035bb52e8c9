"""What stays and what goes: legal holds, erasures because a time is over, and what stays erased."""

from __future__ import annotations

from datetime import datetime

from troth.ledger import DESTROYING
from troth.notice import Clause, Notice
from troth.proofs.looks.base import Kin, Look, Tally, Text, Told
from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Finding, Verdict

_PLACED, _RELEASED = "lifecycle:hold:placed", "lifecycle:hold:released"
_FORGOTTEN, _DISCARDED = "people:subject:erased", "archive:instance:discarded"
_DISPOSED, _QUEUED, _UNUSED = "lifecycle:contact:disposed", "people:proposal:queued", "unused_account"
_HELD = frozenset(
    {
        "archive:instances:stored", "archive:study:opened", "archive:study:copied", "archive:study:corrected",
        "archive:instance:mended", "archive:instance:replaced", "archive:instance:released",
    }
)  # fmt: skip


class OfHolds(Look):
    """Nothing that a hold covered was erased between the day it was placed and the day it was released.

    What one person's hold covers, it covers under each number that was merged with theirs.
    """

    name = "hold"
    kinds = frozenset({_PLACED, _RELEASED, *DESTROYING, "people:subjects:merged", "people:subjects:unmerged"})

    def __init__(self) -> None:
        self._holds: dict[str, Leaf] = {}
        self._kin = Kin()
        self._is_unseen = False
        self._tally = Tally(
            Told(
                "nothing was erased while it was held",
                "something was erased while it was held",
                "nothing was ever put under a legal hold",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A hold, the end of one, an erasure, or two numbers of one person."""
        if not leaf.is_full:
            if leaf.kind == _PLACED:
                self._tally.skip(leaf)
        elif leaf.kind == _PLACED:
            self._holds[leaf.ref("hold")] = leaf
            self._tally.fit(leaf)
        elif leaf.kind == _RELEASED:
            self._holds.pop(leaf.ref("hold"), None)
        elif leaf.kind.startswith("people:subjects:"):
            self._kin.see(leaf)
        elif leaf.is_done:
            held = [hold for hold in self._holds.values() if hold.tenant == leaf.tenant]
            if any(self._covers(hold, leaf) for hold in held):
                self._tally.miss(leaf)
            elif held and leaf.kind == _DISCARDED:  # its entry is of the organisation: whose it was cannot be believed
                self._is_unseen = True

    def _covers(self, hold: Leaf, erased: Leaf) -> bool:
        match hold.word("scope"):
            case "study" if erased.kind == _FORGOTTEN:  # who somebody is, erased, takes their studies along
                return bool(hold.subject) and erased.subject in self._kin.of(hold.subject)
            case "study":
                return (hold.ref("study") or hold.study) == erased.study
            case "subject":
                return erased.subject in self._kin.of(hold.ref("subject") or hold.subject)
            case _:
                return True

    def found(self, now: datetime) -> Finding:
        """Over all holds."""
        finding = self._tally.finding(self.name)
        if self._is_unseen and finding.verdict is Verdict.HOLDS:
            said = "images that were kept apart were destroyed during a hold, and no entry says whether it covered them"
            return Finding(self.name, Verdict.BLIND, said)
        return finding


class OfDisposal(Look):
    """What went because the time of this clause was over went on its day or later; what stays past it is counted apart.

    Its day is in its entry; that of an account that nobody used in the entry that put it before a person.
    """

    name = "retention"
    kinds = frozenset({_DISPOSED, _QUEUED, "people:account:closed"})

    def __init__(self, clause: Clause, notice: Notice, text: Text) -> None:
        self._activities = {
            purpose.key
            for each in text.published
            if each.name == notice.name
            for purpose in each.all("purpose")
            if clause.key in getattr(purpose, "retention", ())
        }
        self._is_of_accounts = clause.key == _UNUSED
        self._due: dict[str, datetime | None] = {}
        self._is_unseen = False
        self._tally = Tally(
            Told(
                "nothing was disposed of before its day",
                "something was disposed of before its day, or that no rule ended",
                "nothing was disposed of yet because its time was over",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A disposal under this clause; an erasure that somebody asked for is none."""
        if leaf.kind != _DISPOSED:
            if self._is_of_accounts and leaf.ref("proposal"):
                self._see_account(leaf)
        elif not leaf.is_full:
            self._tally.skip(leaf)
        elif leaf.word("activity") in self._activities:
            self._judge(leaf, leaf.begins("due"), is_meant=leaf.is_done and leaf.action == "dispose")

    def _see_account(self, leaf: Leaf) -> None:
        """One that was put before a person, with its day; or that a person closed."""
        if leaf.kind == _QUEUED:
            self._due[leaf.ref("proposal")] = leaf.begins("due")
        elif leaf.is_done:
            self._judge(leaf, self._due.pop(leaf.ref("proposal"), None), is_meant=leaf.actor_kind == "user")

    def _judge(self, leaf: Leaf, due: datetime | None, *, is_meant: bool) -> None:
        if due is None:
            self._is_unseen = True
        else:
            self._tally.judge(leaf, is_meant and leaf.at >= due)

    def found(self, now: datetime) -> Finding:
        """Over all disposals: one before its day breaks it, and those on their days are half of the sentence."""
        finding = self._tally.finding(self.name)
        if self._is_unseen and finding.verdict is not Verdict.BROKEN:
            return Finding(
                self.name, Verdict.BLIND, "something ended because its time was over, and no entry says when"
            )
        return finding


class OfErasure(Look):
    """Nothing that was erased was taken in, opened or copied again under its own name, or brought back by a restore.

    What came back under another one is found by the marks of what was erased, which are held against all that is held.
    """

    name = "stays_erased"
    kinds = frozenset({"archive:study:erased", *_HELD})

    def __init__(self) -> None:
        self._erased: set[str] = set()
        self._tally = Tally(
            Told(
                "nothing that was erased was met again",
                "something was taken in, opened or copied after it had been erased",
                "nothing was erased yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """An erasure, or something done with a study."""
        if leaf.kind == "archive:study:erased":
            if leaf.is_done and leaf.study not in self._erased:
                self._erased.add(leaf.study)
                self._tally.fit(leaf)
        elif leaf.kind in _HELD and leaf.study in self._erased and leaf.is_done:
            self._tally.miss(leaf)

    def found(self, now: datetime) -> Finding:
        """Over all erasures."""
        return self._tally.finding(self.name)


class OfAges(Look):
    """Whether somebody of a refused age was taken in: an age is under seal, so that entries cannot show it.

    No form asks for a birthday yet, so none is ever stated; once one does, who was taken in has to be counted in what
    is stored.
    """

    name = "minor"
    kinds = frozenset({"people:age:stated"})

    def __init__(self) -> None:
        self._is_stated = False

    def see(self, leaf: Leaf) -> None:
        """An age that somebody stated; which one, no entry says."""
        self._is_stated = True

    def found(self, now: datetime) -> Finding:
        """Blind once an age was stated."""
        if self._is_stated:
            return Finding(self.name, Verdict.BLIND, "ages are under seal, and nothing computes yet who was taken in")
        return Finding(self.name, Verdict.IDLE, "nobody has stated an age yet: no form here asks for one")
