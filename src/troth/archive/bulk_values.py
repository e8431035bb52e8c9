"""A bulk value that the metadata points to, read by ranges and never held whole."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from troth import dicom
from troth.vault import SEGMENT_BYTES

Read = Callable[[int, int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class BulkValue:
    """A value in little endian, whatever it is stored in.

    Attributes:
        length_bytes: Its length.
        unit_bytes: Width of the units whose bytes are stored the other way round, else 1.
        read_stored: Reads its stored bytes [start, stop).
        origin: How far from the beginning of what it is stored in its first byte is.
    """

    length_bytes: int
    unit_bytes: int
    read_stored: Read
    origin: int = 0

    async def read(self, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of the value."""
        unit = self.unit_bytes
        if unit == 1:
            return await self.read_stored(start, stop)
        first, last = start // unit * unit, min(-(-stop // unit) * unit, self.length_bytes)
        return dicom.swapped(await self.read_stored(first, last), unit)[start - first : stop - first]

    async def stream(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes one stretch after the other.

        Args:
            start: First byte.
            stop: One after the last; None for all.
        """
        stop = self.length_bytes if stop is None else stop
        for first, last in dicom.stretches(self.origin + start, self.origin + stop, SEGMENT_BYTES):
            yield await self.read(first - self.origin, last - self.origin)


def joined(ranges: Sequence[tuple[int, int]], read: Read) -> BulkValue:
    """A value that lies in pieces, such as a video in fragments.

    Args:
        ranges: The pieces [start, stop), in order.
        read: Reads stored bytes [start, stop).
    """
    ends = list(accumulate(stop - start for start, stop in ranges))

    async def read_joined(start: int, stop: int) -> bytes:
        pieces: list[bytes] = []
        for at in range(bisect_right(ends, start), len(ends)):
            first = ends[at] - (ranges[at][1] - ranges[at][0])
            if first >= stop:
                break
            origin = ranges[at][0] - first
            pieces.append(await read(origin + max(start, first), origin + min(stop, ends[at])))
        return b"".join(pieces)

    return BulkValue(ends[-1] if ends else 0, 1, read_joined, ranges[0][0] if ranges else 0)
