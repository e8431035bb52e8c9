"""Identifiers: time-ordered UUIDs, secrets for links, DICOM UIDs."""

from __future__ import annotations

import os
import secrets
import time
from uuid import UUID, uuid4


def uuid7() -> UUID:
    """A time-ordered UUID version 7 (RFC 9562 5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | noise
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def secret(length_bytes: int = 32) -> str:
    """A secret that is safe in a URL path or a cookie."""
    return secrets.token_urlsafe(length_bytes)


def code(digits: int = 6) -> str:
    """A one-time code of decimal digits, to be typed by a person."""
    return f"{secrets.randbelow(10**digits):0{digits}d}"


def dicom_uid() -> str:
    """A new DICOM UID under the UUID root 2.25 (DICOM PS3.5 B.2)."""
    return f"2.25.{uuid4().int}"


def derived_dicom_uid(digest: bytes) -> str:
    """A DICOM UID under the UUID root 2.25 that is the same for the same digest (PS3.5 B.2, RFC 9562 5.8).

    Args:
        digest: At least 16 bytes, keyed: a UID must not tell what it was made of.
    """
    value = int.from_bytes(digest[:16], "big")
    value = value & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"2.25.{value}"
