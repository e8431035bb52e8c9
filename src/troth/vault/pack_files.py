"""Pack files: append-only files with random names, written by one process each, read by all.

A pack starts with 32 bytes: ``"TROTHPCK"``, format 1 (2 bytes), 6 zeros, and the pack's id (16); its name is the id in
hexadecimal with the suffix ``.pack``. Then come extents of sealed segments without any frame: what is where is known to
the locators alone, so a pack tells nothing about what is in it.

While a process may still write to a pack, or finish an object that lies in it, it holds an ``flock`` on it; the lock
ends with the process. So a pack whose lock is free gets no further object, and whoever gives back what no locator names
needs to look at those alone.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from troth.vault.errors import ObjectMissing, PackFault
from troth.vault.model import PackSize
from troth.vault.segments import PACK_ID_BYTES, Extent

HEAD_BYTES: Final = 32
_MAGIC: Final = b"TROTHPCK\x00\x01" + bytes(6)
_SUFFIX: Final = ".pack"
_OPEN_FILES: Final = 128
_KEEP_SIZE: Final = 1  # FALLOC_FL_KEEP_SIZE
_PUNCH_HOLE: Final = 2  # FALLOC_FL_PUNCH_HOLE
_ZEROS: Final = bytes(1 << 20)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class PackFile:
    """An open pack; its descriptor is closed with the last reference, so no reader can lose it in the middle."""

    __slots__ = ("fd", "id", "tail", "writers")

    def __init__(self, pack_id: bytes, fd: int, tail: int = 0) -> None:
        self.id = pack_id
        self.fd = fd
        self.tail = tail
        self.writers = 0

    def let_go(self) -> None:
        """Nothing is written here any more by this process: free the lock, and count the grace time from now."""
        os.utime(self.fd)
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def __del__(self) -> None:
        os.close(self.fd)


class PackFolder:
    """The folder of packs.

    Args:
        path: The folder; made with mode 0700 if absent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open: dict[bytes, PackFile] = {}
        self._guard = threading.Lock()

    def create(self) -> PackFile:
        """A new pack. Its name is durable only after `sync`."""
        pack_id = os.urandom(PACK_ID_BYTES)
        fd = os.open(self._path(pack_id), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        pack = PackFile(pack_id, fd, HEAD_BYTES)
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            write_all(fd, [_MAGIC + pack_id], 0)
        except PackFault:
            self._path(pack_id).unlink(missing_ok=True)
            raise
        self._keep(pack)
        return pack

    def sync(self) -> None:
        """Make the names of packs durable."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def find(self, pack_id: bytes) -> PackFile:
        """An open pack.

        Raises:
            ObjectMissing: It is not here.
        """
        pack = self._open.get(pack_id)
        if pack is None:
            try:
                fd = os.open(self._path(pack_id), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                raise ObjectMissing from None
            pack = PackFile(pack_id, fd)
            self._keep(pack)
        return pack

    def sizes(self) -> Iterator[PackSize]:
        """All packs and the room they take."""
        for entry in sorted(self.path.glob("*" + _SUFFIX)):
            state = entry.stat()
            yield PackSize(entry.name, state.st_size, state.st_blocks * 512)

    def names(self) -> list[bytes]:
        """The ids of all packs."""
        return [bytes.fromhex(path.stem) for path in sorted(self.path.glob("*" + _SUFFIX))]

    @contextmanager
    def alone(self, pack_id: bytes) -> Iterator[int | None]:
        """Hold a pack that nobody writes to; a descriptor of it, or None while somebody may.

        Args:
            pack_id: Of the pack.

        Raises:
            ObjectMissing: It is not here.
        """
        try:
            fd = os.open(self._path(pack_id), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ObjectMissing from None
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            yield fd
        finally:
            os.close(fd)

    def remove(self, pack_id: bytes) -> None:
        """Take a pack away in which nothing lies any more."""
        with self._guard:
            self._open.pop(pack_id, None)
        self._path(pack_id).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of all open packs."""
        with self._guard:
            self._open.clear()

    def _path(self, pack_id: bytes) -> Path:
        return self.path / (pack_id.hex() + _SUFFIX)

    def _keep(self, pack: PackFile) -> None:
        with self._guard:
            if len(self._open) >= _OPEN_FILES:
                self._open.pop(next(iter(self._open)))
            self._open[pack.id] = pack


def write_all(fd: int, chunks: list[bytes], offset: int) -> int:
    """Write chunks one after the other.

    Returns:
        How many bytes.

    Raises:
        PackFault: The disk did not take them all.
    """
    total = sum(map(len, chunks))
    try:
        done = os.pwritev(fd, chunks, offset)
        if done != total:  # a signal or a nearly full disk
            rest = memoryview(b"".join(chunks))
            while done < total:
                done += os.pwrite(fd, rest[done:], offset + done)
    except OSError as error:
        raise PackFault(f"bytes could not be written: {error.strerror}") from None
    return total


def read_all(fd: int, buffer: memoryview, offset: int, *, only_cached: bool = False) -> bool:
    """Fill a buffer.

    Args:
        fd: The file.
        buffer: Where the bytes go; all of it is filled.
        offset: Where they are in the file.
        only_cached: Do not wait for the disk.

    Returns:
        False when ``only_cached`` and not all of it is in memory.

    Raises:
        ObjectMissing: The file ends before.
    """
    done = 0
    while done < len(buffer):
        try:
            count = os.preadv(fd, [buffer[done:]], offset + done, os.RWF_NOWAIT if only_cached else 0)
        except OSError as error:
            if only_cached and error.errno in (errno.EAGAIN, errno.EOPNOTSUPP):
                return False
            raise PackFault(f"bytes could not be read: {error.strerror}") from None
        if count == 0:
            raise ObjectMissing
        done += count
    return True


def give_back(fd: int, extent: Extent) -> None:
    """Make an extent a hole; where the file system has none, overwrite it with zeros.

    Raises:
        PackFault: Neither could be done.
    """
    if _libc.fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, extent.offset, extent.length) == 0:
        return
    if ctypes.get_errno() not in (errno.EOPNOTSUPP, errno.ENOSYS):
        raise PackFault(f"room could not be given back: {os.strerror(ctypes.get_errno())}")
    for offset in range(extent.offset, extent.offset + extent.length, len(_ZEROS)):
        write_all(fd, [_ZEROS[: extent.offset + extent.length - offset]], offset)


def stored_pieces(fd: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The parts of a range of a pack in which something other than zeros lies, as start and length.

    Args:
        fd: The pack.
        start: First byte.
        stop: One after the last byte.
    """
    at = start
    while at < stop:
        try:
            at = max(at, os.lseek(fd, at, os.SEEK_DATA))
            end = min(stop, os.lseek(fd, at, os.SEEK_HOLE))
        except OSError as error:
            if error.errno == errno.ENXIO:  # only holes from here on
                return
            raise
        while at < end:
            chunk = os.pread(fd, min(len(_ZEROS), end - at), at)
            if not chunk:
                return
            if chunk.strip(b"\0"):
                yield at, len(chunk)
            at += len(chunk)
