"""Pictures of frames, of every transfer syntax, drawn in a confined child that may crash or run away alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from troth import dicom
from troth.dicom import pictures
from troth.kit.children import ChildEnded, ChildRefused, Children

_SECONDS = 1.8
_PIECE_BYTES = 4 << 20
_MOST_FRAME_BYTES = 256 << 20
_MOST_PICTURE_BYTES = 256 << 20

Read = Callable[[int, int], Awaitable[bytes]]


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

    async def paint(self, who: Hashable, head: bytes, syntax: str, frames: Frames, options: dict[str, Any]) -> bytes:
        """Make a picture of a frame, or of several one after the other.

        Args:
            who: Whose share of the painters it counts in: the organisation.
            head: Head of the instance.
            syntax: Its transfer syntax.
            frames: The frames as they are stored.
            options: Those of `dicom.render`.

        Raises:
            troth.dicom.CannotRender: There is no picture of it; also when the decoder died of it.
            troth.kit.errors.Unavailable: There was not time enough; with less to do at once there may be.
        """
        if frames.length_bytes > _MOST_FRAME_BYTES:
            raise dicom.CannotRender("The frames are larger than is drawn here")
        first = frames.numbers[0]
        described = await asyncio.to_thread(_pictures, head, syntax, first, len(frames.numbers))
        arguments = (first, frames.table.shape if frames.table else None, described, options)
        contents = (frames.pieces(number) for number in frames.numbers)
        try:
            return await self._children.run(
                who, pictures.drawn, arguments, contents, seconds=_SECONDS, most_bytes=_MOST_PICTURE_BYTES
            )
        except (ChildEnded, ChildRefused):
            raise dicom.CannotRender from None

    def close(self) -> None:
        """End the children."""
        self._children.close()


def _pictures(head: bytes, syntax: str, number: int, count: int) -> list[dicom.Picture]:
    metadata = dicom.to_json(head, syntax, frames=range(number, number + count))
    described = [dicom.Picture.of(metadata, syntax, at) for at in range(number, number + count)]
    if sum(picture.drawing_bytes for picture in described) > dicom.DRAWING_BYTES:
        raise dicom.CannotRender("The picture takes more memory than is spent on one here")
    return described
