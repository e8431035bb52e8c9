"""What others see of second factors."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

CHALLENGE_LIFETIME = timedelta(minutes=10)
FRESH = timedelta(minutes=5)
"""How long after a sign-in, or after a factor was used again, acts that need a fresh one may be done."""
MOST_TRIES = 5
"""Of one sign-in. Then a new link is needed, and how many of those are sent is limited for whoever asks."""
RESET_LIFETIME = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A sign-in that has proved one thing and owes a second: no session yet, and no actor.

    Attributes:
        token: The value of the cookie meanwhile. Only its SHA-256 is kept.
        needs: `factor` where one is set up, else `enrolment`.
    """

    token: str = field(repr=False)
    needs: Literal["factor", "enrolment"]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Owed:
    """What a challenge asks of whom.

    Attributes:
        is_again: Somebody is signed in already, and has to show the factor anew.
        forms: The forms of factor that are set up, `totp` and `passkey`.
        has_codes: Recovery codes are left.
        secret: Where nothing is set up: what an app for codes would keep, in base 32.
        address: The same as an `otpauth:` address, for a square code.
    """

    needs: Literal["factor", "enrolment"]
    account_id: UUID
    kind: str
    organisation: str
    name: str = field(repr=False)
    is_again: bool = False
    forms: frozenset[str] = frozenset()
    has_codes: bool = False
    secret: str = field(default="", repr=False)
    address: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of an account in one organisation."""

    id: UUID
    form: Literal["totp", "passkey"]
    made_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A factor was set up.

    Attributes:
        token: The new value of the session cookie.
        expires_at: Its absolute end.
        codes: Recovery codes, shown once; empty where there were some already.
        role: Whose session it is.
    """

    token: str = field(repr=False)
    expires_at: datetime
    codes: tuple[str, ...] = field(repr=False)
    role: str = ""


@dataclass(frozen=True, slots=True)
class Reset:
    """That the factors of a member are to go, because they were lost: asked by one, agreed to by another."""

    id: UUID
    user_id: UUID
    asked_by: UUID
    asked_at: datetime
