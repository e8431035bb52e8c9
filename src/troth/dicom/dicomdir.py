"""The directory of a file set, made from what the index knows: no file is read again.

Per: DICOM PS3.10 8 (file set), PS3.3 F.3 (structure) and F.5 (keys of each record).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from troth.dicom import encode, syntaxes, tags
from troth.dicom.errors import Malformed
from troth.dicom.header import Header
from troth.dicom.part10 import part10
from troth.kit import ids

DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
_COMPONENT = re.compile(r"[A-Z0-9_]{1,8}")
_NEXT, _IN_USE, _LOWER, _TYPE = 0x00041400, 0x00041410, 0x00041420, 0x00041430
_POINTER_BYTES = 12  # an UL element
_NEXT_AT = 8  # value of (0004,1400) within a record
_LOWER_AT = 8 + 4 + 10 + 8  # value of (0004,1420): after (0004,1400) and (0004,1410)

#: Kinds of record that are not an image, by SOP class (PS3.3 F.5, PS3.4 B.5).
_KINDS = {
    "1.2.840.10008.5.1.4.1.1.481.2": "RT DOSE",
    "1.2.840.10008.5.1.4.1.1.481.3": "RT STRUCTURE SET",
    "1.2.840.10008.5.1.4.1.1.481.5": "RT PLAN",
    "1.2.840.10008.5.1.4.1.1.88.59": "KEY OBJECT DOC",
    "1.2.840.10008.5.1.4.1.1.66": "RAW DATA",
    "1.2.840.10008.5.1.4.1.1.66.1": "REGISTRATION",
    "1.2.840.10008.5.1.4.1.1.66.2": "FIDUCIAL",
    "1.2.840.10008.5.1.4.1.1.66.3": "REGISTRATION",
    "1.2.840.10008.5.1.4.1.1.4.2": "SPECTROSCOPY",
    "1.2.840.10008.5.1.4.1.1.66.5": "SURFACE",
    "1.2.840.10008.5.1.4.1.1.67": "VALUE MAP",
}
_FAMILIES = (
    ("1.2.840.10008.5.1.4.1.1.88.", "SR DOCUMENT"),
    ("1.2.840.10008.5.1.4.1.1.104.", "ENCAP DOC"),
    ("1.2.840.10008.5.1.4.1.1.9.", "WAVEFORM"),
    ("1.2.840.10008.5.1.4.1.1.11.", "PRESENTATION"),
)

#: Keys of each record: tag, VR, and for type 1 what stands where the instance has none; None may stay empty.
_Key = tuple[int, str, str | None]
_NUMBER: _Key = (0x00200013, "IS", "0")
_DATED: tuple[_Key, ...] = ((0x00080023, "DA", "19000101"), (0x00080033, "TM", "000000"))
_CREATED: tuple[_Key, ...] = (
    (0x00700080, "CS", "UNNAMED"), (0x00700081, "LO", None), (0x00700082, "DA", "19000101"),
    (0x00700083, "TM", "000000"), (0x00700084, "PN", None),
)  # fmt: skip
_KEYS: dict[str, tuple[_Key, ...]] = {
    "PATIENT": ((0x00100010, "PN", None), (0x00100020, "LO", ""), (0x00100030, "DA", None), (0x00100040, "CS", None)),
    "STUDY": (
        (0x00080020, "DA", "19000101"), (0x00080030, "TM", "000000"), (0x00080050, "SH", None),
        (0x00081030, "LO", None), (0x0020000D, "UI", ""), (0x00200010, "SH", "1"),
    ),
    "SERIES": (
        (0x00080060, "CS", "OT"), (0x0008103E, "LO", None), (0x0020000E, "UI", ""), (0x00200011, "IS", "0"),
    ),
    "IMAGE": (_NUMBER,),
    "RT DOSE": (_NUMBER, (0x3004000A, "CS", "PLAN")),
    "RT STRUCTURE SET": (_NUMBER, (0x30060002, "SH", "UNNAMED"), (0x30060008, "DA", None), (0x30060009, "TM", None)),
    "RT PLAN": (_NUMBER, (0x300A0002, "SH", "UNNAMED"), (0x300A0006, "DA", None), (0x300A0007, "TM", None)),
    "SR DOCUMENT": (*_DATED, _NUMBER, (0x0040A491, "CS", "COMPLETE"), (0x0040A493, "CS", "UNVERIFIED")),
    "KEY OBJECT DOC": (*_DATED, _NUMBER),
    "ENCAP DOC": (*_DATED, _NUMBER, (0x00420010, "ST", None), (0x00420012, "LO", "application/octet-stream")),
    "WAVEFORM": (*_DATED, _NUMBER),
    "PRESENTATION": (_NUMBER, *_CREATED),
    "RAW DATA": (*_DATED, _NUMBER),
    "REGISTRATION": (*_DATED, _NUMBER, *_CREATED),
    "FIDUCIAL": (*_DATED, _NUMBER, *_CREATED),
    "SPECTROSCOPY": (
        (0x00080008, "CS", "ORIGINAL\\PRIMARY"), *_DATED, _NUMBER, (0x00280008, "IS", "1"),
        (0x00280010, "US", "1"), (0x00280011, "US", "1"),
    ),
    "SURFACE": (*_DATED, _NUMBER, *_CREATED),
    "VALUE MAP": (*_DATED, _NUMBER, *_CREATED),
}  # fmt: skip
_LENGTHS = {
    "CS": 80, "DA": 8, "IS": 12, "LO": 64, "PN": 194, "SH": 16, "ST": 1024, "TM": 14, "UI": 64, "US": 5, "DT": 26,
}  # fmt: skip
_SHAPES = {
    "DA": re.compile(r"\d{8}"),
    "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?"),
    "IS": re.compile(r"[+-]?\d{1,11}"),
    "US": re.compile(r"\d{1,4}"),
    "CS": re.compile(r"[A-Z0-9 _\\]*"),
}
_CODED = frozenset({"SR DOCUMENT", "KEY OBJECT DOC", "ENCAP DOC"})
_CONCEPT, _OBSERVERS, _VERIFIED, _VERIFIED_AT = 0x0040A043, 0x0040A073, 0x0040A493, 0x0040A030


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of the set.

    Attributes:
        file_id: Path below the DICOMDIR: 1 to 8 components of 1 to 8 characters A-Z, 0-9 and underscore.
        sop_class: SOP Class UID of the instance.
        instance_uid: Its SOP Instance UID.
        syntax: Transfer syntax of the file.
        values: Its index attributes as `Header.values` holds them.
        nested: As `Header.nested` holds them.
    """

    file_id: tuple[str, ...]
    sop_class: str
    instance_uid: str
    syntax: str
    values: Mapping[int, str] = field(repr=False)
    nested: Mapping[int, list[dict[int, str]]] = field(default_factory=dict, repr=False)

    @classmethod
    def of_header(cls, file_id: tuple[str, ...], header: Header) -> Listed:
        """List an instance by its header."""
        return cls(file_id, header.sop_class, header.instance_uid, header.syntax, header.values, header.nested)

    @classmethod
    def of_json(cls, file_id: tuple[str, ...], syntax: str, metadata: Mapping[str, Any]) -> Listed:
        """List an instance by its DICOM JSON (`to_json`)."""
        values = {int(tag, 16): _plain(entry) for tag, entry in metadata.items() if entry["vr"] != "SQ"}
        nested = {
            tag: [
                {int(key, 16): _plain(entry) for key, entry in one.items() if entry["vr"] != "SQ"}
                for one in metadata.get(tags.key(tag), {}).get("Value", ())
            ]
            for tag in (_CONCEPT, _OBSERVERS)
        }
        return cls(file_id, values.get(tags.SOP_CLASS, ""), values.get(tags.INSTANCE_UID, ""), syntax, values, nested)


