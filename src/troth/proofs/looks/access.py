"""How people and machines come in: signed in, at their level of service, and never after the sign-in ended."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from troth.notice import Clause
from troth.proofs.looks.base import GRACE, Kin, Look, Tally, Told
from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Finding

_OPENED, _CLOSED, _COPIED = "archive:study:opened", "archive:viewing:closed", "archive:study:copied"
_BEFORE_SIGN_IN = frozenset({"register", "sign_in", "open_notice"})


class OfSignIns(Look):
    """Each act on a person's data was done by somebody who is named; nothing by a visitor."""

    name = "no_open_door"

    def __init__(self) -> None:
        self._tally = Tally(
            Told(
                "everything done with somebody's data was done by somebody who is named",
                "something was done with somebody's data by nobody who is named",
                "nothing was done with anybody's data yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """An act with the data of a person, that a decision stands behind."""
        if not (leaf.is_done and leaf.is_decided and leaf.subject) or leaf.action in _BEFORE_SIGN_IN:
            return
        if leaf.is_full:
            is_ours = leaf.actor_kind == "system" and bool(leaf.role)
            self._tally.judge(leaf, is_ours or (leaf.actor_kind != "anonymous" and bool(leaf.actor or leaf.session)))
        else:
            self._tally.skip(leaf)

    def found(self, now: datetime) -> Finding:
        """Over all of them."""
        return self._tally.finding(self.name)


class OfSessions(Look):
    """Nothing was done in a session or by a token after it had ended."""

    name = "live_session"

    def __init__(self) -> None:
        self._ended: dict[str, datetime] = {}
        self._tally = Tally(
            Told(
                "nothing was done in a session after it had ended",
                "something was done in a session that had ended",
                "no session has ended yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """The end of a session, or an act in one."""
        ref = leaf.ref("session") or leaf.ref("token")
        if leaf.kind in ("people:session:ended", "people:token:ended"):
            if leaf.is_full and ref:
                self._ended.setdefault(ref, leaf.at)
                self._tally.fit(leaf)
            else:
                self._tally.skip(leaf)
        elif self._is_over(leaf) and leaf.is_done and leaf.kind != _CLOSED:
            self._tally.miss(leaf)

    def _is_over(self, leaf: Leaf) -> bool:
        ended_at = self._ended.get(leaf.session)
        return ended_at is not None and leaf.at > ended_at + GRACE

    def found(self, now: datetime) -> Finding:
        """Over all that ended."""
        return self._tally.finding(self.name)


class OfLevels(Look):
    """Each act that came by this surface was done at a level of service that has it."""

    name = "surface"

    def __init__(self, clause: Clause) -> None:
        self._at = str(getattr(clause, "at", ""))
        self._levels = frozenset(getattr(clause, "levels", ()))
        self._purposes = frozenset(getattr(clause, "purposes", ()))
        self._closes = frozenset(getattr(clause, "closes", ()))
        self._level: dict[str, str] = {}
        self._tally = Tally(
            Told(
                "everything that came this way came at a level of service that has it",
                "something came this way at a level of service that does not have it",
                "nothing came this way yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A change of level, or an act that came this way."""
        if leaf.kind in ("people:level:changed", "people:organisation:added"):
            tenant = leaf.ref("organisation") or leaf.tenant
            if leaf.word("level"):
                self._level[tenant] = leaf.word("level")
        elif self._is_meant(leaf):
            if leaf.is_full:
                self._tally.judge(leaf, self._level.get(leaf.tenant, "full") in self._levels)
            else:
                self._tally.skip(leaf)

    def _is_meant(self, leaf: Leaf) -> bool:
        is_act = leaf.is_done and leaf.is_decided and leaf.purpose in self._purposes
        return is_act and leaf.via == self._at and (not self._closes or leaf.action in self._closes)

    def found(self, now: datetime) -> Finding:
        """Over all that came this way."""
        return self._tally.finding(self.name)


class OfViewings(Look):
    """Each viewing that ended, each disclosure that left and each copy that was collected has its entry from before it.

    An entry of a viewing stands for one end of it, by the same account in the same session.
    """

    name = "logging"
    kinds = frozenset(
        {
            _OPENED, _CLOSED, _COPIED, "rights:copy:made", "rights:copy:collected", "exchange:disclosure:recorded",
            "exchange:disclosure:left",
        }
    )  # fmt: skip

    def __init__(self) -> None:
        self._opened: Counter[tuple[str, str, str]] = Counter()
        self._made: set[str] = set()
        self._recorded: set[str] = set()
        self._tally = Tally(
            Told(
                "each viewing that ended, disclosure and collected copy has its entry from before it",
                "a viewing, a disclosure or a collected copy has no entry from before it",
                "no viewing has ended, and nothing was collected or left yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A beginning, or an end."""
        if not leaf.is_full:
            self._tally.skip(leaf)
        elif leaf.kind in (_OPENED, _COPIED):
            self._opened[leaf.study, leaf.actor, leaf.session] += 1
        elif leaf.kind == _CLOSED:
            viewing = (leaf.study, leaf.actor, leaf.session)
            opened = self._opened.pop(viewing, 0)
            self._tally.judge(leaf, opened > 0)
            if opened > 1:
                self._opened[viewing] = opened - 1
        elif leaf.kind == "rights:copy:made":
            self._made.add(leaf.ref("request"))
        elif leaf.kind == "rights:copy:collected":
            self._tally.judge(leaf, leaf.ref("request") in self._made)
        elif leaf.kind == "exchange:disclosure:recorded":
            self._recorded.add(leaf.ref("disclosure"))
        else:
            self._tally.judge(leaf, leaf.ref("disclosure") in self._recorded)

    def found(self, now: datetime) -> Finding:
        """Over all that ended."""
        return self._tally.finding(self.name)


class OfIdentity(Look):
    """Each account that acts as a patient was matched with that patient before, itself."""

    name = "identity_check"

    def __init__(self) -> None:
        self._matched: dict[str, set[str]] = {}
        self._kin = Kin()
        self._tally = Tally(
            Told(
                "everybody who acted as a patient had passed the check before",
                "somebody acted as a patient who had not passed the check",
                "nobody has acted as a patient yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A match, two numbers of one person, or an act as a patient."""
        if leaf.kind == "people:subject:matched":
            if leaf.ref("account"):
                self._matched.setdefault(leaf.ref("account"), set()).add(leaf.subject)
            else:
                self._tally.skip(leaf)
        elif leaf.kind.startswith("people:subjects:"):
            self._kin.see(leaf)
        elif leaf.role == "patient" and leaf.is_done and leaf.is_decided and leaf.subject:
            self._tally.judge(leaf, bool(self._kin.of(leaf.subject) & self._matched.get(leaf.actor, set())))

    def found(self, now: datetime) -> Finding:
        """Over all such acts."""
        return self._tally.finding(self.name)
