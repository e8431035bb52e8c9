"""Instances made element by element, so that each of them can be what real devices write and toolkits do not."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Self
from uuid import uuid4

from troth.dicom import encode, part10, syntaxes

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
VIDEO_MICROSCOPY = "1.2.840.10008.5.1.4.1.1.77.1.2.1"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"


def uid() -> str:
    """A new UID."""
    return f"2.25.{uuid4().int}"


def fragments(*pieces: bytes) -> bytes:
    """Encapsulated pixels with an empty offset table."""
    items = b"".join(encode.item(piece + b"\0" * (len(piece) & 1)) for piece in (b"", *pieces))
    return struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + items + _END


class Made:
    """A secondary capture of 8 x 8 grey pixels, until something else is put into it.

    Args:
        syntax: Transfer syntax; elements are written in explicit VR little endian all the same.
        sop_class: SOP class.
        has_pixels: Whether the pixels are there.
    """

    def __init__(
        self, syntax: str = syntaxes.EXPLICIT_LITTLE, *, sop_class: str = CAPTURE, has_pixels: bool = True
    ) -> None:
        self.syntax, self.sop_class = syntax, sop_class
        self.study, self.series, self.instance = uid(), uid(), uid()
        self._elements: dict[int, bytes] = {}
        for tag, vr, text in (
            (0x00080005, "CS", "ISO_IR 192"), (0x00080016, "UI", sop_class), (0x00080018, "UI", self.instance),
            (0x00080020, "DA", "20240105"), (0x00080030, "TM", "101010"), (0x00080050, "SH", "A1"),
            (0x00080060, "CS", "OT"), (0x00100010, "PN", "Made^Up"), (0x00100020, "LO", self.instance[-12:]),
            (0x00100030, "DA", "19700102"), (0x00100040, "CS", "O"), (0x0020000D, "UI", self.study),
            (0x0020000E, "UI", self.series), (0x00200011, "IS", "1"), (0x00200013, "IS", "1"),
        ):  # fmt: skip
            self.text(tag, vr, text)
        if has_pixels:
            self.text(0x00280004, "CS", "MONOCHROME2")
            for tag, number in (
                (0x00280002, 1), (0x00280010, 8), (0x00280011, 8), (0x00280100, 8), (0x00280101, 8), (0x00280102, 7),
                (0x00280103, 0),
            ):  # fmt: skip
                self.number(tag, number)
            self.put(0x7FE00010, "OB", bytes(range(64)))

    def text(self, tag: int, vr: str, value: str) -> Self:
        """An element of characters."""
        return self.raw(tag, encode.text(tag, vr, value))

    def number(self, tag: int, value: int) -> Self:
        """An element of VR US."""
        return self.raw(tag, encode.number(tag, "US", value))

    def put(self, tag: int, vr: str, value: bytes) -> Self:
        """An element of any kind."""
        return self.raw(tag, encode.element(tag, vr, value))

    def raw(self, tag: int, octets: bytes) -> Self:
        """An element as its very bytes."""
        self._elements[tag] = octets
        return self

    def drop(self, *tags: int) -> Self:
        """Without some elements."""
        for tag in tags:
            self._elements.pop(tag, None)
        return self

    @property
    def data_set(self) -> bytes:
        """Without preamble and meta group."""
        return b"".join(self._elements[tag] for tag in sorted(self._elements))

    @property
    def file(self) -> bytes:
        """A Part 10 file."""
        return part10(self.sop_class, self.instance, self.syntax) + self.data_set

    @property
    def path(self) -> str:
        """Where DICOMweb has it."""
        return f"/studies/{self.study}/series/{self.series}/instances/{self.instance}"


def video(syntax: str, *, pieces: Sequence[bytes], frames: int = 25) -> Made:
    """A video as it is stored everywhere: one fragment or a few for the whole stream, whatever the number of frames."""
    made = Made(syntax, sop_class=VIDEO_MICROSCOPY).text(0x00280008, "IS", str(frames))
    made.number(0x00280002, 3).text(0x00280004, "CS", "YBR_PARTIAL_420").number(0x00280006, 0)
    made.number(0x00280010, 480).number(0x00280011, 640).text(0x00181063, "DS", "40")
    return made.raw(0x7FE00010, fragments(*pieces))


_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def _tiles(frames: int) -> list[bytes]:
    return [
        encode.sequence(0x00209111, [_numbers(0x00209157, "UL", 1, at)])
        + encode.sequence(
            0x0048021A,
            [
                _numbers(0x0048021E, "SL", at) + _numbers(0x0048021F, "SL", 1)
                + encode.text(0x0040072A, "DS", "1") + encode.text(0x0040073A, "DS", "2")
            ],
        )
        + encode.sequence(0x00480207, [encode.text(0x00480106, "SH", "1")])
        for at in range(frames)
    ]  # fmt: skip


def _segments(frames: int) -> list[bytes]:
    code = encode.text(0x00080100, "SH", "121322") + encode.text(0x00080102, "SH", "DCM")
    return [
        encode.sequence(
            0x00089124,
            [
                encode.sequence(
                    0x00082112,
                    [
                        encode.text(0x00081155, "UI", f"2.25.{at}") + encode.sequence(0x0040A170, [code])
                    ],
                )
                + encode.sequence(0x00089215, [code])
            ],
        )
        + encode.sequence(0x00209111, [_numbers(0x00209157, "UL", 1, at)])
        + encode.sequence(0x00209113, [encode.text(0x00200032, "DS", f"0\\0\\{at}")])
        + encode.sequence(0x0062000A, [_numbers(0x0062000B, "US", 1)])
        for at in range(frames)
    ]  # fmt: skip


def framed(sop_class: str, groups: list[bytes]) -> Made:
    """An object of many small frames, each with functional groups of its own."""
    made = Made(sop_class=sop_class).text(0x00280008, "IS", str(len(groups)))
    made.raw(0x52009230, encode.sequence(0x52009230, groups))
    return made.put(0x7FE00010, "OB", bytes(range(64)) * len(groups))


def slide(frames: int = 12_000) -> Made:
    """A sparse slide: each tile says where it lies."""
    return framed(SLIDE, _tiles(frames))


def segmentation(frames: int = 12_000) -> Made:
    """An automatic segmentation: each frame says of what it is."""
    return framed(SEGMENTATION, _segments(frames))


def structures(contours: int, points: int) -> Made:
    """A structure set of one organ with some contours of some points."""
    data = "\\".join(f"{at * 0.37:.3f}" for at in range(points * 3))
    one = encode.text(0x30060042, "CS", "CLOSED_PLANAR") + encode.text(0x30060046, "IS", str(points))
    one += encode.text(0x30060050, "DS", data[:65_534])
    made = Made(sop_class=STRUCTURES, has_pixels=False)
    return made.raw(0x30060039, encode.sequence(0x30060039, [encode.sequence(0x30060040, [one] * contours)]))


def long_text(length_bytes: int = 28 << 20) -> Made:
    """One text of many megabytes."""
    return Made(has_pixels=False).put(0x0040A160, "UT", b"finding " * (length_bytes // 8))


def _numbers(tag: int, vr: str, *numbers: int) -> bytes:
    return encode.element(tag, vr, struct.pack("<" + ("H" if vr == "US" else "L") * len(numbers), *numbers))
