"""Consent and marketing: nothing without the yes that it needs, and nothing after a no."""

from __future__ import annotations

from datetime import datetime

from troth.notice import Clause
from troth.proofs.looks.base import GRACE, Look, Tally, Told
from troth.proofs.looks.leaf import Leaf
from troth.proofs.looks.objections import STANDS
from troth.proofs.model import Finding

_CHOSEN = frozenset({"people:consent:recorded", "people:channel:chosen", "people:objection:decided"})
_SENT = "people:message:sent"


class OfConsent(Look):
    """Each act for the purposes about somebody was done while their last answer was a yes that had not run out."""

    name = "consent"

    def __init__(self, clause: Clause) -> None:
        self._key = clause.key
        self._purposes = frozenset(getattr(clause, "purposes", ()))
        self._channels = frozenset(getattr(clause, "channels", ()))
        self._yes: dict[tuple[str, str], datetime | None] = {}
        self._no: dict[tuple[str, str], datetime] = {}
        self._tally = Tally(
            Told(
                "everything done for this was done while a yes was in force",
                "something was done for this without a yes in force",
                "nothing was done for this yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """An answer, or an act for one of the purposes."""
        if leaf.kind in _CHOSEN:
            key, _, channel = leaf.word("key").partition(":")
            if leaf.is_full and key == self._key:
                self._answer(leaf, (leaf.subject, channel))
        elif leaf.is_done and leaf.is_decided and leaf.purpose in self._purposes and leaf.subject:
            if leaf.is_full:
                self._tally.judge(leaf, self._was_yes(leaf))
            else:
                self._tally.skip(leaf)

    def _answer(self, leaf: Leaf, about: tuple[str, str]) -> None:
        if leaf.word("state") == "given":
            self._yes[about] = leaf.moment("until")
            self._no.pop(about, None)
        elif about in self._yes:
            del self._yes[about]
            self._no[about] = leaf.at

    def _was_yes(self, leaf: Leaf) -> bool:
        channel = (leaf.word("channel") or "email") if self._channels else ""
        about = (leaf.subject, channel)
        if about in self._no:
            # A no counts from the next moment: what was on its way is let through for a second.
            return leaf.at <= self._no[about] + GRACE
        until = self._yes.get(about)
        return about in self._yes and (until is None or leaf.at <= until)

    def found(self, now: datetime) -> Finding:
        """Over all that was done."""
        return self._tally.finding(self.name)


class OfMessages(Look):
    """No message of the purposes went to somebody after they had stopped it or objected."""

    name = "marketing"
    kinds = frozenset({*_CHOSEN, _SENT})

    def __init__(self, clause: Clause) -> None:
        self._purposes = frozenset(getattr(clause, "purposes", ()))
        self._stopped: dict[tuple[str, str], datetime] = {}
        self._tally = Tally(
            Told(
                "no message went to somebody who had stopped it",
                "a message went to somebody who had stopped it",
                "no such message was sent yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A choice, or a message."""
        if not leaf.is_full:
            if leaf.kind == _SENT and leaf.purpose in self._purposes:
                self._tally.skip(leaf)
        elif leaf.kind == "people:channel:chosen":
            self._choose(leaf, leaf.word("key"), is_stop=leaf.word("state") != "given")
        elif leaf.kind == "people:objection:decided":
            key = leaf.word("key")
            if key in self._purposes:
                self._choose(leaf, key, is_stop=leaf.word("state") in STANDS)
        elif leaf.kind == _SENT and leaf.purpose in self._purposes:
            self._tally.judge(leaf, not self._is_stopped(leaf))

    def _choose(self, leaf: Leaf, key: str, *, is_stop: bool) -> None:
        if is_stop:
            self._stopped[leaf.subject, key] = leaf.at
        else:
            self._stopped.pop((leaf.subject, key), None)

    def _is_stopped(self, leaf: Leaf) -> bool:
        channel = leaf.word("channel") or "email"
        stops = (self._stopped.get((leaf.subject, key)) for key in (channel, leaf.purpose))
        return any(at is not None and leaf.at > at + GRACE for at in stops)

    def found(self, now: datetime) -> Finding:
        """Over all messages."""
        return self._tally.finding(self.name)
