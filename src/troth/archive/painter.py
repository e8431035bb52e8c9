"""Pictures of frames, of every transfer syntax, drawn in a confined child that may crash or run away alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from troth import dicom
from troth.dicom import pictures
from troth.kit.children import ChildEnded, ChildRefused, Children

_SECONDS = 1.8
_HEAD_BYTES_OF_A_SECOND = 2 << 20  # a head of many frames is walked for the one that is drawn
_PIECE_BYTES = 4 << 20
_MOST_FRAME_BYTES = 256 << 20
MOST_PICTURE_BYTES = 256 << 20
"""Of a picture, or of a frame that is unpacked.

It is held whole until it was sent, and for moments up to three times, on its way from the child into an answer. A
larger one is refused before any of it is taken.
"""

Read = Callable[[int, int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an instance on its way to a picture.

    Attributes:
        length_bytes: Of all of it.
        pieces: It, piece by piece.
    """

    length_bytes: int
    pieces: AsyncIterator[bytes]

    @classmethod
    def of(cls, head: bytes) -> Head:
        """One that is here."""

        async def pieces() -> AsyncIterator[bytes]:
            yield head

        return cls(len(head), pieces())


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames on their way to a picture.

    Attributes:
        numbers: Counted from 1, one after the other.
        length_bytes: Of all of them as they are stored.
        pieces: The bytes of the ranges of a frame, piece by piece.
        table: Shape of the frames; None where the pieces make up a frame already.
    """

    numbers: Sequence[int]
    length_bytes: int
    pieces: Callable[[int], AsyncIterator[bytes]]
    table: dicom.FrameTable | None = None

    @classmethod
    def stored(cls, numbers: Sequence[int], table: dicom.FrameTable, read: Read) -> Frames:
        """Frames that are stored; one of any size is read in small pieces.

        Args:
            numbers: Counted from 1, one after the other.
            table: Of their places.
            read: Reads a range of the bulk bytes.
        """

        async def pieces(number: int) -> AsyncIterator[bytes]:
            ranges = table.ranges(number)
            for start in range(ranges[0][0], ranges[-1][1], _PIECE_BYTES):
                stop = min(start + _PIECE_BYTES, ranges[-1][1])
                span = await read(start, stop)
                inside = [(max(first, start), min(last, stop)) for first, last in ranges]
                yield b"".join(span[first - start : last - start] for first, last in inside if first < last)

        length = sum(last - first for number in numbers for first, last in table.ranges(number))
        return cls(numbers, length, pieces, table)

    @classmethod
    def of(cls, frame: bytes) -> Frames:
        """One frame that is here."""

        async def pieces(_number: int) -> AsyncIterator[bytes]:
            yield frame

        return cls((1,), len(frame), pieces)


class Painter:
    """Renders frames. A child starts with the first picture."""

    def __init__(self) -> None:
        self._children = Children(pictures.load)

    async def paint(self, who: Hashable, head: Head, syntax: str, frames: Frames, options: dict[str, Any]) -> bytes:
        """Make a picture of a frame, or of several one after the other.

        Args:
            who: Whose share of the painters it counts in: the organisation.
            head: Head of the instance, which says what the picture is; it is read by the child as well.
            syntax: Its transfer syntax.
            frames: The frames as they are stored.
            options: Those of `dicom.render`.

        Raises:
            troth.dicom.CannotRender: There is no picture of it; also when the decoder died of it.
            troth.kit.errors.Unavailable: There was not time enough; with less to do at once there may be.
        """
        if frames.length_bytes > _MOST_FRAME_BYTES:
            raise dicom.CannotRender("The frames are larger than is drawn here")
        arguments = (syntax, frames.numbers[0], frames.table.shape if frames.table else None, options)
        contents = [head.pieces, *(frames.pieces(number) for number in frames.numbers)]
        seconds = _SECONDS + head.length_bytes // _HEAD_BYTES_OF_A_SECOND
        try:
            return await self._children.run(
                who, pictures.drawn, arguments, contents, seconds=seconds, most_bytes=MOST_PICTURE_BYTES
            )
        except (ChildEnded, ChildRefused):
            raise dicom.CannotRender from None

    def close(self) -> None:
        """End the children."""
        self._children.close()
