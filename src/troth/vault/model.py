"""The types that other rooms see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NewType

KeyRef = NewType("KeyRef", bytes)
"""16 bytes that name a key and hold nothing of it: slot number (4) and random incarnation (12)."""


@dataclass(frozen=True, slots=True)
class SealedObject:
    """What the caller keeps of an object that was written to the packs.

    Attributes:
        locator: Where the bytes are; opaque, for a ``bytea`` column.
        key: The object's own random key, 32 bytes. Wrap it at once:
            ``keyring.seal(study_key, key, context=b"object:" + locator)``; that also binds the locator to the key.
        length_bytes: Length of the plain bytes.
        sha256: SHA-256 of the plain bytes.
    """

    locator: bytes
    key: bytes = field(repr=False)
    length_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class PackSize:
    """One pack file and the room it takes.

    Attributes:
        name: File name, random.
        length_bytes: Where the pack ends, holes included.
        held_bytes: What it takes on the disk, holes left out.
    """

    name: str
    length_bytes: int
    held_bytes: int
