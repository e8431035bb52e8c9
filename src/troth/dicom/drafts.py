"""A data set in DICOM JSON written in explicit VR little endian, also before its bulk values are there.

What comes out is scanned like any other.

Per: DICOM PS3.18 Annex F.2, PS3.5 6.2 and 7.1.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from troth.dicom import encode, tags
from troth.dicom.errors import Malformed, TooDeep
from troth.dicom.header import is_uid
from troth.dicom.values import BINARY_UNITS

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_DEPTH = 16
_SHORT_BYTES = 0xFFFE
_LONGEST = {"IS": 12, "DS": 16}  # characters of one value (PS3.5 6.2); longer ones are no numbers of theirs
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_TEXTS = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)  # fmt: skip
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_UTF8 = "ISO_IR 192"

Bulk = Callable[[str], bytes | list[bytes]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bulk value goes that has yet to come."""

    tag: int
    vr: str
    uri: str


Piece = bytes | Place


@dataclass(frozen=True, slots=True)
class Draft:
    """An instance that was sent as metadata: its bytes, with places for the values that come by themselves.

    Attributes:
        sop_class: Its SOP class; as the other three, empty where what stands there is no UID.
        instance_uid: SOPInstanceUID.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        pieces: Its bytes, and places between them. Text is in UTF-8 and the data set says so.
        fault: Slug of what is wrong with it; then there are only places, of values that come for it in vain.
    """

    sop_class: str = ""
    instance_uid: str = ""
    study_uid: str = ""
    series_uid: str = ""
    pieces: tuple[Piece, ...] = field(default=(), repr=False)
    fault: str = ""

    @property
    def uris(self) -> set[str]:
        """BulkDataURI of each value that has to come."""
        return {one.uri for one in self.pieces if isinstance(one, Place)}

    @property
    def held_bytes(self) -> int:
        """What it takes to wait for them."""
        return sum(len(one) if isinstance(one, bytes) else len(one.uri) + 100 for one in self.pieces) + 500

    def written(self, bulk: Bulk) -> bytes:
        """Its bytes with the values in their places.

        Args:
            bulk: Gives the value of a BulkDataURI; fragments (one for each frame) where it is compressed.

        Raises:
            Malformed: A value cannot be written in its representation.
        """
        return b"".join(one if isinstance(one, bytes) else _placed(one, bulk(one.uri)) for one in self.pieces)


def draft(dataset: Mapping[str, Any]) -> Draft:
    """Write a data set in DICOM JSON as far as it is there.

    Args:
        dataset: Tag to element. File meta and group lengths are passed over: they are made anew.

    Raises:
        Malformed: It is not the DICOM JSON model, or a value cannot be written in its representation.
        TooDeep: Sequences within sequences beyond the limit.
    """
    try:
        pieces = _dataset({**dataset, "00080005": {"vr": "CS", "Value": [_UTF8]}}, 0)
    except (struct.error, TypeError, ValueError, AttributeError, OverflowError, binascii.Error):
        raise Malformed("The metadata is not DICOM JSON") from None
    return Draft(*names_of(dataset), tuple(pieces))


def places_of(dataset: Mapping[str, Any]) -> tuple[Place, ...]:
    """The bulk values that a data set points to, where it cannot be written: they are not asked of anybody."""
    found: list[Place] = []
    waiting: list[Any] = [dataset]
    while waiting:
        scope = waiting.pop()
        for one in scope.values() if isinstance(scope, Mapping) else ():
            told = one if isinstance(one, Mapping) else {}
            if isinstance(uri := told.get("BulkDataURI"), str):
                found.append(Place(0, "UN", uri))
            elif isinstance(items := told.get("Value"), list):
                waiting += items
    return tuple(found)


