"""One-time codes by time. Pure.

Per: RFC 6238, RFC 4226, RFC 4648 6. SHA-1, six digits and 30 seconds, as every app for codes takes them.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b32encode
from datetime import datetime
from typing import Final
from urllib.parse import quote

STEP_SECONDS: Final = 30
DIGITS: Final = 6
AROUND: Final = 1
"""Steps before and after the current one that are taken too: clocks differ, and typing takes time (RFC 6238 5.2)."""
SECRET_BYTES: Final = 20


def new_secret() -> bytes:
    """160 random bits (RFC 4226 4, R6)."""
    return secrets.token_bytes(SECRET_BYTES)


def step_at(at: datetime) -> int:
    """The time step of an instant."""
    return int(at.timestamp()) // STEP_SECONDS


def code_of(secret: bytes, step: int, digits: int = DIGITS, algorithm: str = "sha1") -> str:
    """The code of one time step.

    Args:
        secret: The shared key.
        step: Number of the step since 1970.
        digits: Figures of the code.
        algorithm: Of the HMAC.
    """
    digest = hmac.new(secret, step.to_bytes(8, "big"), algorithm).digest()
    start = digest[-1] & 0x0F
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}d}"


def matching_step(secret: bytes, typed: str, at: datetime, last_step: int) -> int | None:
    """The step whose code was typed, or None. All of the window is compared, whatever fits.

    Args:
        secret: The shared key.
        typed: Six figures.
        at: Now.
        last_step: The step of the last code that was taken: it and earlier ones are not taken again (RFC 6238 5.2).
    """
    now, found = step_at(at), None
    for step in range(now - AROUND, now + AROUND + 1):
        is_same = hmac.compare_digest(code_of(secret, step), typed)
        if is_same and step > last_step:
            found = step
    return found


def in_base32(secret: bytes) -> str:
    """The key as it is typed into an app."""
    return b32encode(secret).decode().rstrip("=")


def address(secret: bytes, issuer: str, account: str) -> str:
    """The key as an address that apps read from a square code.

    Args:
        secret: The shared key.
        issuer: Whose code it is.
        account: Whom the app shows beside it.
    """
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    return f"otpauth://totp/{label}?secret={in_base32(secret)}&issuer={quote(issuer, safe='')}"
