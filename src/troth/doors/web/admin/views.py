"""What the administrator's pages show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from troth.archive import ByRule
from troth.doors.web.forms import Fault


@dataclass(frozen=True, slots=True)
class UserRow:
    """One person who works here."""

    name: str
    email: str
    role: str


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One imaging system that may send."""

    ae: str
    called_ae: str
    address: str


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service that some levels have."""

    says: str
    clause: str
    is_included: bool


@dataclass(frozen=True, slots=True)
class HomePage:
    """Who works here, what may send, and the form to invite somebody."""

    organisation: str
    users: tuple[UserRow, ...]
    peers: tuple[PeerRow, ...]
    level: str = ""
    services: tuple[ServiceRow, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()
    name: str = ""
    email: str = ""
    role: str = ""
    faults: tuple[Fault, ...] = ()
    is_sent: bool = False


@dataclass(frozen=True, slots=True)
class NumbersPage:
    """The rule about patient numbers without an issuer.

    Attributes:
        issuer: Of the rule in force.
        since: When it was stated; None where none is in force.
        merged: How many merges it made that stand.
        left: What it would do now to what it has not done yet.
        preview: What a rule that was typed would do.
    """

    organisation: str
    issuer: str
    since: datetime | None
    merged: int
    left: ByRule | None
    preview: ByRule | None
    typed: str = ""
    told: str = ""
    faults: tuple[Fault, ...] = ()
