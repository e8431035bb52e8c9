"""Openings: how the readable part of an entry is committed to, so that each value can be shown and checked by itself.

A leaf holds no payload, only `payload_commit`. Whoever is shown a value with its salt hashes both and finds the hash
among those that give the commitment; a value that may not be shown (a colleague's name) stays as its hash::

    salts          = SHAKE-256(salt), 16 bytes for each name, in the order of the names
    hash           = SHA-256(salt of the name | name | "=" | value as JSON)
    payload_commit = SHA-256(the hashes, sorted, one after the other)

The salt is sealed together with the payload: when the key is destroyed, nothing can be guessed from the leaf.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256, shake_256
from json.encoder import encode_basestring
from typing import Any

SALT_BYTES = 16

_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class Opening:
    """One value of a payload, with what it takes to find it in the commitment.

    Attributes:
        name: Name of the value, such as `actor`.
        value: The value as JSON text, as it was hashed.
        salt: Its own salt, 16 bytes.
    """

    name: str
    value: str
    salt: bytes

    @property
    def hash(self) -> bytes:
        """What stands for it in the commitment; shows nothing of it by itself."""
        return sha256(self.salt + f"{self.name}={self.value}".encode()).digest()


def commitment(hashes: Iterable[bytes]) -> bytes:
    """What a leaf says as `payload_commit`, from the hashes of all openings."""
    return sha256(b"".join(sorted(hashes))).digest()


def openings(payload: Mapping[str, Any], salt: bytes) -> list[Opening]:
    """All values of a payload, each with its salt, in the order of their names.

    Args:
        payload: The readable part of an entry.
        salt: The salt that was sealed with it.
    """
    names = sorted(payload)
    salts = shake_256(salt).digest(SALT_BYTES * len(names))
    return [
        Opening(name, _ENCODE(payload[name]), salts[number * SALT_BYTES : (number + 1) * SALT_BYTES])
        for number, name in enumerate(names)
    ]


def packed(payload: Mapping[str, Any], salt: bytes) -> tuple[bytes, bytes]:
    """What is sealed of a payload, and the commitment to it."""
    # The same as by way of `openings`, which has a test; written out because every entry comes by here.
    salts = shake_256(salt).digest(SALT_BYTES * len(payload))
    said, hashes, start = [], [], 0
    for name in sorted(payload):
        value = payload[name]
        text = encode_basestring(value) if type(value) is str else _ENCODE(value)
        said.append(f"{encode_basestring(name)}:{text}")
        hashes.append(sha256(salts[start : start + SALT_BYTES] + f"{name}={text}".encode()).digest())
        start += SALT_BYTES
    hashes.sort()
    return b"%b{%b}" % (salt, ",".join(said).encode()), sha256(b"".join(hashes)).digest()


def unpacked(plain: bytes) -> tuple[dict[str, Any], bytes]:
    """Payload and salt from what was sealed."""
    return json.loads(plain[SALT_BYTES:]), plain[:SALT_BYTES]
