"""What is said of a promise, and on what evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Standing(StrEnum):
    """Whether a promise is kept."""

    KEPT = "kept"
    BROKEN = "broken"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Shown:
    """One entry of the ledger that shows a promise at work.

    Attributes:
        number: Its place in the ledger; None while it waits for one.
        is_proved: Whether its inclusion in the latest signed checkpoint was computed and held.
        proof: The proof of its inclusion in the form of C2SP tlog-proof, for anybody to check; empty where there is
            none yet.
    """

    event_id: UUID
    kind: str
    at: datetime
    number: int | None
    is_proved: bool
    proof: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """One look at the running platform.

    Attributes:
        measure: Key of the measure, as the notice names it.
        holds: What the look found; None when it cannot be looked at from here.
        found: The finding in a sentence.
    """

    measure: str
    holds: bool | None
    found: str


@dataclass(frozen=True, slots=True)
class Proven:
    """One promise of the notice in force, with what is known of it.

    Attributes:
        clause_id: Such as "4.1".
        section: Number and title of its section.
        says: The promise.
        enforcer: The part of the program that keeps it.
        looks_for: What is looked for in the evidence.
        reason: Why it stands as it does, in a sentence.
    """

    clause_id: str
    kind: str
    section: str
    says: str
    promises: tuple[str, ...]
    standing: Standing
    enforcer: str
    looks_for: str
    reason: str
    shown: tuple[Shown, ...] = ()
    checked: tuple[Checked, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All promises of a notice version at one moment.

    Attributes:
        safeguards: Every live check of the register of safeguards, also those that no clause names.
        verifier_key: The ledger's public key (C2SP signed-note), with which the proofs are checked.
    """

    notice: str
    version: int
    at: datetime
    ledger_size: int
    ledger_holds: bool
    promises: tuple[Proven, ...]
    safeguards: tuple[Checked, ...] = ()
    verifier_key: str = ""

    def count(self, standing: Standing) -> int:
        """How many stand like this."""
        return sum(promise.standing is standing for promise in self.promises)


@dataclass(frozen=True, slots=True)
class Departures:
    """What left for somebody outside, as the ledger has it.

    Attributes:
        ledger_size: Entries that were computed again.
        ledger_holds: Whether every one fits.
        by_purpose: How many disclosures for each activity.
    """

    at: datetime
    ledger_size: int
    ledger_holds: bool
    by_purpose: Mapping[str, int]
