"""The indexed attributes: their level, keyword and value representation, and how they become DICOM JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from troth.archive import advice, sequences
from troth.archive.model import Level
from troth.dicom import dictionary
from troth.kit import numbers

STUDY_DATE = 0x00080020
STUDY_TIME = 0x00080030
ACCESSION = 0x00080050
AVAILABILITY = 0x00080056
MODALITY = 0x00080060
MODALITIES = 0x00080061
SOP_CLASSES = 0x00080062
REFERRER = 0x00080090
DESCRIPTION = 0x00081030
RETRIEVE_URL = 0x00081190
PATIENT_NAME = 0x00100010
PATIENT_ID = 0x00100020
ISSUER = 0x00100021
BIRTH_DATE = 0x00100030
SEX = 0x00100040
STUDY_UID = 0x0020000D
SERIES_UID = 0x0020000E
STUDY_ID = 0x00200010
SERIES_NUMBER = 0x00200011
INSTANCE_NUMBER = 0x00200013
STUDY_SERIES_COUNT = 0x00201206
STUDY_INSTANCE_COUNT = 0x00201208
SERIES_INSTANCE_COUNT = 0x00201209
SOP_CLASS = 0x00080016
INSTANCE_UID = 0x00080018
FRAMES = 0x00280008
ROWS = 0x00280010
COLUMNS = 0x00280011
BITS_ALLOCATED = 0x00280100

#: Attributes of a study that are kept, sealed, for answers and matching (PS3.18 tables 10.6.1-5, 10.6.3-3).
STUDY_TAGS = frozenset(
    {
        STUDY_DATE,
        STUDY_TIME,
        ACCESSION,
        0x00080201,  # TimezoneOffsetFromUTC
        REFERRER,
        DESCRIPTION,
        PATIENT_NAME,
        PATIENT_ID,
        ISSUER,
        BIRTH_DATE,
        SEX,
        0x00101010,  # PatientAge
        STUDY_ID,
        0x00080080,  # InstitutionName
        sequences.OTHER_IDS,
    }
)
SERIES_TAGS = frozenset(
    {
        0x00080021,  # SeriesDate
        0x00080031,  # SeriesTime
        MODALITY,
        0x0008103E,  # SeriesDescription
        0x00080070,  # Manufacturer
        0x00081010,  # StationName
        0x00180015,  # BodyPartExamined
        0x00181030,  # ProtocolName
        SERIES_NUMBER,
        0x00200060,  # Laterality
        0x00400244,  # PerformedProcedureStepStartDate
        0x00400245,  # PerformedProcedureStepStartTime
        0x00400254,  # PerformedProcedureStepDescription
        sequences.REQUEST,
    }
)
INSTANCE_TAGS = frozenset(
    {
        0x00080008,  # ImageType
        0x00080022,  # AcquisitionDate
        0x00080023,  # ContentDate
        0x00080032,  # AcquisitionTime
        0x00080033,  # ContentTime
        INSTANCE_NUMBER,
        FRAMES,
        ROWS,
        COLUMNS,
        BITS_ALLOCATED,
        0x00280301,  # BurnedInAnnotation
        0x00280004,  # PhotometricInterpretation
    }
)
#: Kept of an instance and returned where `includefield` asks for them; no search keys, and in no usual answer.
RETURNED_TAGS = frozenset(
    {
        0x00180050,  # SliceThickness
        0x00180060,  # KVP
        0x00185100,  # PatientPosition
        0x00200012,  # AcquisitionNumber
        0x00200032,  # ImagePositionPatient
        0x00201041,  # SliceLocation
        0x00280030,  # PixelSpacing
        0x00281050,  # WindowCenter
        0x00281051,  # WindowWidth
    }
)
#: Known from clear columns of each level.
_CLEAR: Mapping[Level, frozenset[int]] = {
    "study": frozenset({STUDY_UID, MODALITIES, SOP_CLASSES, STUDY_SERIES_COUNT, STUDY_INSTANCE_COUNT}),
    "series": frozenset({SERIES_UID, SERIES_INSTANCE_COUNT}),
    "instance": frozenset({SOP_CLASS, INSTANCE_UID}),
}
_SEALED: Mapping[Level, frozenset[int]] = {"study": STUDY_TAGS, "series": SERIES_TAGS, "instance": INSTANCE_TAGS}
LEVELS: tuple[Level, ...] = ("study", "series", "instance")

_WHOLE = frozenset({"IS", "US", "UL", "SS", "SL", "UV", "SV"})
_LARGEST = (1 << 64) - 1
_DECIMAL = frozenset({"DS", "FL", "FD"})
#: One value is one JSON string.
_PLAIN = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})
_quoted = json.encoder.encode_basestring
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@cache
def level_of(tag: int) -> Level | None:
    """The level whose index knows an attribute, or None when no index does.

    Args:
        tag: Its tag, or the `sequences.path` to it.
    """
    if sequences.is_kept(tag):
        tag = sequences.parts(tag)[0]
    return next((level for level in LEVELS if tag in _CLEAR[level] or tag in _SEALED[level]), None)


def is_returned(tag: int, level: Level) -> bool:
    """Whether an attribute can be asked for in an answer.

    Args:
        tag: Its tag, or the `sequences.path` to it.
        level: Of the answer.
    """
    return level_of(tag) is not None or (level == "instance" and tag in RETURNED_TAGS)


def tag_of(name: str) -> int | None:
    """The tag that a query parameter names: by hexadecimal digits, by keyword, or by a path with a dot.

    Args:
        name: Such as `00100010`, `PatientName`, `RequestAttributesSequence.ScheduledProcedureStepID`.

    Returns:
        None for a name that is no attribute of the standard; `SearchKeyUnknown` is the caller's to raise.

    Per: DICOM PS3.18 8.3.4.1.
    """
    outer, dot, inner = name.partition(".")
    if dot:
        sequence, tag = _plain_tag_of(outer), _plain_tag_of(inner)
        return None if sequence is None or tag is None else sequences.path(sequence, tag)
    return _plain_tag_of(name)


def _plain_tag_of(name: str) -> int | None:
    if len(name) == 8:
        try:
            return int(name, 16) if name.isascii() and name.isalnum() else None
        except ValueError:
            pass
    return dictionary.tags().get(name)


def top_of(tag: int) -> int:
    """The attribute of the top level that holds what a path leads to; a tag of the top level is itself."""
    return sequences.parts(tag)[0] or tag


@cache
def vr_of(tag: int) -> str:
    """Value representation of an indexed attribute; the first one where the dictionary allows several."""
    if tag in (advice.CREATOR, advice.ADVICE):
        return "LO"
    term = dictionary.term(sequences.parts(tag)[1])
    return term.vr.split(" ")[0] if term is not None else "UN"


def keyword_of(tag: int) -> str:
    """Keyword of an attribute, or its eight hexadecimal digits; of a path both, with a dot."""
    sequence, tag = sequences.parts(tag)
    if sequence:
        return f"{keyword_of(sequence)}.{keyword_of(tag)}"
    term = dictionary.term(tag)
    return term.keyword if term is not None and term.keyword else f"{tag:08X}"


def picked(values: Mapping[int, str], tags: Iterable[int]) -> dict[int, str]:
    """The values of some tags that are there and not empty."""
    return {tag: values[tag] for tag in tags if values.get(tag)}


def to_json(values: Mapping[int, str]) -> dict[str, Any]:
    """DICOM JSON of indexed attributes, in order of their tags.

    Per: DICOM PS3.18 F.2.
    """
    return {f"{tag:08X}": element(vr_of(tag), values[tag]) for tag in sorted(values)}


def to_json_text(values: Mapping[int, str]) -> str:
    """The same written out, for lists: what it would take to make and write the objects is most of a search's time."""
    written = []
    for tag in sorted(values):
        text, (front, vr) = values[tag], _front(tag)
        if not text:
            written.append(front + "}")
        elif vr == "SQ":
            written.append(f'{front},"Value":{_encoded(element(vr, text)["Value"])}}}')
        else:
            told = ",".join([_single_text(vr, single.strip(" ")) for single in text.split("\\")])
            written.append(f'{front},"Value":[{told}]}}')
    return "{" + ",".join(written) + "}"


