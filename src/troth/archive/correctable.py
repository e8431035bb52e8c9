"""Which attributes of a study can be corrected, and what each may say.

Only what is about the patient or the study as a whole: it is the same in every instance. UIDs are never corrected, they
are what an instance is found by; what belongs to a series or an instance is not put right for a whole study.

Per: DICOM PS3.3 C.2.2, C.2.3, C.7.1.1, C.7.2.1, PS3.5 6.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from troth.archive import attributes as tags
from troth.archive.attributes import keyword_of, vr_of
from troth.archive.errors import CorrectionRefused
from troth.archive.matching import parsed_day

AGE: Final = 0x00101010

#: In the order in which people read them.
CORRECTABLE: Final = (
    tags.PATIENT_NAME,
    tags.PATIENT_ID,
    tags.ISSUER,
    tags.BIRTH_DATE,
    tags.SEX,
    AGE,
    tags.ACCESSION,
    tags.STUDY_ID,
    tags.DESCRIPTION,
    tags.REFERRER,
    tags.STUDY_DATE,
    tags.STUDY_TIME,
)
NEVER_EMPTY: Final = frozenset({tags.PATIENT_NAME, tags.PATIENT_ID})
_SOURCE: Final = 0x04000564
_LONGEST: Final[Mapping[str, int]] = MappingProxyType({"LO": 64, "SH": 16, "PN": 64})
_SEXES: Final = frozenset({"M", "F", "O"})
_TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_AGE: Final = re.compile(r"\d{3}[DWMY]")


def checked(values: Mapping[int, str]) -> dict[int, str]:
    """The values without padding, if all can be.

    Args:
        values: By tag.

    Raises:
        CorrectionRefused: One cannot, or there are none.
    """
    if not values:
        raise CorrectionRefused("A correction says what is to be put right.")
    return {tag: _checked(tag, text.strip()) for tag, text in values.items()}


def checked_source(text: str) -> str:
    """The source of previous values (0400,0564), an LO.

    Raises:
        CorrectionRefused: It cannot be written there.
    """
    source = text.strip()
    if not source.isascii() or len(source) > _LONGEST["LO"] or "\\" in source or not (source.isprintable()):
        raise CorrectionRefused("The source has at most 64 plain characters.", tag=_SOURCE)
    return source


def _checked(tag: int, text: str) -> str:
    if tag not in CORRECTABLE:
        raise CorrectionRefused(
            "Only attributes of the patient and of the study as a whole are corrected; UIDs never are.", tag=tag
        )
    word = keyword_of(tag)
    if not text:
        if tag in NEVER_EMPTY:
            raise CorrectionRefused(f"{word} cannot be emptied.", tag=tag)
        return text
    if "\\" in text or any(not sign.isprintable() for sign in text):
        raise CorrectionRefused(f"{word} is one line of text without a backslash.", tag=tag)
    fault = _fault(tag, vr_of(tag), text)
    if fault:
        raise CorrectionRefused(f"{word} {fault}.", tag=tag)
    return text


def _fault(tag: int, vr: str, text: str) -> str:
    """What is wrong with a value, as the end of a sentence."""
    if vr == "PN":
        groups = text.split("=")
        if len(groups) > 3 or any(len(group) > _LONGEST["PN"] or group.count("^") > 4 for group in groups):
            return "has three groups of at most 64 characters and five components each"
    elif vr in _LONGEST and len(text) > _LONGEST[vr]:
        return f"has at most {_LONGEST[vr]} characters"
    elif vr == "DA" and (not re.fullmatch(r"[0-9]{8}", text) or (parsed_day(text) or date.min) == date.min):
        return "is a day, written YYYYMMDD"
    elif vr == "TM" and (not text.isascii() or not _TIME.fullmatch(text)):
        return "is a time, written HHMMSS"
    elif tag == tags.SEX and text not in _SEXES:
        return "is M, F or O, or empty"
    elif vr == "AS" and (not text.isascii() or not _AGE.fullmatch(text)):
        return "is three digits and D, W, M or Y"
    return ""
