"""What must be known to turn a frame's stored values into light (DICOM PS3.3 C.7.6.3, C.11.1, C.11.2)."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from troth.dicom import syntaxes
from troth.dicom.errors import CannotRender

#: Frames with more pixels than this are not decoded.
PIXEL_LIMIT = 64 << 20
DRAWING_BYTES = 512 << 20
"""Nor are those whose picture takes more memory than this to be drawn, whatever the transfer syntax."""
# What OpenJPEG keeps of each sample while it decodes.
_DECODER_BYTES = dict.fromkeys(
    (
        syntaxes.JPEG_2000_LOSSLESS,
        syntaxes.JPEG_2000,
        syntaxes.HTJ2K_LOSSLESS,
        syntaxes.HTJ2K_LOSSLESS_RPCL,
        syntaxes.HTJ2K,
    ),
    4,
)
#: Palette data to the same in segments.
_SEGMENTED = {f"0028120{colour}": f"0028122{colour}" for colour in (1, 2, 3)}
_SHARED, _PER_FRAME = "52009229", "52009230"


@dataclass(frozen=True, slots=True)
class Lookup:
    """A lookup table: `first` is the stored value that the first entry stands for; entries have `bits` bits."""

    first: int
    bits: int
    entries: bytes = field(repr=False)  # 16-bit little endian

    @property
    def count(self) -> int:
        """Number of entries."""
        return len(self.entries) // 2


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame's pixel description.

    Attributes:
        syntax: Transfer syntax of the frame.
        rows: Height in pixels.
        columns: Width in pixels.
        samples: Samples per pixel.
        photometric: Photometric interpretation.
        is_planar: Colour samples are stored plane by plane.
        bits_allocated: Bits per stored sample; 32 or 64 with `is_float` for float pixels.
        bits_stored: Bits of it that mean something.
        high_bit: The highest of those.
        is_signed: Samples are two's complement.
        is_float: Samples are IEEE floats.
        slope: Rescale slope.
        intercept: Rescale intercept.
        modality: Modality lookup table instead of slope and intercept.
        window: (centre, width) of the first window given, if any.
        function: LINEAR, LINEAR_EXACT or SIGMOID.
        voi: VOI lookup table, used where there is no window.
        palette: Red, green and blue tables.
        is_inverse: Small values are bright.
    """

    syntax: str
    rows: int
    columns: int
    samples: int
    photometric: str
    is_planar: bool
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    is_float: bool
    slope: float
    intercept: float
    modality: Lookup | None
    window: tuple[float, float] | None
    function: str
    voi: Lookup | None
    palette: tuple[Lookup, Lookup, Lookup] | None
    is_inverse: bool

    @property
    def drawing_bytes(self) -> int:
        """Memory that drawing needs: the decoded frame, what its decoder keeps beside it, and the picture twice."""
        pixels = self.rows * self.columns
        decoded = pixels * self.samples * max(self.bits_allocated, 8) // 8
        if syntaxes.is_encapsulated(self.syntax):
            decoded = 2 * decoded + pixels * self.samples * _DECODER_BYTES.get(self.syntax, 0)
        is_coloured = self.samples == 3 or self.palette is not None
        return decoded + pixels * (7 if is_coloured else 2)  # Pillow keeps colours in four bytes

    @classmethod
    def of(cls, metadata: Mapping[str, Any], syntax: str, frame: int = 1) -> Picture:
        """The picture of a frame.

        Args:
            metadata: The instance's DICOM JSON with everything inline: `to_json(head, syntax)`.
            syntax: Its transfer syntax.
            frame: Counted from 1.

        Raises:
            CannotRender: There are no pixels, or too many, or the description contradicts itself.
        """
        look = _Look(metadata, frame)
        rows, columns = look.whole("00280010"), look.whole("00280011")
        bits = look.whole("00280100")
        is_float = bits in (32, 64) and not look.has("00280101")
        photometric = str(look.first("00280004") or "MONOCHROME2")
        samples = look.whole("00280002", 1)
        if rows <= 0 or columns <= 0 or samples not in (1, 3) or bits not in (1, 8, 16, 32, 64):
            raise CannotRender("There are no pixels that can be shown")
        if rows * columns > PIXEL_LIMIT:
            raise CannotRender("The frame has more pixels than are decoded here")
        bits_stored = min(max(look.whole("00280101", bits), 1), bits)
        is_signed = look.whole("00280103") == 1
        palette = None
        if photometric == "PALETTE COLOR":
            palette = look.palette()
        window = look.window()
        return cls(
            syntax=syntax,
            rows=rows,
            columns=columns,
            samples=samples,
            photometric=photometric,
            is_planar=look.whole("00280006") == 1,
            bits_allocated=bits,
            bits_stored=bits_stored,
            high_bit=min(look.whole("00280102", bits_stored - 1), bits - 1),
            is_signed=is_signed,
            is_float=is_float,
            slope=look.real("00281053", 1.0),
            intercept=look.real("00281052", 0.0),
            modality=look.table("00283000", is_signed=is_signed),
            window=window,
            function=str(look.first("00281056") or "LINEAR"),
            voi=None if window else look.table("00283010", is_signed=is_signed),
            palette=palette,
            is_inverse=photometric == "MONOCHROME1" or look.first("20500020") == "INVERSE",
        )


