"""Where each frame of an image stands in its bulk, so that one frame is one ranged read.

Per: DICOM PS3.5 8.1.1 (native), A.4 (encapsulated), D (byte order); PS3.3 C.7.6.6 (multi-frame).
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from troth.dicom import syntaxes, tags
from troth.dicom.errors import Malformed
from troth.dicom.fragments import Fragments
from troth.dicom.header import Header
from troth.dicom.walk import LIMITS

Range = tuple[int, int]
Ranges = list[Range]
Read = Callable[[int, int], bytes]
Part = tuple[int, int, Callable[[bytes], bytes]]

_SHAPE = struct.Struct("<BBQQLL")
_SOI = (b"\xff\xd8", b"\xff\x4f")


@dataclass(frozen=True, slots=True)
class FrameTable:
    """The places of all frames in the bulk bytes of one instance.

    Attributes:
        count: Number of frames that are there whole; 0 of a video, whose fragments are one stream.
        frame_bits: Bits of one native frame; 0 where the bulk is encapsulated.
        swap_bytes: Width of the units whose bytes are the wrong way round (big endian syntax), else 1.
        bulk_length: Length in bytes of the native value.
        firsts: Encapsulated: index of the first fragment of each frame.
        starts: Encapsulated: first byte of each fragment.
        lengths: Encapsulated: length in bytes of each fragment.
    """

    count: int
    frame_bits: int
    swap_bytes: int
    bulk_length: int
    firsts: Sequence[int] = ()
    starts: Sequence[int] = ()
    lengths: Sequence[int] = ()

    def ranges(self, number: int) -> Ranges:
        """The byte ranges [start, stop) in the bulk that hold a frame.

        Args:
            number: Counted from 1.

        Raises:
            IndexError: There is no such frame.
        """
        if not 1 <= number <= self.count:
            raise IndexError(number)
        if self.frame_bits:
            return [self._holding((number - 1) * self.frame_bits, number * self.frame_bits)]
        return [(self.starts[at], self.starts[at] + self.lengths[at]) for at in self._fragments(number)]

    def parts(self, number: int, step_bytes: int) -> Iterator[Part]:
        """A frame in parts that follow each other, so that one of any size is never held whole.

        Args:
            number: Counted from 1.
            step_bytes: A multiple of it is where each but the last ends in the bulk; it is a multiple of 8.

        Yields:
            Where to read in the bulk, from and to, and what makes the part of what was read.

        Raises:
            IndexError: There is no such frame.
        """
        ranges = self.ranges(number)
        if not self.frame_bits:
            start, stop = ranges[0][0], ranges[-1][1]
            for at, end in stretches(start, stop, step_bytes):
                yield at, end, partial(self._inside, self._fragments(number), at)
            return
        begin = (number - 1) * self.frame_bits
        skip = begin % 8  # each part has whole bytes, so one of a frame that begins within a byte ends within one
        for first, last in stretches(begin - skip, begin - skip + self.frame_bits, 8 * step_bytes):
            first, last = first + skip, last + skip
            start, stop = self._holding(first, last)
            yield start, stop, partial(self._aligned, first - 8 * start, last - first)

    def length_bytes(self, number: int) -> int:
        """How long a frame is, as `frame` gives it and all of its `parts` together."""
        if self.frame_bits:
            return -(-self.frame_bits // 8)
        return sum(last - first for first, last in self.ranges(number))

    def _fragments(self, number: int) -> range:
        return range(self.firsts[number - 1], self.firsts[number] if number < self.count else len(self.starts))

    def _holding(self, first: int, last: int) -> Range:
        """The whole units that hold the bits [first, last)."""
        unit = self.swap_bytes
        return first // (8 * unit) * unit, min(-(-last // (8 * unit)) * unit, self.bulk_length)

    def _inside(self, fragments: range, at: int, raw: bytes) -> bytes:
        """What of a stretch of the bulk lies in fragments and not between them."""
        pieces, stop = [], at + len(raw)
        for index in range(max(bisect_right(self.starts, at) - 1, fragments.start), fragments.stop):
            start = self.starts[index]
            if start >= stop:
                break
            pieces.append(raw[max(start - at, 0) : max(start + self.lengths[index] - at, 0)])
        return b"".join(pieces)

    def _aligned(self, skip: int, count: int, raw: bytes) -> bytes:
        """Some bits of native pixels, little endian, beginning at a whole byte."""
        if self.swap_bytes > 1:
            raw = swapped(raw, self.swap_bytes)
        if skip % 8 or count % 8:
            # One-bit frames follow each other without a gap; bit 0 of the first byte comes first (PS3.5 8.1.1).
            value = int.from_bytes(raw, "little") >> skip & (1 << count) - 1
            return value.to_bytes(-(-count // 8), "little")
        return raw[skip // 8 : (skip + count) // 8]

    def stream(self) -> Ranges:
        """The byte ranges [start, stop) in the bulk that make up an encapsulated stream, fragment by fragment."""
        return [(start, start + length) for start, length in zip(self.starts, self.lengths, strict=True)]

    def frame(self, number: int, pieces: Sequence[bytes]) -> bytes:
        """A frame from the bytes of its `ranges`: joined, little endian, beginning at a whole byte.

        Args:
            number: Counted from 1.
            pieces: The bytes of each range, in order.
        """
        raw = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if not self.frame_bits:
            return raw
        first = (number - 1) * self.frame_bits
        return self._aligned(first - 8 * self._holding(first, first + self.frame_bits)[0], self.frame_bits, raw)

    def read(self, number: int, read: Read) -> bytes:
        """A frame by reading its ranges with `read(start, stop)`."""
        return self.frame(number, [read(start, stop) for start, stop in self.ranges(number)])

    @property
    def shape(self) -> FrameTable:
        """The same without the places: enough for `frame`."""
        return FrameTable(self.count, self.frame_bits, self.swap_bytes, self.bulk_length)

    @property
    def is_plain(self) -> bool:
        """Whether the bytes of its `ranges`, joined, are already what `frame` gives."""
        return not self.frame_bits or (self.swap_bytes == 1 and self.frame_bits % 8 == 0)

    def to_bytes(self) -> bytes:
        """The table in few bytes, to be kept beside the instance."""
        shape = _SHAPE.pack(1, self.swap_bytes, self.frame_bits, self.bulk_length, self.count, len(self.starts))
        return shape + b"".join(
            array(code, column).tobytes()
            for code, column in (("I", self.firsts), ("Q", self.starts), ("I", self.lengths))
        )

    @classmethod
    def from_bytes(cls, kept: bytes) -> FrameTable:
        """The table that `to_bytes` wrote."""
        _, swap_bytes, frame_bits, bulk_length, count, fragments = _SHAPE.unpack_from(kept)
        columns, at = [], _SHAPE.size
        for code, length in (("I", count if fragments else 0), ("Q", fragments), ("I", fragments)):
            column = array(code)
            column.frombytes(kept[at : at + length * column.itemsize])
            at += length * column.itemsize
            columns.append(column)
        return cls(count, frame_bits, swap_bytes, bulk_length, *columns)


def frame_table(header: Header, read: Read | None = None) -> FrameTable:
    """Find the frames of an instance.

    Args:
        header: As scanned, or reopened from a stored head.
        read: Reads bulk bytes [start, stop). Needed where a stored head is reopened and the pixels are encapsulated,
            and where only the compressed streams tell which fragments belong to one frame.

    Raises:
        Malformed: The instance has no pixels, or its frames cannot be told apart.
    """
    if not header.has_pixels:
        raise Malformed("There are no pixels")
    count = header.frames
    if not count:
        raise Malformed("It says that it has no frames")
    if header.bulk_length is not None:
        bits = header.frame_bits
        if header.bulk_tag != tags.PIXELS:
            bits = header.rows * header.columns * (32 if header.bulk_tag == tags.FLOAT_PIXELS else 64)
        whole = header.bulk_length * 8 // bits if bits else 0
        if not whole:
            raise Malformed("There are fewer pixels than rows and columns say")
        return FrameTable(min(count, whole), bits, _swap_bytes(header), header.bulk_length)
    fragments = header.fragments
    if fragments is None:
        if read is None:
            raise Malformed("The fragments of encapsulated pixels were not read")
        fragments = read_fragments(read)
    return encapsulated_table(fragments, header.syntax, count, read)


def encapsulated_table(fragments: Fragments, syntax: str, count: int, read: Read | None = None) -> FrameTable:
    """Find the frames of encapsulated pixels.

    Args:
        fragments: The fragments.
        syntax: Transfer syntax.
        count: How many frames there are.
        read: As of `frame_table`; only the first two bytes of fragments are asked for.

    Raises:
        Malformed: The frames cannot be told apart.
    """
    firsts = array("I", () if syntaxes.is_video(syntax) else _firsts(fragments, count, read))
    return FrameTable(len(firsts), 0, 1, 0, firsts, fragments.starts, fragments.lengths)


def read_fragments(read: Read) -> Fragments:
    """Find the fragments of a stored encapsulated bulk, reading little more than their item headers.

    Args:
        read: Reads bulk bytes [start, stop); fewer where the bulk ends before.

    Raises:
        Malformed: It is not a sequence of fragments.
    """
    fragments = Fragments(LIMITS.fragments)
    while not fragments.is_closed:
        wanted = fragments.wanted_bytes
        if not wanted:
            fragments.skip()
            continue
        piece = read(fragments.length, fragments.length + wanted)
        if not piece:
            raise Malformed("Encapsulated pixels have no end")
        fragments.feed(piece)
    return fragments


def stretches(start: int, stop: int, step: int) -> Iterator[Range]:
    """The stretches of [start, stop), cut where multiples of a step are: no unit of a store is read for two of them.

    Args:
        start: First.
        stop: One after the last.
        step: Length of a unit of the store, or a multiple of it.
    """
    while start < stop:
        end = min((start // step + 1) * step, stop)
        yield start, end
        start = end


def swapped(raw: bytes, unit_bytes: int) -> bytes:
    """The same units with their bytes the other way round; bytes that fill no unit stay."""
    whole = len(raw) - len(raw) % unit_bytes
    result = bytearray(raw)
    for at in range(unit_bytes):
        result[at:whole:unit_bytes] = raw[unit_bytes - 1 - at : whole : unit_bytes]
    return bytes(result)


def _swap_bytes(header: Header) -> int:
    if syntaxes.is_little(header.syntax):
        return 1
    if header.bulk_tag == tags.FLOAT_PIXELS:
        return 4
    if header.bulk_tag == tags.DOUBLE_PIXELS:
        return 8
    if header.bulk_vr == "OB":
        return 1
    return max(2, header.bits_allocated // 8)


def _firsts(fragments: Fragments, count: int, read: Read | None) -> Sequence[int]:
    """The first fragment of each frame: obvious, or from the offset table, or from the streams themselves."""
    starts = fragments.starts
    if count == 1:
        return [0]
    if len(starts) == count:
        return range(count)
    if len(starts) < count:
        raise Malformed("There are fewer fragments than frames")
    if len(fragments.basic_offsets) == count:
        origin = starts[0] - 8
        at = {start - 8 - origin: index for index, start in enumerate(starts)}
        firsts = [at.get(offset, -1) for offset in fragments.basic_offsets]
        if firsts[0] == 0 and all(earlier < later for earlier, later in pairwise(firsts)):
            return firsts
    if read is not None:
        firsts = [index for index, start in enumerate(starts) if read(start, start + 2) in _SOI]
        if len(firsts) == count and firsts[0] == 0:
            return firsts
    raise Malformed("The frames of encapsulated pixels cannot be told apart")
