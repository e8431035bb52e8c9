"""Which instances a program made: what they say is advice, and no result until a person stands for it.

What was stored is given back as it came; what is told of it (searches, metadata, pages) says that it is advice.

Per: DICOM PS3.3 A.35.5, A.35.6, A.35.11 (CAD SR), A.82 (Content Assessment Results), C.8.6.1 (Conversion Type),
C.8.20.2 (Segment Algorithm Type), C.17.2 (Author Observer, Verifying Observer), C.12.1.1.9 (Operators' Name).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from troth.dicom import Header

CREATOR, ADVICE = 0x00990010, 0x00991001
"""Where what is told of an instance says so: the creator of a private block, and what it is advice about (LO)."""

MADE_BY: Final = "TROTH"
MARK: Final = "Advice, no result"
SERIES_NAME: Final = "0008103E"
"""Series Description, in DICOM JSON."""

#: SOP class to what it is called: made by programs, by their very class.
BY_PROGRAMS: Final = {
    "1.2.840.10008.5.1.4.1.1.88.50": "mammography CAD",
    "1.2.840.10008.5.1.4.1.1.88.65": "chest CAD",
    "1.2.840.10008.5.1.4.1.1.88.69": "colon CAD",
    "1.2.840.10008.5.1.4.1.1.90.1": "content assessment",
}
_SR = "1.2.840.10008.5.1.4.1.1.88."
REPORTS: Final = frozenset(_SR + number for number in ("11", "22", "33", "34", "35"))
SEGMENTATIONS: Final = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
CAPTURES: Final = frozenset({"1.2.840.10008.5.1.4.1.1.7", *(f"1.2.840.10008.5.1.4.1.1.7.{n}" for n in range(1, 5))})
#: SOP classes of which it depends on who made the instance, and what that is called.
BY_EITHER: Final = {
    **dict.fromkeys(REPORTS, "structured report"),
    **dict.fromkeys(SEGMENTATIONS, "segmentation"),
    **dict.fromkeys(CAPTURES, "capture"),
}

_CONVERSION, _OPERATOR, _CONTENT_CREATOR, _VERIFIED = 0x00080064, 0x00081070, 0x00700084, 0x0040A493
_SEGMENTS, _ALGORITHM = 0x00620002, 0x00620008
_AUTHORS, _OBSERVER, _VERIFIERS = 0x0040A078, 0x0040A084, 0x0040A073
_FROM_PAPER_OR_CABLE: Final = frozenset({"DV", "DI", "DF", "SD", "SI", "DRW"})
"""Conversion Types of what somebody scanned, drew or recorded; a workstation (WSD) and a program (SYN) are not."""


def advice_of(header: Header) -> str:
    """What an instance is called whose content a program made and no person stands for; empty for any other.

    Args:
        header: Of the instance.
    """
    kind = header.sop_class
    if kind in BY_PROGRAMS:
        return BY_PROGRAMS[kind]
    has_person = (
        (kind in REPORTS and _is_reported(header))
        or (kind in SEGMENTATIONS and not _is_automatic(header.nested.get(_SEGMENTS, ())))
        or (kind in CAPTURES and _is_captured(header.values))
    )
    return "" if has_person else BY_EITHER.get(kind, "")


def told_of(header: Header) -> dict[int, str]:
    """What is told of an instance that is advice, beside its own attributes; nothing for any other.

    Args:
        header: Of the instance.
    """
    advice = advice_of(header)
    return {CREATOR: MADE_BY, ADVICE: advice} if advice else {}


def advising(sop_classes: Iterable[str]) -> tuple[str, ...]:
    """The SOP classes of a study of which instances can be advice.

    Args:
        sop_classes: Of its instances.
    """
    return tuple(each for each in sop_classes if each in BY_PROGRAMS or each in BY_EITHER)


def advice_in(found: Iterable[Mapping[int, str]]) -> tuple[str, ...]:
    """What of some instances is advice, each kind once, in order of their names.

    Args:
        found: What was found of each instance.
    """
    return tuple(sorted({values[ADVICE] for values in found if values.get(ADVICE)}))


def marked(told: dict[str, Any], advice: str) -> dict[str, Any]:
    """DICOM JSON of an instance that is advice, so that each viewer shows it as that: by the name of its series.

    Args:
        told: Its own attributes.
        advice: What it is called.
    """
    described = {SERIES_NAME: series_name(told.get(SERIES_NAME, {}), advice)}
    return dict(sorted({**told, **described, **block_of(told, advice)}.items()))


def series_name(told: Mapping[str, Any], advice: str) -> dict[str, Any]:
    """What the series of an instance that is advice is told to be called, in DICOM JSON.

    Args:
        told: Its Series Description, in DICOM JSON; nothing where it has none.
        advice: What it is called.
    """
    own = next(iter(told.get("Value", ())), "")
    return _text(f"{MARK}: {own or advice}"[:64])


def block_of(told: Mapping[str, Any], advice: str) -> dict[str, Any]:
    """The private block that says that an instance is advice, in DICOM JSON; of a number that it has none of yet.

    Args:
        told: Tags that are there already.
        advice: What it is called.
    """
    free = next((f"{block:02X}" for block in range(0x10, 0x100) if f"009900{block:02X}" not in told), "")
    if not free:
        return {}
    return {f"009900{free}": _text(MADE_BY), f"0099{free}01": _text(f"{advice}; no result, a person reports")}


def _text(text: str) -> dict[str, Any]:
    return {"vr": "LO", "Value": [text]}


def _is_reported(header: Header) -> bool:
    """A person verified it, or wrote it."""
    is_verified = header.values.get(_VERIFIED, "").strip() == "VERIFIED" and bool(header.nested.get(_VERIFIERS))
    return is_verified or any(item.get(_OBSERVER, "").strip() == "PSN" for item in header.nested.get(_AUTHORS, ()))


def _is_automatic(segments: Sequence[Mapping[int, str]]) -> bool:
    """A program drew one of the segments alone, or nobody says who did."""
    return not segments or any(item.get(_ALGORITHM, "").strip() not in ("MANUAL", "SEMIAUTOMATIC") for item in segments)


def _is_captured(values: Mapping[int, str]) -> bool:
    """Somebody took it from paper, film or a cable, or it names who made it."""
    named = values.get(_OPERATOR, "").strip() or values.get(_CONTENT_CREATOR, "").strip()
    return bool(named) or values.get(_CONVERSION, "").strip() in _FROM_PAPER_OR_CABLE
