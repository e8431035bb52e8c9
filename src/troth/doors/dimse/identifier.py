"""Identifiers of searches and retrievals: read what a peer asks for, write what it is answered.

Per: DICOM PS3.4 C.4.1.1.3 (identifiers), C.4.1.3.1 (hierarchical search), C.2.2.2 (matching).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from troth import archive, dicom
from troth.doors.dimse.errors import IdentifierWrong, KeyNotHonoured
from troth.doors.dimse.offered import EXPLICIT_LITTLE, Root
from troth.kit import numbers

AskedLevel = Literal["PATIENT", "STUDY", "SERIES", "IMAGE"]

CHARSET = 0x00080005
SOP_INSTANCE = 0x00080018
LEVEL = 0x00080052
RETRIEVE_AE = 0x00080054
FAILED_LIST = 0x00080058
PATIENT_ID = 0x00100020
ISSUER = 0x00100021
STUDY_UID = 0x0020000D
SERIES_UID = 0x0020000E

LEVELS: tuple[AskedLevel, ...] = ("PATIENT", "STUDY", "SERIES", "IMAGE")
UNIQUE_KEYS: Mapping[AskedLevel, int] = {
    "PATIENT": PATIENT_ID,
    "STUDY": STUDY_UID,
    "SERIES": SERIES_UID,
    "IMAGE": SOP_INSTANCE,
}
_LEVELS_OF: Mapping[Root, tuple[AskedLevel, ...]] = {"patient": LEVELS, "study": LEVELS[1:]}
_HOW_TO_READ = frozenset({CHARSET, LEVEL, 0x00080201})  # of the identifier itself; the last is its time zone
AVAILABILITY = 0x00080056
PATIENT_TAGS = frozenset({0x00100010, PATIENT_ID, ISSUER, 0x00100030, 0x00100040})
_ARCHIVE_LEVELS: Mapping[AskedLevel, tuple[str, ...]] = {
    "PATIENT": (),
    "STUDY": ("study",),
    "SERIES": ("study", "series"),
    "IMAGE": ("study", "series", "instance"),
}
_UTF_8 = "ISO_IR 192"
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_NUL_PADDED = frozenset({"UI", "OB", "UN"})


@dataclass(frozen=True, slots=True)
class Identifier:
    """What a peer asks for. Personal: never logged.

    Attributes:
        keys: Attributes at the top level with their value as text; empty for universal matching.
        sequences: Tags of the sequences that are asked for without a matching key inside.
    """

    level: AskedLevel
    root: Root
    keys: Mapping[int, str]
    sequences: frozenset[int]

    @property
    def levels_above(self) -> tuple[AskedLevel, ...]:
        """The levels between the root of the model and the one that is asked for."""
        return _LEVELS_OF[self.root][: _LEVELS_OF[self.root].index(self.level)]

    def uids(self, level: AskedLevel) -> list[str]:
        """The values of the unique key of a level, a list or one."""
        return [single for single in self.keys.get(UNIQUE_KEYS[level], "").split("\\") if single]


def parse(encoded: bytes, syntax: str, root: Root) -> Identifier:
    """Read an identifier.

    Raises:
        IdentifierWrong: It cannot be read, or its level is none of the model.
        KeyNotHonoured: A sequence holds a matching key.
    """
    try:
        dataset = dicom.read_plain(encoded, syntax)
    except (dicom.Malformed, dicom.Truncated, dicom.TooDeep, dicom.HeadTooLarge):
        raise IdentifierWrong("The identifier is malformed.") from None
    keys: dict[int, str] = {}
    sequences: set[int] = set()
    for key, element in dataset.items():
        tag = int(key, 16)
        if element["vr"] == "SQ":
            if any(_holds_a_key(item) for item in element.get("Value", [])):
                raise KeyNotHonoured("A key inside a sequence is not matched here.", tag)
            sequences.add(tag)
        else:
            keys[tag] = _text(element)
    level = keys.get(LEVEL, "").strip().upper()
    if level not in _LEVELS_OF[root]:
        raise IdentifierWrong("Query/Retrieve Level is missing or not of this model.", LEVEL)
    return Identifier(level, root, keys, frozenset(sequences))


def require_hierarchy(identifier: Identifier) -> None:
    """Refuse an identifier without one value for the unique key of each level above.

    Raises:
        IdentifierWrong: One is missing, is several, or is a pattern.
    Per: DICOM PS3.4 C.4.1.2.1, C.4.2.2.1.
    """
    for level in identifier.levels_above:
        tag = UNIQUE_KEYS[level]
        value = identifier.keys.get(tag, "")
        if not value or "\\" in value or "*" in value or "?" in value:
            raise IdentifierWrong(f"{archive.keyword_of(tag)} must have one value at this level.", tag)


def is_supported(tag: int, level: AskedLevel) -> bool:
    """Whether an attribute can be matched and given at a level."""
    return tag in PATIENT_TAGS if level == "PATIENT" else archive.level_of(tag) in _ARCHIVE_LEVELS[level]


def matching_keys(identifier: Identifier) -> dict[int, str]:
    """The keys that narrow the search: those with a value that is not universal.

    Raises:
        KeyNotHonoured: One of them can not be matched at this level.
    """
    keys = {
        tag: value
        for tag, value in identifier.keys.items()
        if tag not in _HOW_TO_READ and value.strip(" ") and value.strip("* ")
    }
    for tag in sorted(keys):
        if not is_supported(tag, identifier.level):
            raise KeyNotHonoured(f"{archive.keyword_of(tag)} is no matching key here.", tag)
    return keys


def answer(identifier: Identifier, values: Mapping[int, str], ae: str, syntax: str) -> tuple[bytes, bool]:
    """One match as the peer gets it: what it asked for, the unique keys, and where to retrieve it.

    Args:
        identifier: What was asked.
        values: The attributes of the match, as text.
        ae: Our AE title.
        syntax: Transfer syntax of the context.

    Returns:
        The encoded data set, and whether all that was asked for is in it.
    """
    wanted = set(identifier.keys) - _HOW_TO_READ - {RETRIEVE_AE, AVAILABILITY}
    unique = {UNIQUE_KEYS[level] for level in (*identifier.levels_above, identifier.level)}
    told = {tag: values.get(tag, "") for tag in wanted | unique if is_supported(tag, identifier.level)}
    if values.get(ISSUER):
        told[ISSUER] = values[ISSUER]  # a PatientID means nothing without it
    is_whole = not identifier.sequences and not wanted - told.keys()
    told |= {CHARSET: _UTF_8, LEVEL: identifier.level, RETRIEVE_AE: ae, AVAILABILITY: "ONLINE"}
    return encode(told, syntax), is_whole


def encode(values: Mapping[int, str], syntax: str) -> bytes:
    """A flat data set in one of the plain transfer syntaxes, text in UTF-8.

    Args:
        values: Text by tag, several values joined by a backslash.
        syntax: Implicit or explicit VR little endian.
    """
    is_explicit = syntax == EXPLICIT_LITTLE
    return b"".join(element(tag, _bytes_of(tag, values[tag]), is_explicit) for tag in sorted(values))


def element(tag: int, value: bytes, is_explicit: bool, vr: str = "") -> bytes:
    """One element, padded to even length.

    Args:
        tag: Group and element.
        value: As bytes.
        is_explicit: Whether the value representation is written.
        vr: The value representation; empty for the dictionary's.
    """
    vr = vr or archive.vr_of(tag)
    if len(value) % 2:
        value += b"\0" if vr in _NUL_PADDED else b" "
    if not is_explicit:
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value
    if vr in _LONG:
        return struct.pack("<HH2sxxI", tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value
    value = value[:0xFFFE]  # a short VR counts in 16 bits
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value


def _bytes_of(tag: int, text: str) -> bytes:
    if archive.vr_of(tag) == "US":
        told = (numbers.whole(single, most=0xFFFF) for single in text.split("\\"))
        return b"".join(struct.pack("<H", number) for number in told if number is not None)
    return text.encode("utf-8")


def _holds_a_key(item: Mapping[str, Any]) -> bool:
    """Whether an item of a sequence narrows the search. Items are nested no deeper than the reader allows."""
    for element_of_item in item.values():
        values = element_of_item.get("Value", [])
        if element_of_item["vr"] == "SQ":
            if any(_holds_a_key(inner) for inner in values):
                return True
        elif _text(element_of_item).strip("* \\"):
            return True
    return False


def _text(element_of_json: Mapping[str, Any]) -> str:
    if "InlineBinary" in element_of_json:
        return "?"  # bytes are no key of a search; whoever asks with them is told so
    return "\\".join(_single(value) for value in element_of_json.get("Value", []))


def _single(value: Any) -> str:
    if isinstance(value, dict):
        groups = [value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(groups).rstrip("=")
    return "" if value is None else str(value)
