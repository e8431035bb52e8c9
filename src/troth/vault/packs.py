"""Sealed objects in local pack files.

Writing: `ObjectWriter` seals segments while bytes come in and writes them in extents of at most 4 MiB, so memory stays
flat whatever the size. Nothing may be acknowledged before `Packs.sync` has returned: one ``fdatasync`` at a time,
shared by all who had finished before it *started*. A sync that failed is never tried again on the same pages (Linux
then reports success for bytes that are lost): from then on everything is refused until the process starts anew.

Formats: `troth.vault.segments`, `troth.vault.pack_files`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from troth.vault import segments
from troth.vault.errors import ObjectMissing, PackFault
from troth.vault.model import PackSize, SealedObject
from troth.vault.pack_files import PackFile, PackFolder, give_back, read_all, write_all
from troth.vault.segments import PREFIX_BYTES, SEGMENT_BYTES, Extent, Place
from troth.vault.syncs import Syncs

PACK_BYTES: Final = 256 * 1024 * 1024
_EXTENT_SEGMENTS: Final = 16
_INLINE_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 256 << 10  # three of them wait with each reader; larger ones cost more, as they leave the cache


@dataclass(slots=True, eq=False)
class _Unsynced:
    """What the next sync has to make durable."""

    packs: set[PackFile] = field(default_factory=set)
    has_new_names: bool = False


class Packs:
    """The packs of a folder. One per process; writers and readers may be on any thread.

    Args:
        folder: Where the packs are; made if absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = PackFolder(folder)
        self._guard = threading.Lock()
        self._pack: PackFile | None = None
        self._unsynced = _Unsynced()
        self._process_id = os.getpid()
        self._is_faulty = False
        self._syncs = Syncs(self._sync)

    def close(self) -> None:
        """Let go of files and the sync thread. What was not synced is not made durable."""
        self._syncs.close()
        if self._pack is not None and self._pack.writers == 0 and self._process_id == os.getpid():
            self._pack.let_go()
        self._pack = None
        self._folder.close()

    @property
    def folder(self) -> PackFolder:
        """The files themselves, for what looks after them."""
        return self._folder

    def writer(self) -> ObjectWriter:
        """A writer for one object, with a new random key."""
        return ObjectWriter(self)

    async def sync(self) -> None:
        """Make everything durable that was finished before this call.

        Raises:
            PackFault: It could not be made durable; acknowledge nothing.
        """
        await asyncio.shield(self.syncing())  # one caller that gives up must not stop the others

    def syncing(self) -> asyncio.Future[None]:
        """Begin what `sync` waits for.

        Returns:
            A future that many share: await it through `asyncio.shield`. It ends in `PackFault` where `sync` raises it.
        """
        return self._syncs.begin()

    async def read(self, locator: bytes, key: bytes, start: int = 0, stop: int | None = None) -> bytes:
        """Plain bytes ``[start:stop]`` of an object; only the segments that hold them are read and opened.

        Args:
            locator: Where the object is.
            key: Its key, 32 bytes.
            start: First byte, 0 or more.
            stop: One after the last byte; None or beyond the end: to the end.

        Raises:
            SealBroken: The bytes are not what was sealed.
            ObjectMissing: They are not there.
        """
        place, aead = Place.decode(locator), AESGCM(key)
        if start < 0 or (stop is not None and stop < 0):
            raise ValueError("a range counts from the start of the object")
        stop = place.length_bytes if stop is None else min(stop, place.length_bytes)
        start = min(start, stop)
        if start == stop and place.length_bytes:
            return b""
        if stop - start <= _INLINE_BYTES:
            plain = self._open(place, aead, start, stop, only_cached=True)
            if plain is not None:
                return plain
        plain = await asyncio.to_thread(self._open, place, aead, start, stop)
        assert plain is not None
        return plain

    async def stream(self, locator: bytes, key: bytes, chunk_bytes: int = _CHUNK_BYTES) -> AsyncIterator[bytes]:
        """All plain bytes of an object, in order; the next chunk is opened while one is being sent.

        Args:
            locator: Where the object is.
            key: Its key, 32 bytes.
            chunk_bytes: About how much to give at a time; rounded up to whole segments.

        Raises:
            SealBroken: The bytes are not what was sealed. Chunks given before were right.
            ObjectMissing: They are not there.
        """
        place, aead = Place.decode(locator), AESGCM(key)
        step = -(-chunk_bytes // SEGMENT_BYTES) * SEGMENT_BYTES
        if place.length_bytes <= step:
            yield await self.read(locator, key)
            return
        ahead: asyncio.Task[bytes | None] | None = None
        try:
            for start in range(0, place.length_bytes, step):
                plain = await (ahead or self._open_aside(place, aead, start, step))
                follows = start + step < place.length_bytes
                ahead = None
                if follows:
                    ahead = asyncio.create_task(self._open_aside(place, aead, start + step, step))
                    ahead.add_done_callback(lambda task: task.cancelled() or task.exception())  # may stay unasked
                assert plain is not None
                yield plain
        finally:
            if ahead is not None:
                ahead.cancel()

    async def free(self, locators: Iterable[bytes]) -> None:
        """Give back the room of objects: their bytes become holes. Durable on return; may be repeated.

        What makes an object unreadable is the end of its key; this is about the room.

        Raises:
            PackFault: The file system refused.
        """
        extents = [extent for locator in locators for extent in Place.decode(locator).extents]
        await asyncio.to_thread(self._free, extents)

    def iter_packs(self) -> Iterator[PackSize]:
        """All packs with their length and what they really take."""
        return self._folder.sizes()

    def append(self, chunks: list[bytes], used: list[PackFile]) -> Extent:
        """Write stored bytes at the end of this process's pack. For `ObjectWriter`.

        Args:
            chunks: What to write.
            used: The packs of the same object so far; this one is added. `leave` gives them back.

        Raises:
            PackFault: The disk did not take them, or an earlier sync failed.
        """
        size = sum(map(len, chunks))
        with self._guard:
            pack = self._pack_with_room(size)
            if pack not in used:
                pack.writers += 1
                used.append(pack)
            offset = pack.tail
            pack.tail += size
        extent = Extent(pack.id, offset, size)
        try:
            write_all(pack.fd, chunks, offset)
        except PackFault:
            give_back(pack.fd, extent)
            raise
        with self._guard:
            self._unsynced.packs.add(pack)  # after the write: a sync that starts now covers it, an earlier one did not
        return extent

    def finish(self, writers: Sequence[ObjectWriter]) -> list[SealedObject]:
        """Finish objects with one write for all.

        Args:
            writers: Of this folder, open.

        Returns:
            An object for each, in the same order. Not durable before `sync`.

        Raises:
            PackFault: The disk did not take them. Abort each.
        """
        rests = [writer.close_segments() for writer in writers]
        used: list[PackFile] = []
        try:
            pack_id, offset, _ = self.append([chunk for rest in rests for chunk in rest], used)
        finally:
            self.leave(used)
        objects = []
        for writer, rest in zip(writers, rests, strict=True):
            length = sum(map(len, rest))
            objects.append(writer.close(Extent(pack_id, offset, length)))
            offset += length
        return objects

    def leave(self, used: list[PackFile]) -> None:
        """An object is finished or aborted: a pack that is full and in which no other grows is let go."""
        with self._guard:
            for pack in used:
                pack.writers -= 1
                if not pack.writers and pack is not self._pack:
                    pack.let_go()
            used.clear()

    def discard(self, extents: Iterable[Extent]) -> None:
        """Make holes of extents that no locator names. For `ObjectWriter`."""
        for extent in extents:
            give_back(self._folder.find(extent.pack_id).fd, extent)

    def _pack_with_room(self, size: int) -> PackFile:
        if self._is_faulty:
            raise PackFault("an earlier write was not made durable; start the process anew")
        if self._process_id != os.getpid():  # after a fork the pack belongs to the parent
            self._process_id, self._pack = os.getpid(), None
        if self._pack is None or self._pack.tail + size > PACK_BYTES:
            full = self._pack
            try:
                self._pack = self._folder.create()
            except OSError as error:
                raise PackFault(f"a pack could not be made: {error.strerror}") from None
            if full is not None and not full.writers:
                full.let_go()
            self._unsynced.has_new_names = True
        return self._pack

    def _sync(self) -> None:
        with self._guard:
            if self._is_faulty:
                raise PackFault("an earlier write was not made durable; start the process anew")
            unsynced, self._unsynced = self._unsynced, _Unsynced()
        try:
            for pack in unsynced.packs:
                os.fdatasync(pack.fd)
            if unsynced.has_new_names:
                self._folder.sync()
        except OSError as error:
            self._is_faulty = True
            raise PackFault(f"bytes could not be made durable: {error.strerror}") from None

    def _open(self, place: Place, aead: AESGCM, start: int, stop: int, only_cached: bool = False) -> bytes | None:
        first, last = start // SEGMENT_BYTES, max(start, stop - 1) // SEGMENT_BYTES
        pieces = list(place.pieces(first, last))
        stored = memoryview(bytearray(sum(piece.length for piece in pieces)))
        at = 0
        for piece in pieces:
            into = stored[at : at + piece.length]
            if not read_all(self._folder.find(piece.pack_id).fd, into, piece.offset, only_cached=only_cached):
                return None
            at += piece.length
        parts = place.open(aead, stored, first, last)
        base = first * SEGMENT_BYTES
        if last > first:
            parts[-1] = parts[-1][: stop - last * SEGMENT_BYTES]
            parts[0] = parts[0][start - base :]
            return b"".join(parts)
        return parts[0][start - base : stop - base]

    async def _open_aside(self, place: Place, aead: AESGCM, start: int, step: int) -> bytes | None:
        return await asyncio.to_thread(self._open, place, aead, start, min(start + step, place.length_bytes))

    def _free(self, extents: list[Extent]) -> None:
        touched: dict[bytes, PackFile] = {}
        for extent in segments.joined(sorted(extents)):  # neighbours together, so that shared blocks are freed too
            try:
                pack = touched.setdefault(extent.pack_id, self._folder.find(extent.pack_id))
            except ObjectMissing:
                continue  # the pack as a whole was given back
            give_back(pack.fd, extent)
        for pack in touched.values():
            try:
                os.fdatasync(pack.fd)
            except OSError as error:
                raise PackFault(f"room could not be given back: {error.strerror}") from None


class ObjectWriter:
    """Takes the plain bytes of one object as they come. End it with `finish` or `abort`. For one task at a time."""

    def __init__(self, packs: Packs) -> None:
        self._packs = packs
        self._key = os.urandom(32)
        self._aead = AESGCM(self._key)
        self._prefix = os.urandom(PREFIX_BYTES)
        self._hash = hashlib.sha256()
        self._length = 0
        self._segments = 0
        self._parts: list[memoryview] = []  # of the segment that is not full, or not known to have a follower
        self._part_bytes = 0
        self._stored: list[bytes] = []
        self._extents: list[Extent] = []
        self._used: list[PackFile] = []
        self._is_open = True
        self._is_sealed = False  # the last segment

    @property
    def length_bytes(self) -> int:
        """How many plain bytes have come so far."""
        return self._length

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; they are copied or sealed before this returns.

        Raises:
            PackFault: The disk did not take an extent. Call `abort`.
        """
        self._require_open()
        # what cannot change may be referred to instead of copied
        view = memoryview(chunk if type(chunk) is bytes else bytes(chunk))
        self._hash.update(view)
        self._length += len(view)
        while len(view):  # a full segment waits until another byte shows that it is not the last
            if self._part_bytes == SEGMENT_BYTES:
                self._seal()
            taken = view[: SEGMENT_BYTES - self._part_bytes]
            self._parts.append(taken)
            self._part_bytes += len(taken)
            view = view[len(taken) :]

    def finish(self) -> SealedObject:
        """Seal what is left and write it. Not durable before `Packs.sync`.

        Raises:
            PackFault: The disk did not take it. Call `abort`.
        """
        return self._packs.finish([self])[0]

    def close_segments(self) -> list[bytes]:
        """Seal the last segment, and give what is not written yet. For `Packs.finish`."""
        self._require_open()
        if not self._is_sealed:
            self._seal(is_last=True)
            self._is_sealed = True
        return self._stored

    def close(self, extent: Extent) -> SealedObject:
        """The rest is written: the object is whole. For `Packs.finish`."""
        self._is_open = False
        self._packs.leave(self._used)
        place = Place(self._prefix, self._length, tuple(segments.joined([*self._extents, extent])))
        return SealedObject(place.encode(), self._key, self._length, self._hash.digest())

    def abort(self) -> None:
        """Forget the object; what was written of it becomes a hole. May be repeated; does nothing after `finish`."""
        if not self._is_open:
            return
        self._is_open = False
        self._stored.clear()
        self._parts.clear()
        self._key = b""
        self._packs.discard(self._extents)
        self._packs.leave(self._used)

    def _require_open(self) -> None:
        if not self._is_open:
            raise PackFault("this object is finished or aborted")

    def _seal(self, *, is_last: bool = False) -> None:
        parts = self._parts
        plain = parts[0] if len(parts) == 1 else b"".join(parts)
        if len(self._stored) == _EXTENT_SEGMENTS:
            self._extents.append(self._packs.append(self._stored, self._used))
            self._stored = []
        self._stored.append(segments.seal(self._aead, self._prefix, self._segments, plain, is_last=is_last))
        self._segments += 1
        self._parts, self._part_bytes = [], 0
