"""A sealed object as a file that programs can move about in: for reading a copy back without ever writing it down."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

from troth.vault import Packs

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_READ_AHEAD_BYTES = 1 << 20


class SealedFile(io.RawIOBase):
    """Reads ranges of a sealed object. For threads other than that of the event loop.

    Args:
        packs: Where it lies.
        locator: Where in them.
        key: Its key.
        length_bytes: Length of the plain bytes.
        loop: The loop that reads.
    """

    def __init__(
        self, packs: Packs, locator: bytes, key: bytes, length_bytes: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__()
        self._packs = packs
        self._locator = locator
        self._key = key
        self._length = length_bytes
        self._loop = loop
        self._position = 0

    def buffered(self) -> io.BufferedReader:
        """The same with a read-ahead, for programs that read a few bytes at a time."""
        return io.BufferedReader(self, _READ_AHEAD_BYTES)

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """One can move about in it."""
        return True

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; see `io.IOBase.seek`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill a buffer with the next bytes.

        Raises:
            troth.vault.SealBroken: The bytes are not what was sealed.
        """
        view = memoryview(buffer).cast("B")
        stop = min(self._position + len(view), self._length)
        if stop <= self._position:
            return 0
        reading = self._packs.read(self._locator, self._key, self._position, stop)
        chunk = asyncio.run_coroutine_threadsafe(reading, self._loop).result()
        view[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)
