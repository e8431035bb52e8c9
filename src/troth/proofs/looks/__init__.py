"""The looks: each computes the sentence of a clause over all that happened, in one pass over the leaves.

A kind of clause without a look here stays unproven, whatever happened.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Final, Protocol

from troth.notice import Clause, Notice, places
from troth.proofs.looks.access import OfIdentity, OfLevels, OfSessions, OfSignIns, OfViewings
from troth.proofs.looks.base import Look, Text
from troth.proofs.looks.changes import OfAcceptance, OfMailing, OfPrograms, OfUse, OfVersions
from troth.proofs.looks.coming import OfArrivals, OfLists, OfTelling
from troth.proofs.looks.consents import OfConsent, OfMessages
from troth.proofs.looks.emergencies import OfEmergencies
from troth.proofs.looks.keeping import OfAges, OfDisposal, OfErasure, OfHolds
from troth.proofs.looks.leaf import Leaf, LeafUnreadable
from troth.proofs.looks.leaving import OfGate, OfInstructions, OfOrders, OfOutside, OfTransfers, Registers
from troth.proofs.looks.objections import OfObjections, OfWithdrawals
from troth.proofs.looks.own import KINDS, Own
from troth.proofs.looks.reach import OfResidency, OfScope, OfSurfaces
from troth.proofs.looks.requests import OfRequests, OfRestriction
from troth.proofs.looks.shape import OfNever, OfPurpose, OfRole, Shape
from troth.proofs.model import Checked, Finding, Verdict

DEPARTED: Final = "exchange:disclosure:recorded"
"""What is written before anything leaves for somebody outside."""
_MALFORMED: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
"""By then nothing is late."""

__all__ = ["Leaf", "LeafUnreadable", "Look", "Looks", "Text"]


class _Sees(Protocol):
    def see(self, leaf: Leaf) -> None: ...


class _Departures:
    """How often something left for somebody outside, by activity."""

    def __init__(self) -> None:
        self.by_purpose: Counter[str] = Counter()

    def see(self, leaf: Leaf) -> None:
        """Something that is about to leave."""
        if leaf.kind == DEPARTED and leaf.is_done:
            self.by_purpose[leaf.purpose] += 1


class Looks:
    """All looks of the notices of a deployment; they see each leaf once.

    A leaf that one of them cannot make sense of ends no run: from there on that look is blind, and names the leaf.

    Args:
        text: The notices.
    """

    def __init__(self, text: Text) -> None:
        self._departures = _Departures()
        self._shape = Shape()
        self._registers = Registers()
        self._own = Own()
        self._malformed: dict[int, int] = {}
        """Number of the first leaf that somebody could make no sense of, by the `id` of who."""
        self._before: dict[int, Finding] = {}
        """What looks had found against a promise until then."""
        self._of: dict[tuple[str, str], list[Look]] = {}
        for notice in text.current:
            for clause in notice.clauses:
                self._of[notice.name, clause.id] = list(self._looks(clause, notice, text))
        self._by_kind: dict[str, list[_Sees]] = defaultdict(list)
        for kind in KINDS:
            self._by_kind[kind].append(self._own)
        self._of_all: list[_Sees] = [self._departures, self._shape, self._registers]
        for look in (each for some in self._of.values() for each in some):
            if look.kinds is None:
                self._of_all.append(look)
            for kind in look.kinds or ():
                self._by_kind[kind].append(look)

    def see(self, octets: bytes) -> None:
        """Take in one leaf; they come in the order of the ledger. One that cannot be read is named by the ledger."""
        try:
            leaf = Leaf.read(octets)
        except LeafUnreadable:
            return
        for each in chain(self._of_all, self._by_kind.get(leaf.kind, ())):
            try:
                each.see(leaf)
            except _MALFORMED:
                self._blinded(each, leaf)

    def _blinded(self, each: _Sees, leaf: Leaf) -> None:
        if id(each) in self._malformed:
            return
        self._malformed[id(each)] = leaf.index
        for look in (one for some in self._of.values() for one in some):
            if look is each or any(each is shared for shared in look.rests_on):
                self._keep_broken(look)

    def _keep_broken(self, look: Look) -> None:
        """What it had found by now against its promise stays, whatever it cannot see from here on."""
        with suppress(*_MALFORMED):
            found = look.found(_BEGINNING)
            if found.verdict is Verdict.BROKEN:
                self._before.setdefault(id(look), found)

    @property
    def departures(self) -> Counter[str]:
        """How often something left for somebody outside, by activity."""
        return self._departures.by_purpose

    def compared(self, runs: Mapping[str, str], breaches: Mapping[str, str], waiting: Collection[str]) -> Checked:
        """What the platform said of itself, held against what it keeps of that; see `Own.compared`."""
        if (index := self._malformed.get(id(self._own))) is not None:
            return Checked("tamper_evident", None, _unreadable(index))
        return self._own.compared(runs, breaches, waiting)

    def found(self, now: datetime) -> Mapping[tuple[str, str], Sequence[Finding]]:
        """What was found, by notice and clause.

        Args:
            now: What is open and past its clock by then is late.
        """
        return {key: [self._found(look, now) for look in some] for key, some in self._of.items()}

    def _found(self, look: Look, now: datetime) -> Finding:
        unseen = [self._malformed[id(each)] for each in (look, *look.rests_on) if id(each) in self._malformed]
        if unseen:
            said = _unreadable(min(unseen))
            before = self._before.get(id(look))
            return replace(before, said=f"{before.said}; {said}") if before else Finding(look.name, Verdict.BLIND, said)
        try:
            return look.found(now)
        except _MALFORMED:
            return Finding(look.name, Verdict.BLIND, "an entry says what cannot be computed with")

    def _looks(self, clause: Clause, notice: Notice, text: Text) -> Iterator[Look]:
        """The looks that compute the sentence of a clause; none where nothing does yet."""
        shape, registers = self._shape, self._registers
        match clause.kind:
            case "purpose":
                yield OfPurpose(shape, clause, text)
                if any("emergency_reason" in access.requires for access in getattr(clause, "access", ())):
                    yield OfEmergencies(clause)
            case "never":
                yield OfNever(shape, clause)
            case "recipient" if getattr(clause, "is_outside", False):
                yield OfOutside(registers, clause)
            case "recipient":
                yield OfRole(shape, clause, notice, text)
            case "instruction":
                yield OfInstructions(registers, clause, places(getattr(clause, "controllers_in", ())))
            case "transfer":
                yield OfTransfers(registers, clause, places(getattr(clause, "origins", ())))
            case "legal_order":
                yield OfOrders(registers, clause)
            case "deidentification":
                yield OfGate(registers, clause)
            case "amendment":
                yield OfVersions(notice)
                if getattr(clause, "is_mailed", False):
                    yield OfMailing(clause, notice)
            case "source" if not getattr(clause, "is_never", False):
                yield from _of_source(clause, notice)
            case "surface":
                yield OfLevels(clause) if getattr(clause, "levels", ()) else OfSurfaces(text)
            case "residency":
                yield OfResidency(clause, notice)
            case "scope":
                yield OfScope(shape, clause, notice, text)
            case "accept":
                yield OfAcceptance(clause, text) if getattr(clause, "is_with_account", True) else OfUse(clause, text)
            case "retention":
                yield OfDisposal(clause, notice, text)
            case "right":
                yield _of_right(clause, notice, text)
            case "safeguard":
                measure = _MEASURES.get(str(getattr(clause, "measure", "")))
                if measure is not None:
                    yield measure()
            case kind if kind in _SIMPLE:
                yield from _SIMPLE[kind](clause)


def _unreadable(index: int) -> str:
    return f"entry {index + 1:,} says what this cannot make sense of, so that nothing is shown from there on"


def _of_source(clause: Clause, notice: Notice) -> Iterator[Look]:
    if getattr(clause, "names", ()):
        yield OfLists(clause)
        if getattr(clause, "told_within", None) is not None:
            yield OfTelling(clause, notice)
    elif getattr(clause, "origin", "") in ("device", "controller"):
        yield OfArrivals()


def _of_right(clause: Clause, notice: Notice, text: Text) -> Look:
    match getattr(clause, "right", ""):
        case "restrict":
            return OfRestriction(clause)
        case "object":
            return OfObjections(clause, notice)
        case "withdraw":
            return OfWithdrawals(text)
        case _:
            return OfRequests(clause, notice)


_SIMPLE: Final[Mapping[str, Callable[[Clause], Iterator[Look]]]] = {
    "hold": lambda clause: iter([OfHolds()]),
    "automation": lambda clause: iter([OfPrograms(clause)]),
    "minor": lambda clause: iter([OfAges()]),
    "consent": lambda clause: iter([OfConsent(clause)]),
    "marketing": lambda clause: iter([OfMessages(clause)]),
    "logging": lambda clause: iter([OfViewings()]),
}

_MEASURES: Final[Mapping[str, Callable[[], Look]]] = {
    "no_open_door": OfSignIns,
    "live_session": OfSessions,
    "identity_check": OfIdentity,
    "stays_erased": OfErasure,
}
