"""Rights: each request acknowledged and answered in time, by the clock of the calendar; restrictions kept to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from troth.notice import Clause, Notice
from troth.notice import clock as notice_clock
from troth.proofs.looks.base import GRACE, Kin, Look, Tally, Told
from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Finding


@dataclass(slots=True)
class _Request:
    opened: Leaf
    due: datetime
    acknowledge_by: datetime
    is_extended: bool = False
    acknowledged_at: datetime | None = None
    closed_at: datetime | None = None
    was_late: bool = False


class OfRequests(Look):
    """Each request of one right: acknowledged and answered within its time, or extended once within it.

    The times are those of the clause, from the moment in which it was asked: what an entry calls due is nothing to go
    by. One that is open is broken by the clock alone, once it is past.

    Per: GDPR Art. 12(3); Regulation (EEC, Euratom) 1182/71 Art. 3.
    """

    name = "right"
    kinds = frozenset(
        {"rights:request:opened", "rights:request:acknowledged", "rights:request:extended", "rights:request:closed"}
    )

    def __init__(self, clause: Clause, notice: Notice) -> None:
        self._right = str(getattr(clause, "right", ""))
        self._period = str(getattr(clause, "period", ""))
        self._acknowledge = str(getattr(clause, "acknowledge", ""))
        extension = getattr(clause, "extension", None)
        self._extension = str(extension) if extension is not None else ""
        self._zone = notice.zone
        self._open: dict[str, _Request] = {}
        self._tally = Tally(
            Told(
                "every request for this was acknowledged and answered in time",
                "a request for this was acknowledged or answered late, or is late",
                "nobody has asked for this yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """One step of a request."""
        if not leaf.is_full:
            if leaf.kind == "rights:request:opened":
                self._tally.skip(leaf)
            return
        ref = leaf.ref("request")
        if leaf.kind == "rights:request:opened":
            if leaf.word("right") == self._right:
                due, acknowledge_by = (
                    notice_clock.due_at(leaf.at, each, zone=self._zone) for each in (self._period, self._acknowledge)
                )
                self._open[ref] = _Request(leaf, due, acknowledge_by)
            return
        held = self._open.get(ref)
        if held is None:
            return
        if leaf.kind == "rights:request:acknowledged":
            held.acknowledged_at = held.acknowledged_at or leaf.at
        elif leaf.kind == "rights:request:extended":
            if held.is_extended or not self._extension or leaf.at > held.due:
                held.was_late = True
                return
            held.is_extended, asked = True, held.opened.at
            held.due = notice_clock.due_at(asked, self._period, extension=self._extension, zone=self._zone)
        else:
            held.closed_at = leaf.at
            self._tally.judge(held.opened, self._is_in_time(held, leaf.at))
            del self._open[ref]

    def found(self, now: datetime) -> Finding:
        """With what is open: late once its day is over, else not counted yet."""
        tally = self._tally.fork()
        for held in self._open.values():
            if not self._is_in_time(held, now):
                tally.miss_now(held.opened)
        return tally.finding(self.name)

    def _is_in_time(self, held: _Request, until: datetime) -> bool:
        answered = held.closed_at or until
        acknowledged = held.acknowledged_at or answered
        return not (held.was_late or answered > held.due or acknowledged > held.acknowledge_by)


class OfRestriction(Look):
    """Nothing was done with what a person had told us to leave alone, but for what goes on all the same."""

    name = "restriction"

    def __init__(self, clause: Clause) -> None:
        allowed = getattr(clause, "still_allowed", None)
        self._actions = frozenset(getattr(allowed, "actions", ()))
        self._purposes = frozenset(getattr(allowed, "purposes", ()))
        self._in_force: dict[str, dict[str, tuple[str, datetime]]] = {}
        self._kin = Kin()
        self._tally = Tally(
            Told(
                "nothing was done with what was stopped while it was stopped",
                "something was used while it was stopped",
                "nobody has stopped anything yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A restriction, or something done."""
        if leaf.kind == "people:restriction:set":
            self._set(leaf)
        elif leaf.kind.startswith("people:subjects:"):
            self._kin.see(leaf)
        elif self._in_force and leaf.is_done and leaf.is_decided and leaf.is_full and leaf.subject:
            self._used(leaf)

    def _set(self, leaf: Leaf) -> None:
        if not leaf.is_full:
            self._tally.skip(leaf)
            return
        ref = leaf.ref("restriction")
        if leaf.word("state") == "given":
            self._in_force.setdefault(leaf.subject, {})[ref] = (leaf.study, leaf.at)
            self._tally.fit(leaf)
        elif leaf.subject in self._in_force:
            self._in_force[leaf.subject].pop(ref, None)

    def _used(self, leaf: Leaf) -> None:
        if leaf.action in self._actions or leaf.purpose in self._purposes:
            return
        for subject in self._kin.of(leaf.subject) & self._in_force.keys():
            for study, since in self._in_force[subject].values():
                if leaf.at > since + GRACE and study in ("", leaf.study):
                    self._tally.miss(leaf)
                    return

    def found(self, now: datetime) -> Finding:
        """Over all restrictions."""
        return self._tally.finding(self.name)
