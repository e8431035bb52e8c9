"""What the administrator's pages show."""

from __future__ import annotations

from dataclasses import dataclass

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
