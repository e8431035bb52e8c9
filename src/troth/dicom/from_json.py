"""A data set in DICOM JSON written in explicit VR little endian. What comes out is scanned like any other.

Per: DICOM PS3.18 Annex F.2, PS3.5 6.2 and 7.1.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

from troth.dicom import encode, tags
from troth.dicom.errors import Malformed, TooDeep
from troth.dicom.values import BINARY_UNITS

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_DEPTH = 16
_SHORT_BYTES = 0xFFFE
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_TEXTS = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)  # fmt: skip
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_UTF8 = "ISO_IR 192"

Bulk = Callable[[str], bytes | list[bytes]]


def from_json(dataset: Mapping[str, Any], bulk: Bulk) -> bytes:
    """Write a data set.

    Args:
        dataset: Tag to element. File meta and group lengths are passed over: they are made anew.
        bulk: Gives the value that a BulkDataURI points to; fragments (one for each frame) where it is compressed.

    Returns:
        Its bytes; text is in UTF-8 and the data set says so.

    Raises:
        Malformed: It is not the DICOM JSON model, or a value cannot be written in its representation.
        TooDeep: Sequences within sequences beyond the limit.
    """
    try:
        return _dataset({**dataset, "00080005": {"vr": "CS", "Value": [_UTF8]}}, bulk, 0)
    except (struct.error, TypeError, ValueError, AttributeError, OverflowError, binascii.Error):
        raise Malformed("The metadata is not DICOM JSON") from None


def bulk_uris(dataset: Mapping[str, Any]) -> set[str]:
    """All BulkDataURIs of a data set, those in sequences too.

    Raises:
        Malformed: It is not the DICOM JSON model.
        TooDeep: Sequences within sequences beyond the limit.
    """
    found: set[str] = set()
    waiting = [(dataset, 0)]
    while waiting:
        scope, depth = waiting.pop()
        if depth > _DEPTH:
            raise TooDeep
        if not isinstance(scope, Mapping):
            raise Malformed("The metadata is not DICOM JSON")
        for one in scope.values():
            if not isinstance(one, Mapping):
                raise Malformed("The metadata is not DICOM JSON")
            if isinstance(uri := one.get("BulkDataURI"), str):
                found.add(uri)
            elif one.get("vr") == "SQ" and isinstance(items := one.get("Value", []), list):
                waiting += [(item, depth + 1) for item in items if item is not None]
    return found


def _dataset(dataset: Mapping[str, Any], bulk: Bulk, depth: int) -> bytes:
    if depth > _DEPTH:
        raise TooDeep
    written = []
    for key in sorted(dataset, key=str.upper):
        if not _TAG.fullmatch(key):
            raise Malformed("The metadata is not DICOM JSON")
        tag = int(key, 16)
        if tag >> 16 > 2 and tag & 0xFFFF:
            written.append(_element(tag, dataset[key], bulk, depth))
    return b"".join(written)


def _element(tag: int, told: Mapping[str, Any], bulk: Bulk, depth: int) -> bytes:
    vr, values, uri = told.get("vr"), told.get("Value") or [], told.get("BulkDataURI")
    if not isinstance(vr, str) or not isinstance(values, list):
        raise Malformed("The metadata is not DICOM JSON")
    if vr == "SQ":
        return encode.sequence(tag, [_dataset(item or {}, bulk, depth + 1) for item in values])
    if isinstance(uri, str):
        content = bulk(uri)
        if isinstance(content, list):
            return _encapsulated(tag, content)
    elif "InlineBinary" in told:
        content = base64.b64decode(told["InlineBinary"], validate=True)
    else:
        content = _value(vr, values)
    code = vr.encode("ascii")
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
        return str(value)
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