class _Record:
    """A directory record and those below it."""

    __slots__ = ("content", "lower", "offset")

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(encode.item(content))
        self.lower: dict[object, _Record] = {}
        self.offset = 0

    def below(self) -> Iterator[_Record]:
        """All records below, each before those below it."""
        for record in self.lower.values():
            yield record
            yield from record.below()  # never deeper than patient, study, series, instance


def write_dicomdir(listed: Iterable[Listed], *, file_set_id: str = "TROTH", instance_uid: str | None = None) -> bytes:
    """Write a DICOMDIR.

    Args:
        listed: The files; their order within a patient, study and series is kept.
        file_set_id: Name of the set, at most 16 characters.
        instance_uid: SOP Instance UID of the directory itself; a new one by default.

    Returns:
        The whole file, explicit VR little endian.

    Raises:
        Malformed: A file id cannot stand on media.
    """
    root = _tree(listed)
    front = part10(DIRECTORY_CLASS, instance_uid or ids.dicom_uid(), syntaxes.EXPLICIT_LITTLE)
    name = encode.text(0x00041130, "CS", file_set_id)
    start = len(front) + len(name) + 2 * _POINTER_BYTES + 10 + 12
    records = list(root.below())
    for record in records:
        record.offset = start
        start += len(record.content)
    _link(root)
    first, last = _ends(root)
    return b"".join(
        (
            front,
            name,
            encode.number(0x00041200, "UL", first),
            encode.number(0x00041202, "UL", last),
            encode.number(0x00041212, "US", 0),
            encode.element(0x00041220, "SQ", b"".join(record.content for record in records)),
        )
    )


def _tree(listed: Iterable[Listed]) -> _Record:
    root = _Record(b"")
    for one in listed:
        values = one.values
        if not 1 <= len(one.file_id) <= 8 or not all(map(_COMPONENT.fullmatch, one.file_id)):
            raise Malformed("A file id cannot stand on media")
        patient_id = values.get(0x00100020, "")
        whose = (patient_id, values.get(0x00100021, ""), "" if patient_id else values.get(0x00100010, ""))
        patient = root.lower.get(whose)
        if patient is None:
            patient = root.lower[whose] = _record("PATIENT", values, {0x00100020: f"TROTH{len(root.lower) + 1:06d}"})
        study = patient.lower.get(values.get(tags.STUDY_UID, ""))
        if study is None:
            study = patient.lower[values.get(tags.STUDY_UID, "")] = _record("STUDY", values)
        series = study.lower.get(values.get(tags.SERIES_UID, ""))
        if series is None:
            series = study.lower[values.get(tags.SERIES_UID, "")] = _record("SERIES", values)
        series.lower[one.instance_uid] = _leaf(one)
    return root


