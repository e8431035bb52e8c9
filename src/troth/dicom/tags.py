"""The attributes that the index needs, and the words of the data dictionary (DICOM PS3.6)."""

from __future__ import annotations

from functools import cache
from typing import Final

from troth.dicom import dictionary

CHARSET: Final = 0x00080005
SOP_CLASS: Final = 0x00080016
INSTANCE_UID: Final = 0x00080018
STUDY_UID: Final = 0x0020000D
SERIES_UID: Final = 0x0020000E
SAMPLES: Final = 0x00280002
PHOTOMETRIC: Final = 0x00280004
FRAMES: Final = 0x00280008
ROWS: Final = 0x00280010
COLUMNS: Final = 0x00280011
BITS_ALLOCATED: Final = 0x00280100
OFFSET_TABLE: Final = 0x7FE00001
OFFSET_LENGTHS: Final = 0x7FE00002
FLOAT_PIXELS: Final = 0x7FE00008
DOUBLE_PIXELS: Final = 0x7FE00009
PIXELS: Final = 0x7FE00010
DOCUMENT: Final = 0x00420011

ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD
UNDEFINED: Final = 0xFFFFFFFF

#: Top-level elements whose value is always the bulk of an instance.
BULK: Final = frozenset({PIXELS, FLOAT_PIXELS, DOUBLE_PIXELS, DOCUMENT})

#: Index attributes written as 16-bit numbers (US, SS).
NUMBERS: Final = frozenset(
    {0x00280002, 0x00280006, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00540081}
)

#: Top-level attributes that a header is decoded for.
INDEX: Final = NUMBERS | frozenset(
    {
        CHARSET, 0x00080008, SOP_CLASS, INSTANCE_UID, 0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x00080030,
        0x00080031, 0x00080032, 0x00080033, 0x00080050, 0x00080060, 0x00080061, 0x00080064, 0x00080070, 0x00080080,
        0x00080090, 0x00080201, 0x00081010, 0x00081030, 0x0008103E, 0x00081070, 0x00081090,
        0x00100010, 0x00100020, 0x00100021, 0x00100030,
        0x00100040, 0x00101010, 0x00120062, 0x00180015, 0x00181030, 0x00185101, STUDY_UID, SERIES_UID, 0x00200010,
        0x00200011, 0x00200012, 0x00200013, 0x00200032, 0x00200037, 0x00200052, 0x00200060, 0x00200062, PHOTOMETRIC,
        FRAMES, 0x00280030, 0x00280301, 0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00282110, 0x00400244,
        0x00400245, 0x00400254, 0x00420010, 0x00420012, 0x0040A491, 0x0040A493, 0x00700080, 0x00700081, 0x00700082,
        0x00700083, 0x00700084, 0x3004000A, 0x30060002, 0x30060008, 0x30060009, 0x300A0002, 0x300A0006, 0x300A0007,
        0x00180050, 0x00180060, 0x00185100, 0x00201041,
    }
)  # fmt: skip

#: Sequences of which the index needs some attributes, item by item.
NESTED: Final = {
    # RequestAttributesSequence, a QIDO-RS key (PS3.18 Table 10.6.1-5)
    0x00400275: frozenset({0x00400009, 0x00401001, 0x00400007, 0x00321060}),
    # OtherPatientIDsSequence
    0x00101002: frozenset({0x00100020, 0x00100021}),
    # ConceptNameCodeSequence, for the directory of a copy (PS3.3 F.5)
    0x0040A043: frozenset({0x00080100, 0x00080102, 0x00080104}),
    # VerifyingObserverSequence, for the same
    0x0040A073: frozenset({0x0040A030}),
    # AuthorObserverSequence: a person or a device (PS3.3 C.17.2)
    0x0040A078: frozenset({0x0040A084}),
    # SegmentSequence: drawn by a person or by a program (PS3.3 C.8.20.2)
    0x00620002: frozenset({0x00620008}),
}

#: Value representations with a 32-bit length field (PS3.5 Table 7.1-1) and those with a 16-bit one (Table 7.1-2).
LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
SHORT: Final = frozenset(
    {
        b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL",
        b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
    }
)  # fmt: skip
BINARY: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"})


@cache
def vr_table() -> dict[int, bytes]:
    """The value representation of every attribute of the standard; of several, the first (``US or SS`` is ``US``)."""
    return {tag: term.vr[:2].encode() for tag, term in dictionary.terms().items()}


@cache
def longest_numbers() -> dict[int, int]:
    """Index attributes that are numbers written as text, with the most characters of one value (PS3.5 6.2)."""
    longest = {b"IS": 12, b"DS": 16}
    return {tag: longest[vr] for tag in INDEX if (vr := vr_table().get(tag, b"")) in longest}


@cache
def sequence_tags() -> frozenset[int]:
    """The attributes that the standard defines as sequences."""
    return frozenset(tag for tag, vr in vr_table().items() if vr == b"SQ")


@cache
def special() -> frozenset[int]:
    """The attributes of implicit VR that the walk may not just skip."""
    return sequence_tags() | BULK


def dictionary_vr(tag: int) -> str:
    """The value representation the dictionary gives, `UN` where it knows none, `UL` for group lengths.

    Per: DICOM PS3.5 6.2.2 and 7.2.
    """
    known = vr_table().get(tag)
    if known is not None and tag not in _ambiguous():
        return known.decode()
    if tag & 0xFFFF == 0:
        return "UL"
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    term = dictionary.term(tag)
    return term.vr if term is not None else "UN"


@cache
def _ambiguous() -> frozenset[int]:
    return frozenset(tag for tag, term in dictionary.terms().items() if " or " in term.vr)


def key(tag: int) -> str:
    """A tag as DICOM JSON names it: ``7FE00010``."""
    return f"{tag:08X}"


def show(tag: int) -> str:
    """A tag as the standard prints it: ``(7FE0,0010)``."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
