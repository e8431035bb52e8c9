"""What the pages about merging patients show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from troth.archive import Written
from troth.doors.web.forms import Fault


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two numbers that may be of one patient.

    Attributes:
        name: The name, or both where they are written differently.
        why: What makes it likely.
    """

    href: str
    name: str
    born: str
    numbers: tuple[str, str]
    why: str


@dataclass(frozen=True, slots=True)
class MergeRow:
    """A merge in force."""

    href: str
    name: str
    number: str
    merged: str
    since: datetime
    reason: str
    is_by_rule: bool
    can_undo: bool


@dataclass(frozen=True, slots=True)
class PatientsPage:
    """What may be one patient, and what is merged."""

    candidates: tuple[PairRow, ...]
    merges: tuple[MergeRow, ...]
    typed: Mapping[str, str]
    told: str = ""
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """One number with whose it is, for comparing.

    Attributes:
        studies: How many came with this number.
        accounts: How many accounts are matched with it.
        open: What stands on it: requests, restrictions, holds.
    """

    id: UUID
    name: str
    born: date | None
    sex: str
    number: str
    issuer: str
    studies: int
    newest: date | None
    accounts: int
    open: tuple[str, ...]

    @property
    def full_number(self) -> str:
        """With who gave it out: two numbers to be compared may be the same but for that."""
        return f"{self.number} of {self.issuer}" if self.issuer else self.number


@dataclass(frozen=True, slots=True)
class PairPage:
    """Two numbers side by side, and the form to merge them.

    Attributes:
        hindrance: What stands in the way now; empty where nothing does.
    """

    path: str
    first: Side
    second: Side
    stays: str
    reason: str
    hindrance: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class MergePage:
    """One merge, and the form to take it apart."""

    path: str
    merged: Side
    surviving: Side
    since: datetime
    reason: str
    is_by_rule: bool
    hindrance: str
    images: Written
    typed: str = ""
    told: str = ""
    faults: tuple[Fault, ...] = ()
