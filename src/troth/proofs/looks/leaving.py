"""What left for somebody outside: recipients and contracts, instruments, orders, the gate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from troth.notice import Clause
from troth.proofs.looks.base import GRACE, Look, Tally, Told
from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Finding

_DEPARTED, _REGISTER = "exchange:disclosure:recorded", "exchange:register:changed"
_STRUCK = "exchange:transfer:invalidated"
_REVIEWED = "exchange:order:reviewed"


@dataclass(slots=True)
class Standing:
    """A row of a register over time."""

    made: Leaf
    since: datetime | None
    until: datetime | None
    ended_at: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it was in force."""
        is_on_file = self.made.at <= at and (self.ended_at is None or at <= self.ended_at + GRACE)
        return is_on_file and (self.since is None or self.since <= at) and (self.until is None or at <= self.until)


@dataclass
class Registers:
    """The registers as their entries made them; shared by the looks that hold departures against them."""

    rows: dict[str, Standing] = field(default_factory=dict)
    reviewed: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    regions: dict[str, str] = field(default_factory=dict)

    def see(self, leaf: Leaf) -> None:
        """A row that was filed, ended, struck down or looked at."""
        if not leaf.is_full:
            return
        if leaf.kind in (_REGISTER, _STRUCK, "exchange:instruction:given", "exchange:instruction:revoked"):
            for noun in ("recipient", "contract", "instrument", "order", "instruction"):
                for ref in leaf.refs(noun):
                    self._changed(ref, leaf)
        elif leaf.kind == "people:organisation:added":
            self.regions[leaf.ref("organisation")] = leaf.word("region")
        elif leaf.kind == _REVIEWED:
            self.reviewed.setdefault(leaf.ref("order"), (leaf.actor, leaf.at))

    def _changed(self, ref: str, leaf: Leaf) -> None:
        held = self.rows.get(ref)
        if held is None:
            self.rows[ref] = Standing(leaf, leaf.begins("valid_from"), leaf.moment("valid_until"))
        elif leaf.word("state") == "ended" or leaf.kind in (_STRUCK, "exchange:instruction:revoked"):
            held.ended_at = held.ended_at or leaf.at

    def holds(self, ref: str, at: datetime) -> bool:
        """Whether a row was in force."""
        held = self.rows.get(ref)
        return held is not None and held.holds(at)

    def has_contract(self, leaf: Leaf) -> bool:
        """Whether the contract of a recipient was in force: the one that the entry names, else the one by its key."""
        ref = leaf.ref("contract")
        if ref:
            return self.holds(ref, leaf.at)
        held = self.rows.get(leaf.ref("recipient"))
        key = held.made.word("contract_key") if held is not None else ""
        return bool(key) and any(
            row.made.ref("contract") and row.made.word("key") == key and row.holds(leaf.at)
            for row in self.rows.values()
            if row.made.tenant in (leaf.tenant, "")
        )


class OfDepartures(Look):
    """Each thing that left for an activity or a recipient had what the clause asks for, at that moment.

    Args:
        registers: Seen before this look for every entry.
        clause: Whose sentence it is.
    """

    kinds = frozenset({_DEPARTED})

    def __init__(self, registers: Registers, clause: Clause, told: Told) -> None:
        self._registers = registers
        self._clause = clause
        self._tally = Tally(told)

    @property
    def rests_on(self) -> tuple[object, ...]:
        """The registers."""
        return (self._registers,)

    def see(self, leaf: Leaf) -> None:
        """Something that is about to leave."""
        if not leaf.is_full:
            self._tally.skip(leaf)
        elif leaf.is_done and self.is_meant(leaf):
            self._tally.judge(leaf, self.fits(leaf))

    def is_meant(self, leaf: Leaf) -> bool:
        """Whether it is of the domain."""
        return leaf.purpose in getattr(self._clause, "purposes", ())

    def fits(self, leaf: Leaf) -> bool:
        """Whether it had what it needs."""
        raise NotImplementedError

    def found(self, now: datetime) -> Finding:
        """Over all that left."""
        return self._tally.finding(self.name)


class OfOutside(OfDepartures):
    """What went to a recipient outside: with its contract in force, and of its categories."""

    name = "recipient"

    def __init__(self, registers: Registers, clause: Clause) -> None:
        super().__init__(
            registers,
            clause,
            Told(
                "everything that went there had its contract, and was of the categories that it may have",
                "something went there without a contract in force, or of another category",
                "nothing was given there yet",
            ),
        )
        contract = getattr(clause, "contract", None)
        self._needs_contract = contract is not None and contract.form != "none_needed"
        self._categories = frozenset(getattr(clause, "categories", ()))

    def is_meant(self, leaf: Leaf) -> bool:
        """To a row that is, or stands under, this recipient."""
        held = self._registers.rows.get(leaf.ref("recipient"))
        if held is None:
            return False
        return self._clause.key in (held.made.word("key"), held.made.word("stands_under"))

    def fits(self, leaf: Leaf) -> bool:
        """The contract in force, the recipient in the register, the category."""
        has_contract = not self._needs_contract or self._registers.has_contract(leaf)
        is_listed = self._registers.holds(leaf.ref("recipient"), leaf.at)
        return is_listed and has_contract and (not self._categories or leaf.word("category") in self._categories)


