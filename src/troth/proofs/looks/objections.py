"""Objections and withdrawals: decided by a person within their time, and felt by everything that is done afterwards."""

from __future__ import annotations

from datetime import datetime

from troth.notice import Clause, Notice
from troth.notice import clock as notice_clock
from troth.proofs.looks.base import GRACE, Kin, Look, Tally, Text, Told
from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Finding

_QUEUED, _DECIDED = "people:objection:queued", "people:objection:decided"
_CONSENT = "people:consent:recorded"
STANDS = frozenset({"waiting", "granted"})
"""States of an objection in which what it is against rests (GDPR Art. 18(1)(d), 21)."""


class OfObjections(Look):
    """Each objection was decided within the period, on the calendar, and what it is against rested meanwhile.

    What a rule decides is answered in the moment in which it is made; what waits for a person is late by the clock
    alone. Per: GDPR Art. 12(3), 21; Regulation (EEC, Euratom) 1182/71 Art. 3.
    """

    name = "right"

    def __init__(self, clause: Clause, notice: Notice) -> None:
        self._period = str(getattr(clause, "period", ""))
        self._zone = notice.zone
        self._waiting: dict[tuple[str, str], Leaf] = {}
        self._stands: dict[str, dict[str, datetime]] = {}
        self._kin = Kin()
        self._tally = Tally(
            Told(
                "every objection was decided in time, and what it is against rested",
                "an objection was decided late or is late, or what it is against went on",
                "nobody has objected yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """An objection, its decision, two numbers of one person, or something done."""
        if leaf.kind in (_QUEUED, _DECIDED):
            if leaf.is_full:
                self._changed(leaf)
            else:
                self._tally.skip(leaf)
        elif leaf.kind.startswith("people:subjects:"):
            self._kin.see(leaf)
        elif leaf.purpose in self._stands and leaf.is_done and leaf.is_decided and leaf.subject:
            standing = self._stands[leaf.purpose]
            since = [standing[each] for each in self._kin.of(leaf.subject) if each in standing]
            if since and leaf.at > min(since) + GRACE:
                self._tally.miss(leaf)

    def _changed(self, leaf: Leaf) -> None:
        key, state = leaf.word("key"), leaf.word("state")
        asked = self._waiting.pop((leaf.subject, key), None)
        if leaf.kind == _QUEUED:
            self._waiting[leaf.subject, key] = leaf
        elif asked is not None:
            self._tally.judge(asked, self._is_in_time(asked, leaf.at))
        elif state != "withdrawn":
            self._tally.fit(leaf)
        if state in STANDS:
            self._stands.setdefault(key, {}).setdefault(leaf.subject, leaf.at)
        elif leaf.subject in self._stands.get(key, {}):
            del self._stands[key][leaf.subject]

    def _is_in_time(self, asked: Leaf, at: datetime) -> bool:
        return at <= notice_clock.due_at(asked.at, self._period, zone=self._zone)

    def found(self, now: datetime) -> Finding:
        """With what waits: late once its day is over, else not counted yet."""
        tally = self._tally.fork()
        for asked in self._waiting.values():
            if not self._is_in_time(asked, now):
                tally.miss_now(asked)
        return tally.finding(self.name)


class OfWithdrawals(Look):
    """Each consent that was taken back was taken back in that moment: nothing was done on it afterwards."""

    name = "right"

    def __init__(self, text: Text) -> None:
        self._keys: dict[str, set[str]] = {}
        for clause in text.all("consent"):
            for purpose in getattr(clause, "purposes", ()):
                self._keys.setdefault(purpose, set()).add(clause.key)
        self._gone: dict[tuple[str, str, str], datetime] = {}
        self._tally = Tally(
            Told(
                "every consent that was taken back ended in that moment",
                "something was done on a consent that had been taken back",
                "nobody has taken a consent back yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A consent that was given or taken back, or something done."""
        if leaf.kind == _CONSENT:
            key, _, channel = leaf.word("key").partition(":")
            about = (leaf.subject, key, channel)
            if not leaf.is_full:
                self._tally.skip(leaf)
            elif leaf.word("state") == "withdrawn":
                self._gone[about] = leaf.at
                self._tally.fit(leaf)
            else:
                self._gone.pop(about, None)
        elif self._gone and leaf.purpose in self._keys and leaf.is_done and leaf.is_decided and leaf.subject:
            ways = ("", leaf.word("channel") or "email")
            ended = (self._gone.get((leaf.subject, key, way)) for key in self._keys[leaf.purpose] for way in ways)
            if any(at is not None and leaf.at > at + GRACE for at in ended):
                self._tally.miss(leaf)

    def found(self, now: datetime) -> Finding:
        """Over all of them."""
        return self._tally.finding(self.name)