class _Look:
    """Looks attributes up: in the frame's functional groups, then the shared ones, then the data set."""

    def __init__(self, metadata: Mapping[str, Any], frame: int) -> None:
        self._places: list[Mapping[str, Any]] = [metadata]
        shared = metadata.get(_SHARED, {}).get("Value", [])[:1]
        own = metadata.get(_PER_FRAME, {}).get("Value", [])[frame - 1 : frame]
        for groups in (*shared, *own):
            for key in ("00289132", "00289145"):  # FrameVOILUTSequence, PixelValueTransformationSequence
                self._places[:0] = groups.get(key, {}).get("Value", [])[:1]

    def has(self, key: str) -> bool:
        return self.first(key) is not None

    def first(self, key: str) -> Any:
        for place in self._places:
            values = place.get(key, {}).get("Value")
            if values:
                return values[0]
        return None

    def whole(self, key: str, default: int = 0) -> int:
        value = self.first(key)
        return value if isinstance(value, int) else default

    def real(self, key: str, default: float) -> float:
        value = self.first(key)
        return float(value) if isinstance(value, int | float) else default

    def window(self) -> tuple[float, float] | None:
        centre, width = self.first("00281050"), self.first("00281051")
        if isinstance(centre, int | float) and isinstance(width, int | float) and width > 0:
            return float(centre), float(width)
        return None

    def table(self, key: str, *, is_signed: bool) -> Lookup | None:
        """The first table of a LUT sequence."""
        item = self.first(key)
        if not isinstance(item, dict):
            return None
        return _lookup(item, "00283002", "00283006", is_signed=is_signed)

    def palette(self) -> tuple[Lookup, Lookup, Lookup]:
        place = self._places[-1]
        red, green, blue = (
            _lookup(place, f"0028110{colour}", f"0028120{colour}", is_signed=False) for colour in (1, 2, 3)
        )
        if red is None or green is None or blue is None:
            raise CannotRender("The palette is not in a form that can be shown here")
        return red, green, blue


def _lookup(place: Mapping[str, Any], descriptor: str, content: str, *, is_signed: bool) -> Lookup | None:
    described = place.get(descriptor, {}).get("Value", [])
    if len(described) != 3 or not all(isinstance(value, int) for value in described):
        return None
    count, first, bits = described[0] & 0xFFFF or 65536, described[1], described[2]
    if is_signed and first > 0x7FFF:
        first -= 0x10000
    entry = place.get(content, {})
    segments = place.get(_SEGMENTED.get(content, ""), {})
    if not entry and "InlineBinary" in segments:
        raw = _expanded(base64.b64decode(segments["InlineBinary"]), count)
    elif "InlineBinary" in entry:
        raw = base64.b64decode(entry["InlineBinary"])
        if len(raw) < count * 2:  # 8-bit entries, two to a word (PS3.3 C.7.6.3.1.6)
            raw = b"".join(bytes((value, 0)) for value in raw[:count])
    else:
        raw = b"".join((value & 0xFFFF).to_bytes(2, "little") for value in entry.get("Value", ()))
    raw = raw[: count * 2]
    return Lookup(first, bits if 8 <= bits <= 16 else 16, raw) if len(raw) >= 2 else None


def _expanded(raw: bytes, count: int) -> bytes:
    """A table that came in segments, as entries of 16 bits; empty where it does not come to that many.

    Per: DICOM PS3.3 C.7.9.2.2.
    """
    words = array("H", raw[: len(raw) & ~1])
    if sys.byteorder == "big":
        words.byteswap()
    out = array("H")
    todo = [(0, len(words), False)]  # where to go on, how many segments more, whether they are copied
    try:
        for _ in range(2 * count):  # each segment has an entry or more, or it is no table
            if not todo or len(out) >= count:
                break
            at, left, is_copy = todo.pop()
            if not left or at >= len(words):
                continue
            code, length = words[at], words[at + 1]
            if code == 0:
                out.extend(words[at + 2 : at + 2 + length])
                todo.append((at + 2 + length, left - 1, is_copy))
            elif code == 1 and out:
                first, last = out[-1], words[at + 2]
                out.extend(first + round((last - first) * step / length) for step in range(1, length + 1))
                todo.append((at + 3, left - 1, is_copy))
            elif code == 2 and not is_copy:  # so many segments from there once more
                todo.append((at + 4, left - 1, False))
                todo.append((words[at + 2] // 2 | words[at + 3] << 15, length, True))
            else:
                return b""
    except (IndexError, ZeroDivisionError):
        return b""
    return out[:count].tobytes() if len(out) >= count else b""