class OfTransfers(OfDepartures):
    """What went from one of these countries to one of those: on an instrument that was valid then."""

    name = "transfer"

    def __init__(self, registers: Registers, clause: Clause, origins: Iterable[str]) -> None:
        super().__init__(
            registers,
            clause,
            Told(
                "everything that went there had its instrument on file and valid",
                "something went there without an instrument in force",
                "nothing went there yet",
            ),
        )
        self._destinations = frozenset(getattr(clause, "destinations", ()))
        self._origins = frozenset(origins)

    def is_meant(self, leaf: Leaf) -> bool:
        """From where the organisation keeps its data, to one of the destinations."""
        return (
            leaf.word("country") in self._destinations and self._registers.regions.get(leaf.tenant, "") in self._origins
        )

    def fits(self, leaf: Leaf) -> bool:
        """The instrument was valid."""
        return self._registers.holds(leaf.ref("instrument"), leaf.at)


class OfOrders(OfDepartures):
    """What was handed out on an order: its document on file before, in force, and looked at by another person."""

    name = "legal_order"

    def __init__(self, registers: Registers, clause: Clause) -> None:
        super().__init__(
            registers,
            clause,
            Told(
                "everything that was handed out had its order on file before",
                "something was handed out without what this asks for",
                "nothing was handed out on an order yet",
            ),
        )
        self._needs = frozenset(getattr(clause, "needs", ()))

    def fits(self, leaf: Leaf) -> bool:
        """The order, and its review by somebody else."""
        ref = leaf.ref("order")
        if not self._registers.holds(ref, leaf.at):
            return False
        if "review" not in self._needs:
            return True
        reviewer, at = self._registers.reviewed.get(ref, ("", leaf.at))
        return bool(reviewer) and at <= leaf.at and reviewer != self._registers.rows[ref].made.actor


class OfGate(OfDepartures):
    """What was released without names passed the gate before, with groups that are large enough."""

    name = "deidentification"

    def __init__(self, registers: Registers, clause: Clause) -> None:
        super().__init__(
            registers,
            clause,
            Told(
                "everything that was released had passed the gate",
                "something was released that had not passed the gate",
                "nothing was released for this yet",
            ),
        )
        self._smallest = int(getattr(clause, "smallest_group", 0))

    def fits(self, leaf: Leaf) -> bool:
        """It is of totals, and its smallest group is no smaller than the clause says."""
        return leaf.word("kind") == "totals" and leaf.counts.get("smallest_group", 0) >= self._smallest


class OfInstructions(Look):
    """Each act for the activities was done while the organisation's instruction and agreement held."""

    name = "instruction"

    def __init__(self, registers: Registers, clause: Clause, countries: Iterable[str]) -> None:
        self._registers = registers
        self._key = clause.key
        agreement = str(getattr(clause, "agreement", "none"))
        self._agreement = {"dpa": "processor", "baa": "baa"}.get(agreement, "")
        self._purposes = frozenset(getattr(clause, "purposes", ()))
        self._countries = frozenset(countries)
        self._tally = Tally(
            Told(
                "everything done for these activities was instructed at that moment",
                "something was done for these activities without an instruction in force",
                "nothing was done for these activities yet",
            )
        )

    @property
    def rests_on(self) -> tuple[object, ...]:
        """The registers."""
        return (self._registers,)

    def see(self, leaf: Leaf) -> None:
        """An act for an organisation."""
        if not leaf.is_done or not leaf.is_decided or leaf.purpose not in self._purposes:
            return
        if not leaf.is_full:
            self._tally.skip(leaf)
        elif not self._countries or self._registers.regions.get(leaf.tenant, "") in self._countries:
            self._tally.judge(leaf, self._is_instructed(leaf))

    def _is_instructed(self, leaf: Leaf) -> bool:
        rows = [held for held in self._registers.rows.values() if held.made.tenant == leaf.tenant]
        has_order = not self._key or any(
            held.made.word("key") == self._key and held.made.ref("instruction") and held.holds(leaf.at) for held in rows
        )
        has_agreement = not self._agreement or any(
            held.made.word("kind") == self._agreement and held.made.ref("contract") and held.holds(leaf.at)
            for held in rows
        )
        return has_order and has_agreement

    def found(self, now: datetime) -> Finding:
        """Over all that was done for them."""
        return self._tally.finding(self.name)
