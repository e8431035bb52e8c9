"""Frames of a stored instance, read by ranges and never held whole where they are large.

Per: DICOM PS3.5 8.1.1, A.4.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from troth import dicom
from troth.vault import SEGMENT_BYTES

_AT_ONCE_BYTES = 512 << 10  # a usual CT or MR image; of larger ones less waits with each reader
_NO_CUT = 1 << 60

Read = Callable[[int, int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A frame as it is stored: native ones little endian, compressed ones as they came.

    Attributes:
        length_bytes: Of all of it.
        first: Its first bytes, which were read already; all of a small one.
        rest: What follows.
    """

    length_bytes: int
    first: bytes
    rest: AsyncIterator[bytes]

    @classmethod
    def whole(cls, content: bytes) -> StoredFrame:
        """One that is here already."""
        return cls(len(content), content, _nothing())

    @property
    def is_whole(self) -> bool:
        """Whether all of it was read already."""
        return len(self.first) == self.length_bytes

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it, in order; once."""
        yield self.first
        async for piece in self.rest:
            yield piece


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield


async def stored_frame(table: dicom.FrameTable, number: int, read: Read) -> StoredFrame:
    """Begin to read a frame.

    Args:
        table: Places of the frames.
        number: Counted from 1; there is such a frame.
        read: Reads stored bytes [start, stop).
    """
    ranges = table.ranges(number)
    is_small = ranges[-1][1] - ranges[0][0] <= _AT_ONCE_BYTES
    parts = table.parts(number, _NO_CUT if is_small else SEGMENT_BYTES)

    async def following() -> AsyncIterator[bytes]:
        for start, stop, made in parts:
            yield made(await read(start, stop))

    rest = following()
    return StoredFrame(table.length_bytes(number), await anext(rest, b""), rest)


async def found_table(
    syntax: str, count: int, bulk: AsyncIterator[bytes], most_fragments: int = dicom.LIMITS.fragments
) -> dicom.FrameTable:
    """The places of frames that only the compressed streams tell, found in one pass.

    Args:
        syntax: Transfer syntax.
        count: How many frames there are.
        bulk: The whole encapsulated value, piece by piece.
        most_fragments: How many fragments it may have.

    Raises:
        troth.dicom.Malformed: They cannot be told apart.
    """
    fragments = dicom.Fragments(most_fragments)
    beginnings: list[bytes] = []
    before = b""
    async for piece in bulk:
        at = fragments.length - len(before)
        fragments.feed(piece)
        before += piece
        while len(beginnings) < len(fragments.starts):
            start = fragments.starts[len(beginnings)] - at
            if start + 2 > len(before):
                break
            beginnings.append(before[start : start + 2])
        before = before[-2:]
        if fragments.is_closed:
            break
    places = dict(zip(fragments.starts, beginnings, strict=False))
    return dicom.encapsulated_table(fragments, syntax, count, lambda start, _stop: places.get(start, b""))
