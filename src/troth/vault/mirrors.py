"""Two mirrored slot files: pages written in place, read through shared memory.

- **Order.** The first mirror is written and synced before the second is touched, so a power cut tears one of them at
  most, and the other one has the page. A page is rewritten as a whole, in place; nothing is ever renamed or unlinked,
  because both leave the old bytes on the disk.
- **One writer.** ``flock`` on the file ``lock``, taken on a descriptor of its own each time (so it holds between
  threads and forks too). Its first byte says that a write is under way: who finds it set knows that the last writer
  died in the middle and compares the mirrors first. Every opening compares them as well (power cut).
- **Readers** look at a shared mapping of the first mirror and take no lock: what one process overwrites is gone for
  all.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from troth.vault import pages
from troth.vault.errors import KeyringDamaged
from troth.vault.pages import PAGE_BYTES
from troth.vault.root import open_guarded

_GROWTH_PAGES: Final = 64
_COMPARE_BYTES: Final = 256 * PAGE_BYTES
_QUIET: Final = b"."
_WRITING: Final = b"!"


@contextmanager
def alone(lock_path: Path) -> Iterator[int]:
    """Keep all other writers out, in this process and in others.

    Yields:
        A descriptor of the lock file.
    """
    fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


class Draft:
    """Changes to some pages, kept in memory until all of them are written at once."""

    def __init__(self, mirrors: Mirrors) -> None:
        self._mirrors = mirrors
        self.bodies: dict[int, bytearray] = {}
        self.must_confirm = False

    def page(self, number: int) -> bytearray:
        """The page as it will be; it is rewritten even if nothing in it changes."""
        if number not in self.bodies:
            self.bodies[number] = bytearray(self._mirrors.sound_page(number))
        return self.bodies[number]

    def slot(self, number: int) -> bytes:
        """The bytes of a slot as they will be."""
        start = pages.start_in_page(number)
        return bytes(self.page(pages.page_of(number))[start : start + pages.SLOT_BYTES])

    def put(self, number: int, slot: bytes) -> None:
        """Set the bytes of a slot."""
        start = pages.start_in_page(number)
        self.page(pages.page_of(number))[start : start + pages.SLOT_BYTES] = slot

    def count_destruction(self) -> None:
        """Tell all processes to drop what they have unwrapped, and have the disk read back."""
        head = self.page(0)
        count = int.from_bytes(head[pages.DESTRUCTIONS], "big") + 1
        head[pages.DESTRUCTIONS] = count.to_bytes(8, "big")
        self.must_confirm = True

    def sealed(self) -> dict[int, bytes]:
        """The pages with their new generation and checksum."""
        return {
            number: pages.frame(number, pages.generation(body) + 1, bytes(body[pages.FRAME_BYTES :]))
            for number, body in sorted(self.bodies.items())
        }


class Mirrors:
    """The two slot files of a keyring.

    Args:
        first: The mirror that is read; must exist.
        second: The other; must exist.
        lock_path: File for keeping other writers out.

    Raises:
        KeyringUnsafe: A file is open to others than its user.
        KeyringDamaged: A page is unreadable in both.
    """

    def __init__(self, first: Path, second: Path, lock_path: Path) -> None:
        self._paths = (first, second)
        self._lock_path = lock_path
        self._fds: tuple[int, ...] = ()
        self._fds = tuple(open_guarded(path, os.O_RDWR) for path in self._paths)
        with alone(lock_path) as lock_fd:
            self._mend()
            os.pwrite(lock_fd, _QUIET, 0)
        self.view = self._map()

    def close(self) -> None:
        """Give the files back."""
        for fd in self._fds:
            os.close(fd)
        self._fds = ()
        self.view.close()

    def reaching(self, stop: int) -> mmap.mmap | None:
        """The shared mapping, taken anew when another process has made the file longer.

        Args:
            stop: How far it has to reach, in bytes.

        Returns:
            The mapping, or None when the file is not that long.
        """
        if stop > len(self.view):
            if stop > os.fstat(self._fds[0]).st_size:
                return None
            self.view = self._map()  # the old mapping ends with its last reader
        return self.view

    @contextmanager
    def drafting(self) -> Iterator[Draft]:
        """Change pages alone; on leaving the block they are durable in both mirrors, or the block raised.

        Raises:
            KeyringDamaged: A page is unreadable in both mirrors, or the disk did not take or confirm what was written.
        """
        with alone(self._lock_path) as lock_fd:
            if os.pread(lock_fd, 1, 0) == _WRITING:
                self._mend()
            draft = Draft(self)
            yield draft
            written = draft.sealed()
            if not written:
                return
            os.pwrite(lock_fd, _WRITING, 0)
            for fd in self._fds:
                self._write(fd, written)
            if draft.must_confirm:
                self._confirm(written)
            os.pwrite(lock_fd, _QUIET, 0)

    def glance(self, number: int) -> bytes:
        """A page as it looks now, unchecked. Beyond the end: an empty one."""
        start = number * PAGE_BYTES
        view = self.reaching(start + PAGE_BYTES)
        return pages.EMPTY_PAGE if view is None else view[start : start + PAGE_BYTES]

    def sound_page(self, number: int) -> bytes:
        """A page for a writer, mended from the mirror if need be. Beyond the end: an empty one."""
        page = os.pread(self._fds[0], PAGE_BYTES, number * PAGE_BYTES).ljust(PAGE_BYTES, b"\0")
        if pages.is_whole(page, number):
            return page
        page = self._mend_page(number)
        self._sync()
        return page

    def mend(self, number: int) -> bool:
        """Mend one page that could not be used.

        Returns:
            Whether anything was changed.
        """
        with alone(self._lock_path):
            before = os.pread(self._fds[0], PAGE_BYTES, number * PAGE_BYTES)
            changed = self._mend_page(number) != before
            self._sync()
            return changed

    def _map(self) -> mmap.mmap:
        return mmap.mmap(self._fds[0], 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)

    def _write(self, fd: int, written: dict[int, bytes]) -> None:
        with _disk():
            self._grow(fd, max(written) + 1)
            for number, page in written.items():
                if os.pwrite(fd, page, number * PAGE_BYTES) != PAGE_BYTES:
                    raise KeyringDamaged("the disk took a part of a page only")
            os.fdatasync(fd)

    def _grow(self, fd: int, needed_pages: int) -> None:
        """Make room with real zeros, so that later overwriting stays in the same blocks."""
        end = os.fstat(fd).st_size
        if end >= needed_pages * PAGE_BYTES:
            return
        target = needed_pages + max(_GROWTH_PAGES, needed_pages // 16)
        while end < target * PAGE_BYTES:
            end += os.pwrite(fd, bytes(min(1 << 20, target * PAGE_BYTES - end)), end)

    def _mend(self) -> None:
        """Compare the mirrors; where they differ, the newest whole page is written to the other one."""
        changed = False
        sizes = [os.fstat(fd).st_size for fd in self._fds]
        for start in range(0, max(sizes), _COMPARE_BYTES):
            first, second = (os.pread(fd, _COMPARE_BYTES, start) for fd in self._fds)
            if first == second and len(first) % PAGE_BYTES == 0:
                continue
            for offset in range(0, max(len(first), len(second)), PAGE_BYTES):
                ends = offset + PAGE_BYTES
                if first[offset:ends] != second[offset:ends] or len(first) < ends:
                    self._mend_page((start + offset) // PAGE_BYTES)
                    changed = True
        if changed:
            self._sync()

    def _sync(self) -> None:
        with _disk():
            for fd in self._fds:
                os.fdatasync(fd)

    def _mend_page(self, number: int) -> bytes:
        found = [os.pread(fd, PAGE_BYTES, number * PAGE_BYTES).ljust(PAGE_BYTES, b"\0") for fd in self._fds]
        page = pages.newest(number, *found)
        if page is None or (number == 0 and page == pages.EMPTY_PAGE):
            raise KeyringDamaged(f"page {number} is unreadable in both mirrors")
        for fd in self._fds:
            if os.pread(fd, PAGE_BYTES, number * PAGE_BYTES) != page:
                with _disk():
                    os.pwrite(fd, page, number * PAGE_BYTES)
        return page

    def _confirm(self, written: dict[int, bytes]) -> None:
        """Read pages back, from the device where the file system lets us, and compare."""
        for path, fd in zip(self._paths, self._fds, strict=True):
            with _disk(), _unbuffered(path, fd) as source, mmap.mmap(-1, PAGE_BYTES) as aligned:
                for number, page in written.items():
                    os.preadv(source, [aligned], number * PAGE_BYTES)
                    if aligned[:] != page:
                        raise KeyringDamaged("a destroyed key could not be confirmed as overwritten")


@contextmanager
def _disk() -> Iterator[None]:
    """Tell a disk's refusal as what it means here."""
    try:
        yield
    except OSError as error:
        raise KeyringDamaged(f"the keyring cannot be written: {error.strerror}") from None


@contextmanager
def _unbuffered(path: Path, fallback: int) -> Iterator[int]:
    """A descriptor that reads past the page cache, or the ordinary one where that is not possible."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        yield fallback
        return
    try:
        yield fd
    finally:
        os.close(fd)
