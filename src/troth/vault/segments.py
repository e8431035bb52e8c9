"""Objects as a row of sealed segments (the STREAM construction), and the locator that says where they are. Pure.

An object of *n* plain bytes is cut into segments of 256 KiB; the last one is shorter, and an object of 0 bytes has one
empty segment. Each is sealed with AES-256-GCM under the object's own random key::

    nonce = prefix 7 (random per object) | index 4, big-endian | 1 for the last segment, else 0
    additional data = "troth:object:1"
    stored = ciphertext | tag 16

So a segment that is changed, left out, repeated, swapped, or cut off at the end does not open. Segments are stored one
after the other in *extents*, pieces of pack files. Locator (big-endian)::

    format 1 (= 1) | prefix 7 | length of the plain bytes 8 | count of packs 2 | count of extents 4
    pack id 16 …   | extent: number of the pack in this list 2, offset 4, length 4 …

Per: Hoang, Reyhanitabar, Rogaway, Vizár, Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, 2015.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from troth.vault.errors import SealBroken

SEGMENT_BYTES: Final = 256 * 1024
TAG_BYTES: Final = 16
STORED_BYTES: Final = SEGMENT_BYTES + TAG_BYTES
PREFIX_BYTES: Final = 7
PACK_ID_BYTES: Final = 16

_CONTEXT: Final = b"troth:object:1"
_FORMAT: Final = 1
_HEAD: Final = struct.Struct(">B7sQHI")
_EXTENT: Final = struct.Struct(">HII")


class Extent(NamedTuple):
    """A piece of a pack file, in bytes."""

    pack_id: bytes
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object is: what a locator says."""

    prefix: bytes
    length_bytes: int
    extents: tuple[Extent, ...]

    @property
    def segments(self) -> int:
        """How many segments the object has."""
        return max(1, -(-self.length_bytes // SEGMENT_BYTES))

    def encode(self) -> bytes:
        """The locator."""
        packs = list(dict.fromkeys(extent.pack_id for extent in self.extents))
        head = _HEAD.pack(_FORMAT, self.prefix, self.length_bytes, len(packs), len(self.extents))
        rows = [_EXTENT.pack(packs.index(extent.pack_id), extent.offset, extent.length) for extent in self.extents]
        return b"".join([head, *packs, *rows])

    @classmethod
    def decode(cls, locator: bytes) -> Place:
        """Read a locator.

        Raises:
            SealBroken: It is not one.
        """
        locator = bytes(locator)
        try:
            form, prefix, length, pack_count, extent_count = _HEAD.unpack_from(locator)
            start = _HEAD.size + pack_count * PACK_ID_BYTES
            if form != _FORMAT or len(locator) != start + extent_count * _EXTENT.size:
                raise SealBroken("not a locator")
            ids = [locator[at : at + PACK_ID_BYTES] for at in range(_HEAD.size, start, PACK_ID_BYTES)]
            rows = _EXTENT.iter_unpack(locator[start:])
            extents = tuple(Extent(ids[pack], offset, size) for pack, offset, size in rows)
        except (struct.error, IndexError):
            raise SealBroken("not a locator") from None
        place = cls(prefix, length, extents)
        if sum(extent.length for extent in extents) != length + place.segments * TAG_BYTES:
            raise SealBroken("a locator does not add up")
        return place

    def pieces(self, first: int, last: int) -> Iterator[Extent]:
        """The pieces of pack files that hold some segments.

        Args:
            first: Index of the first segment.
            last: Index of the last segment, included.
        """
        start, stop, at = first * STORED_BYTES, (last + 1) * STORED_BYTES, 0
        for pack_id, offset, length in self.extents:
            low, high = max(start, at), min(stop, at + length)
            if low < high:
                yield Extent(pack_id, offset + low - at, high - low)
            at += length

    def open(self, aead: AESGCM, stored: memoryview, first: int, last: int) -> list[bytes]:
        """Unseal some segments.

        Args:
            aead: The object's key.
            stored: Their stored bytes.
            first: Index of the first segment.
            last: Index of the last segment, included.

        Raises:
            SealBroken: A segment is not what was sealed at this place.
        """
        final = self.segments - 1
        try:
            return [
                aead.decrypt(
                    nonce(self.prefix, index, is_last=index == final),
                    stored[(index - first) * STORED_BYTES : (index - first + 1) * STORED_BYTES],
                    _CONTEXT,
                )
                for index in range(first, last + 1)
            ]
        except InvalidTag:
            raise SealBroken from None


def nonce(prefix: bytes, index: int, *, is_last: bool) -> bytes:
    """The nonce of a segment."""
    return prefix + index.to_bytes(4, "big") + (b"\x01" if is_last else b"\x00")


def seal(aead: AESGCM, prefix: bytes, index: int, plain: bytes | bytearray | memoryview, *, is_last: bool) -> bytes:
    """Seal one segment."""
    return aead.encrypt(nonce(prefix, index, is_last=is_last), plain, _CONTEXT)


def joined(extents: Sequence[Extent]) -> list[Extent]:
    """Extents with neighbours made one, in the given order."""
    result: list[Extent] = []
    for extent in extents:
        if result and result[-1].pack_id == extent.pack_id and sum(result[-1][1:]) == extent.offset:
            extent = Extent(extent.pack_id, result[-1].offset, result.pop().length + extent.length)
        result.append(extent)
    return result