def _record(kind: str, values: Mapping[int, str], instead: Mapping[int, str] | None = None) -> _Record:
    keys = _keys(kind, values, instead or {})
    return _Record(_front(kind) + _charset(keys) + keys)


def _leaf(one: Listed) -> _Record:
    kind = _kind(one)
    codes = b""
    if kind in _CODED:
        concepts = one.nested.get(_CONCEPT, [])[:1]
        if concepts or kind != "ENCAP DOC":
            concepts = concepts or [{0x00080100: "121144", 0x00080102: "DCM", 0x00080104: "Document Title"}]
            vrs = {0x00080100: "SH", 0x00080102: "SH", 0x00080104: "LO"}
            items = [b"".join(encode.text(tag, vr, code.get(tag, "")) for tag, vr in vrs.items()) for code in concepts]
            codes = encode.sequence(_CONCEPT, items)
        else:
            codes = encode.sequence(_CONCEPT, [])
    file_of = b"".join(
        (
            encode.text(0x00041500, "CS", "\\".join(one.file_id)),
            encode.text(0x00041510, "UI", one.sop_class),
            encode.text(0x00041511, "UI", one.instance_uid),
            encode.text(0x00041512, "UI", one.syntax),
        )
    )
    if kind == "SR DOCUMENT" and one.values.get(_VERIFIED) == "VERIFIED":
        codes = _verified_at(one) + codes
    keys = _keys(kind, one.values, {}, codes)
    return _Record(_front(kind) + file_of + _charset(keys) + keys)


def _verified_at(one: Listed) -> bytes:
    """When a verified report was: as its observer says, else when it was written."""
    for observer in one.nested.get(_OBSERVERS, ()):
        if observer.get(_VERIFIED_AT):
            return encode.text(_VERIFIED_AT, "DT", observer[_VERIFIED_AT][:26])
    date, time = (_fitting(vr, one.values.get(tag, "")) or default or "" for tag, vr, default in _DATED)
    return encode.text(_VERIFIED_AT, "DT", date + time[:6])


def _front(kind: str) -> bytes:
    return b"".join(
        (
            encode.number(_NEXT, "UL", 0),
            encode.number(_IN_USE, "US", 0xFFFF),
            encode.number(_LOWER, "UL", 0),
            encode.text(_TYPE, "CS", kind),
        )
    )


def _charset(keys: bytes) -> bytes:
    """A record is in UTF-8 as soon as it is not plain ASCII."""
    return b"" if keys.isascii() else encode.text(tags.CHARSET, "CS", "ISO_IR 192")


def _keys(kind: str, values: Mapping[int, str], instead: Mapping[int, str], codes: bytes = b"") -> bytes:
    written = []
    for tag, vr, default in _KEYS[kind]:
        text = _fitting(vr, values.get(tag, "")) or instead.get(tag, "") or default or ""
        written.append((tag, encode.number(tag, vr, int(text)) if vr == "US" else encode.text(tag, vr, text)))
    if codes:
        written.append((_CONCEPT, codes))
    return b"".join(content for _, content in sorted(written))


def _fitting(vr: str, text: str) -> str:
    """A value as its representation allows it, or nothing: a directory must be valid though an instance is not."""
    if vr in ("DA", "TM"):
        text = text.replace(".", "", 2) if vr == "DA" else text.replace(":", "")
    text = text[: _LENGTHS[vr]]
    shape = _SHAPES.get(vr)
    return text if shape is None or shape.fullmatch(text) else ""


def _kind(one: Listed) -> str:
    kind = _KINDS.get(one.sop_class)
    if kind is None:
        kind = next((kind for prefix, kind in _FAMILIES if one.sop_class.startswith(prefix)), "IMAGE")
    return kind


def _link(root: _Record) -> None:
    for record in (root, *root.below()):
        siblings = list(record.lower.values())
        for one, following in pairwise(siblings):
            struct.pack_into("<L", one.content, 8 + _NEXT_AT, following.offset)
        if siblings and record is not root:
            struct.pack_into("<L", record.content, 8 + _LOWER_AT, siblings[0].offset)


def _ends(root: _Record) -> tuple[int, int]:
    patients = list(root.lower.values())
    return (patients[0].offset, patients[-1].offset) if patients else (0, 0)


def _plain(entry: Mapping[str, Any]) -> str:
    """A value of DICOM JSON as the text that a header holds."""
    parts = []
    for value in entry.get("Value", ()):
        if isinstance(value, dict):
            groups = (value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic"))
            parts.append("=".join(groups).rstrip("="))
        else:
            parts.append("" if value is None else str(value))
    return "\\".join(parts)
