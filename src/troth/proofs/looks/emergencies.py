"""Emergencies: nothing opened for one that nobody claimed, and each one checked by somebody else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from troth.notice import Clause
from troth.proofs.looks.base import GRACE, Kin, Look, Tally, Told
from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Finding, Verdict

_CLAIMED, _REVIEWED = "people:emergency:claimed", "people:emergency:reviewed"
_PAST: Final = timedelta(days=1)
"""For how long a claim that ran out is kept: entries do not come exactly in the order of their moments."""
_NO_OPENING = frozenset({_CLAIMED, _REVIEWED, "archive:viewing:closed"})


class OfEmergencies(Look):
    """What was opened in an emergency was opened by who claimed it, in its hours, and each claim is checked by another.

    One that nobody has checked yet waits, and shows nothing. Per: GDPR Art. 6(1)(d), 9(2)(c).
    """

    name = "emergency"

    def __init__(self, clause: Clause) -> None:
        self._purpose = clause.key
        self._claims: dict[str, Leaf] = {}
        self._unchecked: set[str] = set()
        self._kin = Kin()
        self._tally = Tally(
            Told(
                "everything opened in an emergency was claimed before, and each claim was checked by somebody else",
                "something was opened for an emergency that nobody had claimed, or somebody checked their own",
                "nothing was opened in an emergency yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A claim, its check, its end, two numbers of one person, or something opened."""
        if leaf.kind.startswith("people:subjects:"):
            self._kin.see(leaf)
        elif leaf.kind == _CLAIMED:
            if leaf.is_full:
                self._claims = {ref: claim for ref, claim in self._claims.items() if not _is_past(claim, leaf.at)}
                self._claims[leaf.ref("assignment")] = leaf
                self._unchecked.add(leaf.ref("assignment"))
            else:
                self._tally.skip(leaf)
        elif leaf.kind == _REVIEWED:
            self._checked(leaf)
        elif leaf.kind == "people:assignment:ended":
            self._claims.pop(leaf.ref("assignment"), None)
        elif leaf.purpose == self._purpose and leaf.is_done and leaf.subject and leaf.kind not in _NO_OPENING:
            if leaf.is_full:
                self._tally.judge(leaf, any(self._covers(claim, leaf) for claim in self._claims.values()))
            else:
                self._tally.skip(leaf)

    def _checked(self, leaf: Leaf) -> None:
        if not leaf.is_full:
            self._tally.skip(leaf)
            return
        self._tally.judge(leaf, bool(leaf.actor) and leaf.actor != leaf.ref("account"))
        self._unchecked.discard(leaf.ref("assignment"))

    def _covers(self, claim: Leaf, opening: Leaf) -> bool:
        until = claim.moment("until")
        return (
            until is not None
            and opening.at <= until + GRACE
            and claim.tenant == opening.tenant
            and claim.ref("account") == opening.actor
            and claim.subject in self._kin.of(opening.subject)
        )

    def found(self, now: datetime) -> Finding:
        """Over all of them; nothing is shown while one waits for its check."""
        finding = self._tally.finding(self.name)
        if self._unchecked and finding.verdict is not Verdict.BROKEN:
            return Finding(self.name, Verdict.IDLE, "an emergency waits for somebody to check it")
        return finding


def _is_past(claim: Leaf, now: datetime) -> bool:
    """Whether a claim covers nothing any more, however late an entry comes."""
    until = claim.moment("until")
    return until is None or now > until + _PAST
