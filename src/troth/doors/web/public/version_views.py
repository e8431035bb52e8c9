"""What the pages of versions, differences and the register show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from troth.doors.web.changes import ChangeLine


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One published version."""

    label: str
    name: str
    href: str
    changes_href: str
    changes: str
    effective_on: date
    published_at: datetime
    sha256: bytes
    state: str
    is_material: bool


@dataclass(frozen=True, slots=True)
class VersionsPage:
    """Every version that was ever published."""

    versions: tuple[VersionRow, ...]


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """What one version changed."""

    deployment: str
    number: int
    before: int
    effective_on: date
    counts_now: bool
    is_material: bool
    href: str
    before_href: str
    weighing: tuple[ChangeLine, ...]
    others: tuple[ChangeLine, ...]


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """One activity of the register."""

    clause: str
    key: str
    says: str
    capacity: str
    basis: str
    assessed: tuple[str, ...]
    categories: tuple[str, ...]
    special: bool
    subjects: str
    recipients: tuple[str, ...]
    regions: str
    retention: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RegisterView:
    """The register of one notice."""

    heading: str
    anchor: str
    controller: str
    contacts: tuple[tuple[str, str], ...]
    transfers: tuple[tuple[str, str], ...]
    measures: tuple[tuple[str, str], ...]
    rows: tuple[ActivityRow, ...]


@dataclass(frozen=True, slots=True)
class RegisterPage:
    """The registers of the notices in force."""

    registers: tuple[RegisterView, ...]
