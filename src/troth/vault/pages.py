"""The format of a slot file: pages of 4 KiB that hold wrapped keys. Pure; no files here.

A keyring is two mirrored files of the same pages. All numbers are big-endian.

Page frame (4096 bytes)::

    0   8  magic "TROTHKEY"
    8   2  format, 1
    10  2  zero
    12  4  number of this page in the file
    16  8  generation: one more with every rewrite; the higher one wins when the mirrors differ
    24  16 BLAKE2b-128 of the whole page with these 16 bytes zero
    40  24 zero
    64  .. body, 4032 bytes

A page of zeros only is whole too: it was never written (generation 0). Page 0 is the head; its body is::

    0   16 keyring id, random; bound into every wrap
    16  8  destructions: one more with each destroy, so that every process drops what it has unwrapped
    24  12 nonce     36  48  Ed25519 seed sealed under the root key

Every other page has 42 slots of 96 bytes, slot *n* being in page ``1 + n // 42``::

    0   1  state: 0 free, 1 alive       1   3  zero
    4   12 incarnation, random: a slot that is used again cannot be taken for the key that was there
    16  16 KeyRef of the parent; zeros = the root key
    32  12 nonce     44  48  key, wrapped with AES-256-GCM under the parent
    92  4  zero

A destroyed slot is all zeros. The wrap's additional data are the keyring id, the key's own KeyRef and its parent's, so
a slot that is copied to another place, keyring or parent does not open.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from typing import Final

from troth.vault.model import KeyRef

PAGE_BYTES: Final = 4096
FRAME_BYTES: Final = 64
SLOT_BYTES: Final = 96
SLOTS_PER_PAGE: Final = (PAGE_BYTES - FRAME_BYTES) // SLOT_BYTES
EMPTY_PAGE: Final = bytes(PAGE_BYTES)
EMPTY_SLOT: Final = bytes(SLOT_BYTES)
ROOT: Final = KeyRef(bytes(16))
FREE: Final = 0
ALIVE: Final = 1

DESTRUCTIONS: Final = slice(FRAME_BYTES + 16, FRAME_BYTES + 24)
"""Where the count of destructions is in the file."""

INCARNATION: Final = slice(4, 16)
PARENT: Final = slice(16, 32)
NONCE: Final = slice(32, 44)
WRAPPED: Final = slice(44, 92)

_MAGIC: Final = b"TROTHKEY"
_FORMAT: Final = 1
_FRAME: Final = struct.Struct(">8sHHIQ16s24x")
_HEAD: Final = struct.Struct(">16sQ12s48s")
_SLOT: Final = struct.Struct(">B3x12s16s12s48s4x")
_REF: Final = struct.Struct(">I12s")
MAX_SLOTS: Final = 2**32


def frame(number: int, generation: int, body: bytes) -> bytes:
    """A whole page with its checksum.

    Args:
        number: Number of the page in the file.
        generation: How often it has been written, this time included.
        body: 4032 bytes.
    """
    bare = _FRAME.pack(_MAGIC, _FORMAT, 0, number, generation, bytes(16)) + body
    checksum = hashlib.blake2b(bare, digest_size=16).digest()
    return bare[:24] + checksum + bare[40:]


def is_whole(page: bytes, number: int) -> bool:
    """Whether a page is complete, unchanged and in its place."""
    if page == EMPTY_PAGE:
        return True
    if len(page) != PAGE_BYTES:
        return False
    magic, form, _, place, _, checksum = _FRAME.unpack_from(page)
    if magic != _MAGIC or form != _FORMAT or place != number:
        return False
    bare = page[:24] + bytes(16) + page[40:]
    return bool(hashlib.blake2b(bare, digest_size=16).digest() == checksum)


def generation(page: bytes | bytearray) -> int:
    """How often a whole page has been written."""
    return int.from_bytes(page[16:24], "big")


def newest(number: int, first: bytes, second: bytes) -> bytes | None:
    """Of two mirrored pages the one that counts, or None when neither is whole."""
    whole = [page for page in (first, second) if is_whole(page, number)]
    return max(whole, key=generation, default=None)


def head_body(keyring_id: bytes, destructions: int, nonce: bytes, sealed_seed: bytes) -> bytes:
    """The body of page 0."""
    return _HEAD.pack(keyring_id, destructions, nonce, sealed_seed).ljust(PAGE_BYTES - FRAME_BYTES, b"\0")


def read_head(page: bytes) -> tuple[bytes, int, bytes, bytes]:
    """Keyring id, destructions, nonce and sealed seed of page 0."""
    keyring_id, destructions, nonce, sealed_seed = _HEAD.unpack_from(page, FRAME_BYTES)
    return keyring_id, destructions, nonce, sealed_seed


def new_ref(slot: int) -> KeyRef:
    """A KeyRef with a new random incarnation."""
    return KeyRef(_REF.pack(slot, os.urandom(12)))


def slot_of(ref: KeyRef) -> int:
    """The slot number that a KeyRef names."""
    return int.from_bytes(ref[:4], "big")


def page_of(slot: int) -> int:
    """The number of the page that a slot is in."""
    return 1 + slot // SLOTS_PER_PAGE


def start_in_page(slot: int) -> int:
    """Where a slot starts in its page, in bytes."""
    return FRAME_BYTES + slot % SLOTS_PER_PAGE * SLOT_BYTES


def start_in_file(slot: int) -> int:
    """Where a slot starts in the file, in bytes."""
    return page_of(slot) * PAGE_BYTES + start_in_page(slot)


def fill(ref: KeyRef, parent: KeyRef, nonce: bytes, wrapped: bytes) -> bytes:
    """The bytes of a slot that is in use."""
    return _SLOT.pack(ALIVE, ref[4:], parent, nonce, wrapped)


def holds(slot_bytes: bytes, ref: KeyRef) -> bool:
    """Whether a slot holds just this key, not an earlier or later one."""
    return slot_bytes[:1] == b"\x01" and slot_bytes[INCARNATION] == ref[4:]


def is_free(slot_bytes: bytes) -> bool:
    """Whether a slot may be used for a new key."""
    return slot_bytes[0] == FREE


def free_slots(page: bytes, number: int) -> list[int]:
    """The numbers of the slots in a page that are free.

    Args:
        page: The page.
        number: Its number, 1 or more.
    """
    states = page[FRAME_BYTES::SLOT_BYTES]
    if FREE not in states:
        return []
    first = (number - 1) * SLOTS_PER_PAGE
    return [first + index for index in range(SLOTS_PER_PAGE) if states[index] == FREE]


def ref_of(slot: int, slot_bytes: bytes) -> KeyRef:
    """The KeyRef of the key in a slot that is in use."""
    return KeyRef(slot.to_bytes(4, "big") + slot_bytes[INCARNATION])


def filled_slots(page: bytes, number: int) -> Iterator[tuple[int, bytes]]:
    """The slots of a page that are in use, each with its number.

    Args:
        page: The page.
        number: Its number, 1 or more.
    """
    first = (number - 1) * SLOTS_PER_PAGE
    for index in range(SLOTS_PER_PAGE):
        start = start_in_page(index)
        if page[start] == ALIVE:
            yield first + index, page[start : start + SLOT_BYTES]
