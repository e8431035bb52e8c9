"""JPEG of any process (baseline, extended with 12 bits, lossless with up to 16) to arrays of samples.

What a stream says of itself is read before it is decoded: its size, so that no stranger's number sizes an allocation
unchecked, and its colours. A stream that says so itself (JFIF, Adobe) is believed where the data set contradicts it.

Per: ISO/IEC 10918-1 Annex B (markers), T.871 (JFIF), DICOM PS3.5 8.2.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from troth.dicom.errors import CannotRender

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3})  # start of frame: baseline, extended, progressive, lossless
_OTHER_FRAMES = frozenset({0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_MOST_MARKERS = 1000


@dataclass(frozen=True, slots=True)
class Stream:
    """What a JPEG stream says of itself.

    Attributes:
        bits: Of a sample.
        transform: 1 where it says that its colours are YCbCr, 0 where it says that they are none, None where it says
            nothing.
    """

    bits: int
    rows: int
    columns: int
    samples: int
    transform: int | None


def described(frame: bytes) -> Stream:
    """Read the markers of a stream up to its frame header.

    Raises:
        CannotRender: It is no JPEG, or of a process that nobody writes.
    """
    at, transform, is_jfif = 2, None, False
    if frame[:2] != b"\xff\xd8":
        raise CannotRender("The frame is no JPEG stream")
    try:
        for _ in range(_MOST_MARKERS):
            while frame[at] == 0xFF and frame[at + 1] == 0xFF:
                at += 1
            if frame[at] != 0xFF or frame[at + 1] in _OTHER_FRAMES:
                break
            marker, at = frame[at + 1], at + 2
            if marker in _ALONE:
                continue
            (length,) = struct.unpack_from(">H", frame, at)
            if marker in _FRAMES:
                bits, rows, columns, samples = struct.unpack_from(">BHHB", frame, at + 2)
                if transform is None and is_jfif:
                    transform = 1
                return Stream(bits, rows, columns, samples, transform)
            if marker == 0xE0 and frame[at + 2 : at + 7] == b"JFIF\0":
                is_jfif = True
            if marker == 0xEE and frame[at + 2 : at + 7] == b"Adobe" and length >= 14:
                transform = frame[at + 13]
            at += length
    except (IndexError, struct.error):
        pass
    raise CannotRender("The frame is no JPEG stream that is read here")


def decoded(frame: bytes, stream: Stream, photometric: str) -> NDArray[Any]:
    """The samples of a stream, in colour as RGB.

    Args:
        frame: The stream.
        stream: As `described` read it; its size was checked.
        photometric: Photometric Interpretation of the data set, for a stream that does not say what its colours are.

    Returns:
        Rows x columns, or rows x columns x 3; of 8 or 16 bits, unsigned.

    Raises:
        ValueError, RuntimeError: It is broken.
    """
    from imagecodecs import JPEG8, jpeg8_decode

    kind = np.uint8 if stream.bits <= 8 else np.uint16
    if stream.samples == 1:
        return np.asarray(jpeg8_decode(frame), kind)
    says = stream.transform if stream.transform is not None else int(photometric.startswith("YBR"))
    written = JPEG8.CS.YCbCr if says else JPEG8.CS.RGB
    return np.asarray(jpeg8_decode(frame, colorspace=written, outcolorspace=JPEG8.CS.RGB), kind)
