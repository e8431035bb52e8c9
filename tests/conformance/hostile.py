"""Instances that a stranger could send: each breaks one thing, made by hand so that no toolkit mends it on the way."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
STUDY = "1.2.826.0.1.3680043.8.498.77"
BOMB_BYTES = 300_000_000

_LONG = {"OB", "OW", "SQ", "UN", "UT"}


@dataclass(frozen=True)
class Hostile:
    """One instance and what must be said to it.

    Attributes:
        dataset: As it goes by C-STORE.
        status: DIMSE status, and FailureReason by STOW-RS.
        reason: What the ledger says of the bare data set; empty where it depends on how far the guess comes.
        instance_uid: What the C-STORE command says.
    """

    name: str
    dataset: bytes = field(repr=False)
    status: int
    reason: str
    syntax: str = EXPLICIT
    instance_uid: str = STUDY + ".1.1"
    has_file_meta: bool = True

    @property
    def file(self) -> bytes:
        """As it goes by STOW-RS."""
        return part10(self.dataset, self.syntax, self.instance_uid) if self.has_file_meta else self.dataset


def element(tag: int, vr: str, value: bytes, *, length: int | None = None) -> bytes:
    """A data element in explicit VR little endian.

    Args:
        length: What its length field says, if not the truth.
    """
    if len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    said = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack("<xxL", said) if vr in _LONG else struct.pack("<H", said)) + value


def dataset(
    *more: bytes,
    instance_uid: str = STUDY + ".1.1",
    study_uid: str = STUDY,
    series_uid: str = STUDY + ".1",
    pixels: bytes | None = None,
    comment: str = "",
) -> bytes:
    """A whole small CT instance; `more` comes after the identifying part, in the order of tags."""
    return b"".join(
        [
            element(0x00080016, "UI", CT.encode()),
            element(0x00080018, "UI", instance_uid.encode()),
            element(0x00080060, "CS", b"CT"),
            element(0x00100010, "PN", b"Hostile^Input"),
            element(0x00100020, "LO", b"HOSTILE-1"),
            element(0x00100030, "DA", b"19700102"),
            element(0x0020000D, "UI", study_uid.encode()),
            element(0x0020000E, "UI", series_uid.encode()),
            element(0x00204000, "LT", comment.encode()),
            element(0x00280002, "US", struct.pack("<H", 1)),
            element(0x00280010, "US", struct.pack("<H", 16)),
            element(0x00280011, "US", struct.pack("<H", 16)),
            element(0x00280100, "US", struct.pack("<H", 16)),
            *more,
            element(0x7FE00010, "OW", bytes(512)) if pixels is None else pixels,
        ]
    )


def part10(content: bytes, syntax: str, instance_uid: str) -> bytes:
    """A file around a data set. Per: DICOM PS3.10 7.1."""
    group = b"".join(
        [
            element(0x00020001, "OB", b"\0\1"),
            element(0x00020002, "UI", CT.encode()),
            element(0x00020003, "UI", instance_uid.encode()),
            element(0x00020010, "UI", syntax.encode()),
            element(0x00020012, "UI", b"1.2.3"),
        ]
    )
    return bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<L", len(group))) + group + content


def nested(levels: int) -> bytes:
    """Sequences within sequences, all of undefined length, none of them closed."""
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return (
        element(0x300A00B0, "SQ", b"", length=0xFFFFFFFF)
        + item
        + (element(0x300A00B0, "SQ", b"", length=0xFFFFFFFF) + item) * (levels - 1)
    )


def bomb(chunks: Iterable[bytes]) -> bytes:
    """Zeros without end, deflated, behind a head that looks right."""
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return b"".join([*(deflate.compress(chunk) for chunk in chunks), deflate.flush()])


def _bombs() -> list[Hostile]:
    zeros = [bytes(1 << 20)] * (BOMB_BYTES >> 20)
    in_pixels = dataset(pixels=element(0x7FE00010, "OW", b"", length=BOMB_BYTES))
    in_head = dataset(pixels=element(0x00990010, "UN", b"", length=BOMB_BYTES))
    return [
        Hostile("deflate bomb in the pixels", bomb([in_pixels, *zeros]), 0xA700, "dicom-too-large", DEFLATED),
        Hostile("deflate bomb in the head", bomb([in_head, *zeros]), 0xA700, "dicom-too-large", DEFLATED),
    ]


def hostile_instances() -> list[Hostile]:
    """All of them. Whoever reads them must end the same way at every door."""
    long_uid = "1." + "2" * 63
    escaping = "../../../../etc/passwd"
    whole = dataset()
    malformed = 0xC000
    return [
        Hostile("noise", bytes(range(7, 256)) * 16, malformed, "", has_file_meta=False),
        Hostile("nothing", b"", malformed, "", has_file_meta=False),
        Hostile("cut in the header", whole[:150], malformed, "dicom-truncated"),
        Hostile("cut in the pixels", whole[:-100], malformed, "dicom-truncated"),
        Hostile("20,000 nested sequences", dataset(nested(20_000)), malformed, "dicom-too-deep"),
        *_bombs(),
        Hostile("instance UID that climbs", dataset(instance_uid=escaping), malformed, "dicom-uid-invalid",
                instance_uid=escaping),
        Hostile("study UID that climbs", dataset(study_uid=escaping), malformed, "dicom-uid-invalid"),
        Hostile("series UID of 65 characters", dataset(series_uid=long_uid), malformed, "dicom-uid-invalid"),
        Hostile("instance UID of 65 characters", dataset(instance_uid=long_uid), malformed, "dicom-uid-invalid",
                instance_uid=long_uid),
        Hostile("no study UID", dataset(study_uid=""), malformed, "dicom-uid-invalid"),
        Hostile("4 GB in a length of the header", dataset(element(0x00290010, "UN", b"", length=0xFFFFFFF0)),
                malformed, "dicom-truncated"),
        Hostile("4 GB of pixels announced", dataset(pixels=element(0x7FE00010, "OW", bytes(64), length=0xFFFFFFF0)),
                malformed, "dicom-truncated"),
    ]  # fmt: skip