def names_of(dataset: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """SOP class, instance, study and series of a data set; empty where there is none that could be one."""
    return (_uid(dataset, "00080016"), _uid(dataset, "00080018"), _uid(dataset, "0020000D"), _uid(dataset, "0020000E"))


def _uid(dataset: Mapping[str, Any], key: str) -> str:
    told = dataset.get(key)
    values = told.get("Value") if isinstance(told, Mapping) else None
    text = values[0] if isinstance(values, list) and values else ""
    return text if isinstance(text, str) and is_uid(text) else ""


def _dataset(dataset: Mapping[str, Any], depth: int) -> list[Piece]:
    if depth > _DEPTH:
        raise TooDeep
    written: list[Piece] = []
    for key in sorted(dataset, key=str.upper):
        if not _TAG.fullmatch(key):
            raise Malformed("The metadata is not DICOM JSON")
        tag = int(key, 16)
        if tag >> 16 > 2 and tag & 0xFFFF:
            written += _element(tag, dataset[key], depth)
    return _joined(written)


def _joined(pieces: list[Piece]) -> list[Piece]:
    """The same with what follows one another in one."""
    joined: list[Piece] = []
    run: list[bytes] = []
    for one in pieces:
        if isinstance(one, bytes):
            run.append(one)
        else:
            joined += [b"".join(run), one]
            run = []
    return [*joined, b"".join(run)]


def _element(tag: int, told: Mapping[str, Any], depth: int) -> list[Piece]:
    vr, values, uri = told.get("vr"), told.get("Value") or [], told.get("BulkDataURI")
    if not isinstance(vr, str) or not isinstance(values, list):
        raise Malformed("The metadata is not DICOM JSON")
    if vr == "SQ":
        return _sequence(tag, [_dataset(item or {}, depth + 1) for item in values])
    if isinstance(uri, str):
        return [Place(tag, vr, uri)]
    binary = told.get("InlineBinary")
    content = _value(vr, values) if binary is None else base64.b64decode(binary, validate=True)
    return [_whole(tag, vr, content)]


def _sequence(tag: int, items: list[list[Piece]]) -> list[Piece]:
    """A sequence: of defined length where it is all there, else of undefined (PS3.5 7.5.1)."""
    if not any(isinstance(piece, Place) for item in items for piece in item):
        return [encode.sequence(tag, [b"".join(item) for item in items])]  # type: ignore[arg-type]
    front = struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, b"SQ", 0, tags.UNDEFINED)
    opening, closing = (struct.pack("<HHL", 0xFFFE, number, size) for number, size in _BRACKETS)
    inner = [piece for item in items for piece in (opening, *item, closing)]
    return [front, *inner, struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)]


_BRACKETS = ((0xE000, tags.UNDEFINED), (0xE00D, 0))


def _placed(place: Place, content: bytes | list[bytes]) -> bytes:
    if isinstance(content, list):
        return _encapsulated(place.tag, content)
    return _whole(place.tag, place.vr, content)


def _whole(tag: int, vr: str, content: bytes) -> bytes:
    code = vr.encode("ascii", "replace")
    if code not in tags.LONG and (code not in tags.SHORT or len(content) > _SHORT_BYTES):
        raise Malformed("A value does not fit its representation")
    return encode.element(tag, vr, content)


def _value(vr: str, values: list[Any]) -> bytes:
    if vr in _NUMBERS:
        return struct.pack(f"<{len(values)}{_NUMBERS[vr]}", *values)
    if vr == "AT":
        pairs = [int(value, 16) for value in values]
        return b"".join(struct.pack("<HH", pair >> 16, pair & 0xFFFF) for pair in pairs)
    if vr == "PN":
        return "\\".join(_name(value) for value in values).encode("utf-8")
    if vr in _TEXTS:
        return "\\".join(_text(vr, value) for value in values).encode("utf-8")
    if vr in BINARY_UNITS and not values:
        return b""
    raise Malformed("A value does not fit its representation")


def _name(value: Mapping[str, str] | None) -> str:
    return "=".join((value or {}).get(group, "") for group in _GROUPS).rstrip("=")


def _text(vr: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Malformed("A value does not fit its representation")
    if vr != "DS" or isinstance(value, str):
        text = str(value)
        if len(text) > _LONGEST.get(vr, len(text)):
            raise Malformed("A value does not fit its representation")
        return text
    # A decimal string has 16 characters (PS3.5 6.2); as many digits as fit are kept.
    text = str(value)
    return text if len(text) <= 16 else next(
        short for digits in range(16, 0, -1) if len(short := f"{value:.{digits}g}") <= 16
    )  # fmt: skip


def _encapsulated(tag: int, frames: list[bytes]) -> bytes:
    """Compressed pixels, a fragment for each frame, without offsets. Per: PS3.5 A.4."""
    if tag != tags.PIXELS:
        raise Malformed("Only pixels may be encapsulated")
    items = b"".join(encode.item(frame + b"\0" * (len(frame) & 1)) for frame in frames)
    front = struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, b"OB", 0, tags.UNDEFINED)
    return front + encode.item(b"") + items + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