@cache
def _front(tag: int) -> tuple[str, str]:
    vr = vr_of(tag)
    return f'"{tag:08X}":{{"vr":"{vr}"', vr


def element(vr: str, text: str) -> dict[str, Any]:
    """One attribute of DICOM JSON; a number that is none is given as text, as it was stored.

    Args:
        vr: Value representation.
        text: Value as text, several joined by a backslash.
    """
    if not text:
        return {"vr": vr}
    if vr == "SQ":
        return {"vr": vr, "Value": [to_json(item) for item in sequences.items_of(text)]}
    return {"vr": vr, "Value": [_single(vr, single.strip(" ")) for single in text.split("\\")]}


def _single_text(vr: str, single: str) -> str:
    if vr in _PLAIN and single:
        return _quoted(single)
    if vr == "PN" and single and "=" not in single:
        return f'{{"Alphabetic":{_quoted(single)}}}'
    return _encoded(_single(vr, single))


def _single(vr: str, single: str) -> Any:
    if not single:
        return None
    if vr == "PN":
        names = zip(("Alphabetic", "Ideographic", "Phonetic"), single.split("="), strict=False)
        return {group: name for group, name in names if name}
    number: float | None = None
    if vr in _WHOLE:
        number = numbers.whole(single, least=-_LARGEST, most=_LARGEST)
    elif vr in _DECIMAL:
        number = numbers.decimal(single)
    return single if number is None else number
