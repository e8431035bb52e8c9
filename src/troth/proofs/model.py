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
    """A look computed its sentence over all that happened, and found nothing against it."""
    BROKEN = "broken"
    """A look found something against it."""
    UNPROVEN = "unproven"
    """Nothing happened yet that it is about, or it cannot be computed."""
    NOT_POSSIBLE = "not possible here"
    """The platform has no verb for it, or not for all that it says."""
    STATED = "stated"
    """It says how things are; there is nothing to keep or break, and it holds."""


class Verdict(StrEnum):
    """What a look found."""

    HOLDS = "holds"
    BROKEN = "broken"
    IDLE = "idle"
    """Its domain is empty: nothing happened yet that it is about."""
    BLIND = "blind"
    """It cannot be computed."""


@dataclass(frozen=True, slots=True)
class Example:
    """One entry of the ledger that speaks against a promise. Names nobody: no subject, study or actor.

    Attributes:
        number: Its place in the ledger.
        at: When, to the minute.
        tenant: The organisation in which it happened, for its own office; None on the platform.
    """

    number: int
    kind: str
    at: datetime
    tenant: UUID | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look computed over its whole domain.

    Attributes:
        look: Its name.
        said: The finding in a sentence, without counts that could point to somebody.
        fits: How many of the domain fit the sentence.
        of: How many there are.
        examples: Those that do not, the first of them.
        late: How many of those that do not are late by the clock alone, and still open: an act of ours ends that.
    """

    look: str
    verdict: Verdict
    said: str
    fits: int = 0
    of: int = 0
    examples: tuple[Example, ...] = ()
    late: int = 0


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
        lacks: What of it is not possible here, each in words.
        is_unsaid: Not possible here, or not all of it, and the clause does not say so itself.
        is_blind: It is unproven because it cannot be computed, and not because nothing happened yet.
        is_idle: It is unproven because nothing happened yet that it is about.
        fits: How many of what it is about fit it.
        of: How many there are; 0 where a look counts nothing.
        examples: Entries that speak against it.
        against: How much that happened speaks against it, where it is broken by that alone: it never becomes untrue,
            so two people have to answer for it. 0 where something is wrong now and can be mended.
        aside: How it would stand if that were answered, and why.
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
    lacks: tuple[str, ...] = ()
    is_unsaid: bool = False
    is_blind: bool = False
    is_idle: bool = False
    fits: int = 0
    of: int = 0
    examples: tuple[Example, ...] = ()
    checked: tuple[Checked, ...] = ()
    against: int = 0
    aside: tuple[Standing, str] | None = None


@dataclass(frozen=True, slots=True)
class Deep:
    """What was looked at in all that is held, row by row: too much for every run, so once a night.

    Attributes:
        at: When it was looked at.
        checks: What was found.
    """

    at: datetime
    checks: tuple[Checked, ...] = ()


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
        registered: Recipients that stand in the registers of the platform and of every organisation.
        sellers: Those of them that stand there for a sale.
    """

    at: datetime
    ledger_size: int
    ledger_holds: bool
    by_purpose: Mapping[str, int]
    registered: int = 0
    sellers: int = 0
