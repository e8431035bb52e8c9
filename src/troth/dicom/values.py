"""Values of elements as DICOM JSON writes them (PS3.18 F.2.3 to F.2.6)."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

from troth.dicom.text import Charset
from troth.kit import numbers

#: Value representation to (struct code, bytes) of binary numbers.
_NUMBERS = {
    "US": ("H", 2), "SS": ("h", 2), "UL": ("L", 4), "SL": ("l", 4), "FL": ("f", 4), "FD": ("d", 8),
    "UV": ("Q", 8), "SV": ("q", 8),
}  # fmt: skip

#: Value representations written as base64 or by URI, with the width of their units, which byte order turns round.
BINARY_UNITS = {"OB": 1, "UN": 1, "OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}

_IN_CHARSET = frozenset({"LO", "SH", "UC", "LT", "ST", "UT"})
_SINGLE = frozenset({"LT", "ST", "UT", "UR"})
_PAD = " \0"
_LARGEST = (1 << 64) - 1


def unit_bytes(vr: str) -> int:
    """Width of the units of a value whose bytes depend on the byte order; 1 for text and bytes."""
    return _NUMBERS[vr][1] if vr in _NUMBERS else BINARY_UNITS.get(vr, 2 if vr == "AT" else 1)


def json_values(vr: str, raw: bytes, charset: Charset, *, is_little: bool) -> list[Any]:
    """The ``Value`` array of an element that is neither binary nor a sequence; empty where it has no value.

    Args:
        vr: Its value representation.
        raw: Its value as it stands in the data set.
        charset: Repertoire of the data set it stands in.
        is_little: Byte order of numbers.
    """
    if not raw:
        return []
    if vr in _NUMBERS:
        return _binary_numbers(vr, raw, is_little)
    if vr == "AT":
        pairs = struct.unpack(f"{'<' if is_little else '>'}{len(raw) // 4 * 2}H", raw[: len(raw) // 4 * 4])
        return [f"{pairs[at]:04X}{pairs[at + 1]:04X}" for at in range(0, len(pairs), 2)]
    if vr == "PN":
        return _names(charset.decode(raw, is_name=True).rstrip(_PAD))
    text = charset.decode(raw) if vr in _IN_CHARSET else raw.decode("iso8859-1")
    if vr in _SINGLE:
        text = text.rstrip(_PAD)
        return [text] if text else []
    if not text.strip(_PAD):
        return []
    convert = _CONVERT.get(vr, _plain)
    return [convert(part) for part in text.rstrip(_PAD).split("\\")]


def _binary_numbers(vr: str, raw: bytes, is_little: bool) -> list[Any]:
    code, width = _NUMBERS[vr]
    count = len(raw) // width
    numbers = struct.unpack(f"{'<' if is_little else '>'}{count}{code}", raw[: count * width])
    if vr in ("FL", "FD"):
        return [_finite(number) for number in numbers]
    return list(numbers)


def _finite(number: float) -> float | str:
    """JSON has no NaN and no infinity; they are written as strings."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _plain(text: str) -> str | None:
    return text.rstrip(_PAD) or None


def _stripped(text: str) -> str | None:
    return text.strip(_PAD) or None


def _decimal(text: str) -> float | str | None:
    """A DS: a number, or as it stands where it is none."""
    text = text.strip(_PAD)
    if not text:
        return None
    number = numbers.decimal(text)
    return text if number is None else number


def _integer(text: str) -> int | str | None:
    """An IS: a number, or as it stands where it is none."""
    text = text.strip(_PAD)
    if not text:
        return None
    figures = numbers.whole(text, least=-_LARGEST, most=_LARGEST)
    if figures is not None:
        return figures
    number = _decimal(text)
    return int(number) if isinstance(number, float) and number.is_integer() and abs(number) < 2**53 else text


_CONVERT: dict[str, Callable[[str], Any]] = {"DS": _decimal, "IS": _integer, "AE": _stripped}


def _names(text: str) -> list[Any]:
    """Person names by their component groups (PS3.5 6.2.1.1)."""
    if not text:
        return []
    names: list[Any] = []
    for name in text.split("\\"):
        groups = zip(("Alphabetic", "Ideographic", "Phonetic"), name.split("="), strict=False)
        found = {group: part.rstrip(_PAD) for group, part in groups if part.rstrip(_PAD)}
        names.append(found or None)
    return names
