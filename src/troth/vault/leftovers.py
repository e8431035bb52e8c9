"""What lies in packs and keyring that nobody names: found, and given back.

A process that is killed leaves bytes whose locators were never committed, and key slots for rows that never came. Both
are unreadable (the object keys were in its memory alone) and only take room. Nothing here knows who names what; that is
told from above.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from troth.vault.errors import ObjectMissing, PackFault
from troth.vault.keyring import Keyring
from troth.vault.model import KeyRef
from troth.vault.pack_files import HEAD_BYTES, give_back, stored_pieces
from troth.vault.packs import Packs
from troth.vault.pages import slot_of
from troth.vault.segments import Extent, Place

_INCARNATION_BYTES: Final = 12
_NEWBORN_SECONDS: Final = 60.0
_ROOT_SLOT: Final = -1


@dataclass(slots=True)
class Freed:
    """What was found in one pack, or what was freed of it.

    Attributes:
        pieces: Stretches that no locator names.
        length_bytes: Their bytes that are not zero.
        is_removed: The pack had nothing else, and is gone.
    """

    pieces: int = 0
    length_bytes: int = 0
    is_removed: bool = False


@dataclass(slots=True)
class Named:
    """Which bytes of some packs are named by somebody.

    Args:
        pack_ids: The packs that matter; what lies elsewhere is not remembered.
    """

    pack_ids: Iterable[bytes]
    _extents: dict[bytes, array[int]] = field(init=False)

    def __post_init__(self) -> None:
        self._extents = {pack_id: array("Q") for pack_id in self.pack_ids}

    def add(self, locator: bytes) -> None:
        """Somebody names this object.

        Raises:
            SealBroken: It is not a locator.
        """
        for pack_id, offset, length in Place.decode(locator).extents:
            held = self._extents.get(pack_id)
            if held is not None:
                held.append(offset << 32 | length)

    def of(self, pack_id: bytes) -> list[tuple[int, int]]:
        """Start and stop of what is named in a pack, in order."""
        return [(packed >> 32, (packed >> 32) + (packed & 0xFFFFFFFF)) for packed in sorted(self._extents[pack_id])]


def quiet_packs(packs: Packs, before: datetime) -> dict[bytes, int]:
    """Packs to which nobody writes any more and which did not change since some time.

    Args:
        packs: The packs.
        before: Their last change is before this.

    Returns:
        The length of each in bytes, by pack id.
    """
    folder, found = packs.folder, {}
    for pack_id in folder.names():
        try:
            with folder.alone(pack_id) as fd:
                state = os.fstat(fd) if fd is not None else None
        except ObjectMissing:
            continue
        if state is not None and state.st_mtime <= before.timestamp():
            found[pack_id] = state.st_size
    return found


def free_unnamed(packs: Packs, pack_id: bytes, named: Named, now: datetime, *, is_dry: bool) -> Freed:
    """Make holes of everything in a pack that nobody names; take the pack away when nothing else is in it.

    Args:
        packs: The packs.
        pack_id: A pack that `quiet_packs` gave.
        named: What is named, read after all transactions had ended that ran when the pack was found quiet.
        now: The time.
        is_dry: Only count.

    Raises:
        PackFault: The file system refused.
    """
    freed, folder = Freed(), packs.folder
    with folder.alone(pack_id) as fd:
        if fd is None:
            return freed
        held, state, at = named.of(pack_id), os.fstat(fd), HEAD_BYTES
        for start, stop in [*held, (state.st_size, state.st_size)]:
            if start > at:
                _free_gap(fd, pack_id, at, start, freed, is_dry=is_dry)
            at = max(at, stop)
        if is_dry:
            return freed
        if not held and now.timestamp() - state.st_mtime > _NEWBORN_SECONDS:
            folder.remove(pack_id)
            freed.is_removed = True
        elif freed.pieces:
            try:
                os.fdatasync(fd)
            except OSError as error:
                raise PackFault(f"room could not be given back: {error.strerror}") from None
    if freed.is_removed:
        folder.sync()
    return freed


def _free_gap(fd: int, pack_id: bytes, start: int, stop: int, freed: Freed, *, is_dry: bool) -> None:
    length = sum(size for _, size in stored_pieces(fd, start, stop))
    if not length:
        return
    freed.pieces += 1
    freed.length_bytes += length
    if not is_dry:
        give_back(fd, Extent(pack_id, start, stop - start))


class KeyCensus:
    """Which keys of a keyring are named by somebody. Takes 16 bytes for each slot.

    Args:
        keyring: The keyring, as it is now.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._incarnations = bytearray()
        self._parents = array("q")
        self._is_named = bytearray()
        for ref, parent in keyring.refs():
            slot = slot_of(ref)
            missing = slot + 1 - len(self._is_named)
            if missing > 0:
                self._incarnations += bytes(missing * _INCARNATION_BYTES)
                self._parents.extend([_ROOT_SLOT] * missing)
                self._is_named += bytes(missing)
            start = slot * _INCARNATION_BYTES
            self._incarnations[start : start + _INCARNATION_BYTES] = ref[4:]
            self._parents[slot] = slot_of(parent) if parent is not None else _ROOT_SLOT

    def name(self, ref: bytes) -> None:
        """Somebody names a key: it and those above it are needed."""
        slot = slot_of(KeyRef(ref))
        if slot >= len(self._is_named) or self._ref(slot) != ref:
            return
        while slot != _ROOT_SLOT and slot < len(self._is_named) and not self._is_named[slot]:
            self._is_named[slot] = 1
            slot = self._parents[slot]

    def unnamed(self) -> Iterator[KeyRef]:
        """Keys that nobody names."""
        for slot, is_named in enumerate(self._is_named):
            ref = self._ref(slot)
            if not is_named and any(ref[4:]):
                yield ref

    def _ref(self, slot: int) -> KeyRef:
        start = slot * _INCARNATION_BYTES
        return KeyRef(slot.to_bytes(4, "big") + bytes(self._incarnations[start : start + _INCARNATION_BYTES]))
