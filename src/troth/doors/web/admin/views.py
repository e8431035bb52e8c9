"""What the administrator's pages show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UserRow:
    """One person who works here."""

    name: str
    email: str
    role: str
    since: str


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One imaging system that may send."""

    ae: str
    called_ae: str
    address: str


@dataclass(frozen=True, slots=True)
class HomePage:
    """Who works here and what may send."""

    organisation: str
    users: tuple[UserRow, ...]
    peers: tuple[PeerRow, ...]
