"""A zip written as a stream, nothing compressed, of any size and in flat memory.

Entries of ordinary size are gathered first, so that their headers say size and checksum: programs that unpack a stream
refuse an uncompressed entry that tells them only afterwards. Larger ones say it afterwards, with 64 bits.

Per: PKWARE APPNOTE 6.3.10, 4.3 to 4.5.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from datetime import datetime

GATHERED_BYTES = 16 << 20
LARGE = 0xFFFFFFFF  # from here on a length or place stands in the 64-bit record, and this in its old field
MANY = 0xFFFF
_SEE_64 = 0xFFFFFFFF
_SEE_64_COUNT = 0xFFFF

_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_END = struct.Struct("<4sHHHHLLH")
_END_64 = struct.Struct("<4sQHHLLQQQQ")
_LOCATOR_64 = struct.Struct("<4sLQL")
_AFTERWARDS = 0x0008
_PLAIN, _ZIP64 = 20, 45
_UNIX = 3 << 8
_FILE_MODE = 0o100644 << 16

Feed = Callable[[bytes], None]


class ZipEntry:
    """One file on its way into a zip; end it with `close` before the next is opened."""

    def __init__(self, archive: ZipWriter, name: str) -> None:
        self._archive = archive
        self._name = name
        self._gathered: list[bytes] | None = []
        self._offset = archive.position
        self._crc = 0
        self._digest = hashlib.sha256() if archive.with_digests else None
        self._length = 0

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._crc = zlib.crc32(chunk, self._crc)
        if self._digest is not None:
            self._digest.update(chunk)
        self._length += len(chunk)
        if self._gathered is None:
            self._archive.put(chunk)
            return
        self._gathered.append(chunk)
        if self._length > GATHERED_BYTES:
            self._archive.put(self._local(is_afterwards=True))
            self._let_go()

    def close(self) -> str:
        """The file is whole.

        Returns:
            Its SHA-256 in hexadecimal digits; empty in a zip without digests.
        """
        is_afterwards = self._gathered is None
        if is_afterwards:
            self._archive.put(struct.pack("<4sLQQ", b"PK\x07\x08", self._crc, self._length, self._length))
        else:
            self._archive.put(self._local(is_afterwards=False))
            self._let_go()
        self._archive.list_entry(self._central(is_afterwards))
        return self._digest.hexdigest() if self._digest is not None else ""

    def _let_go(self) -> None:
        for chunk in self._gathered or ():
            self._archive.put(chunk)
        self._gathered = None

    def _local(self, *, is_afterwards: bool) -> bytes:
        name = self._name.encode("ascii")
        crc, length, flags, version, extra = self._crc, self._length, 0, _PLAIN, b""
        if is_afterwards:
            crc, length, flags, version = 0, _SEE_64, _AFTERWARDS, _ZIP64
            extra = struct.pack("<HHQQ", 1, 16, 0, 0)
        time, date = self._archive.stamp
        head = _LOCAL.pack(b"PK\x03\x04", version, flags, 0, time, date, crc, length, length, len(name), len(extra))
        return head + name + extra

    def _central(self, is_afterwards: bool) -> bytes:
        name = self._name.encode("ascii")
        length, offset = _fitted(self._length), _fitted(self._offset)
        extra = b""
        if length == _SEE_64:
            extra += struct.pack("<QQ", self._length, self._length)
        if offset == _SEE_64:
            extra += struct.pack("<Q", self._offset)
        if extra:
            extra = struct.pack("<HH", 1, len(extra)) + extra
        version = _ZIP64 if extra or is_afterwards else _PLAIN
        time, date = self._archive.stamp
        head = _CENTRAL.pack(
            b"PK\x01\x02", _UNIX | _ZIP64, version, _AFTERWARDS if is_afterwards else 0, 0, time, date, self._crc,
            length, length, len(name), len(extra), 0, 0, 0, _FILE_MODE, offset,
        )  # fmt: skip
        return head + name + extra


class ZipWriter:
    """Writes a zip, entry after entry.

    Args:
        feed: Takes the bytes in order.
        at: When the files were made; stands beside each of them.
        with_digests: Make a SHA-256 of each file too, for whoever lists them.

    Attributes:
        position: Bytes written so far.
        stamp: Time and date as a zip holds them.
    """

    def __init__(self, feed: Feed, at: datetime, *, with_digests: bool = True) -> None:
        self._feed = feed
        self.with_digests = with_digests
        self._directory = bytearray()
        self._entries = 0
        self.position = 0
        self.stamp = (
            at.hour << 11 | at.minute << 5 | at.second // 2,
            (max(at.year, 1980) - 1980) << 9 | at.month << 5 | at.day,
        )

    def open(self, name: str) -> ZipEntry:
        """Begin a file.

        Args:
            name: Its path in the zip, ASCII, with slashes.
        """
        return ZipEntry(self, name)

    def add(self, name: str, content: bytes) -> str:
        """Add a whole file; returns its SHA-256 in hexadecimal digits."""
        entry = self.open(name)
        entry.write(content)
        return entry.close()

    def finish(self) -> None:
        """Write the directory at the end."""
        start, length, entries = self.position, len(self._directory), self._entries
        self.put(bytes(self._directory))
        if start >= LARGE or length >= LARGE or entries >= MANY:
            end_64 = self.position
            self.put(
                _END_64.pack(b"PK\x06\x06", 44, _UNIX | _ZIP64, _ZIP64, 0, 0, entries, entries, length, start)
                + _LOCATOR_64.pack(b"PK\x06\x07", 0, end_64, 1)
            )
        counted = entries if entries < MANY else _SEE_64_COUNT
        self.put(_END.pack(b"PK\x05\x06", 0, 0, counted, counted, _fitted(length), _fitted(start), 0))

    def put(self, chunk: bytes) -> None:
        """Pass bytes on. For `ZipEntry`."""
        self._feed(chunk)
        self.position += len(chunk)

    def list_entry(self, record: bytes) -> None:
        """Keep the record of an entry for the directory. For `ZipEntry`."""
        self._directory += record
        self._entries += 1


def _fitted(value: int) -> int:
    """A length or place for an old field of 32 bits."""
    return value if value < LARGE else _SEE_64
