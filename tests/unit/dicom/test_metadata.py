from __future__ import annotations

import base64
import json
import logging
import struct
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.common import objects
from tests.unit.dicom.files import (
    EXPLICIT,
    PEER_CANNOT,
    dataset,
    encode_fragments,
    flat_memory,
    name_of,
    nested,
    some_files,
    wheel,
)
from troth.dicom import BulkPlace, BulkSearch, Scanner, Transcript, encode, recode, scan, swapped, to_json
from troth.kit.errors import TrothError

Json = Mapping[str, Any]
BIG = "1.2.840.10008.1.2.2"


def pieces(head: bytes, size: int) -> Iterator[bytes]:
    return (head[at : at + size] for at in range(0, len(head), size))


def written(head: bytes, syntax: str, *, tail: bytes = b"", size: int = 256 << 10) -> Iterator[bytes]:
    transcript = Transcript(syntax, "bulkdata/")
    for piece in pieces(head, size):
        yield transcript.feed(piece)
    yield transcript.finish(tail)


def found(head: bytes, syntax: str, path: str, size: int = 256 << 10) -> BulkPlace | None:
    search = BulkSearch(syntax, path)
    any(search.feed(piece) for piece in pieces(head, size))
    return search.finish().get(path)


def scanned() -> list[Path]:
    paths = []
    for path in some_files():
        try:
            scan(path.read_bytes())
        except TrothError:
            continue
        if path.name not in PEER_CANNOT:
            paths.append(path)
    return paths


def plain(metadata: Json, *, swap: bool) -> dict[str, Any]:
    """Without what we write differently on purpose:

    - group lengths and trailing padding are left out (PS3.18 F.2.2),
    - Specific Character Set becomes ISO_IR 192, for the text is in UTF-8 now,
    - trailing spaces of each of several CS values are padding, not only of the last,
    - an empty value among several is null (F.2.5), not an empty string,
    - binary values of a big endian data set are turned to little endian (F.2.7).
    """
    kept: dict[str, Any] = {}
    for key, entry in metadata.items():
        if key.endswith("0000") or key in ("FFFCFFFC", "00080005", "7FE00010"):
            continue
        entry = dict(entry)
        if entry["vr"] == "SQ":
            entry["Value"] = [plain(item, swap=swap) for item in entry.get("Value", [])]
        elif "Value" in entry:
            entry["Value"] = [(v.rstrip() or None) if isinstance(v, str) else v for v in entry["Value"]]
        elif swap and entry["vr"] == "OW" and "InlineBinary" in entry:
            entry["InlineBinary"] = base64.b64encode(swapped(base64.b64decode(entry["InlineBinary"]), 2)).decode()
        kept[key] = entry
    return kept


@pytest.mark.parametrize("path", scanned(), ids=name_of)
def test_equal_to_pydicom(path: Path) -> None:
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    header, _ = scan(path.read_bytes())
    metadata = to_json(header.head, header.syntax, tail=header.tail)
    json.dumps(metadata, allow_nan=False)
    peer = pydicom.dcmread(path, force=True)
    expected = plain(peer.to_json_dict(), swap=header.syntax == "1.2.840.10008.1.2.2")
    assert plain(metadata, swap=False) == expected


def walked(metadata: Json) -> Iterator[Json]:
    for entry in metadata.values():
        yield entry
        if entry["vr"] == "SQ":
            for item in entry["Value"]:
                yield from walked(item)


@pytest.mark.parametrize(
    "name", ["waveform_ecg.dcm", "examples_overlay.dcm", "MR_small_bigendian.dcm", "liver_1frame.dcm"]
)
def test_every_uri_leads_to_its_bytes(name: str) -> None:
    header, bulk = scan(wheel(name))
    everything = to_json(header.head, header.syntax)
    metadata = to_json(header.head, header.syntax, "bulkdata/", inline_bytes=16)
    uris = [entry["BulkDataURI"] for entry in walked(metadata) if "BulkDataURI" in entry]
    assert uris
    pointed = to_json(header.head, header.syntax, "")
    every = BulkSearch(header.syntax)
    any(every.feed(piece) for piece in pieces(header.head, 1000))
    paths = [entry["BulkDataURI"] for entry in walked(pointed) if "BulkDataURI" in entry]
    assert list(every.finish()) == paths
    for uri in uris:
        path = uri.removeprefix("bulkdata/")
        place = found(header.head, header.syntax, path)
        assert place is not None
        if place.is_bulk:
            assert place.start == len(header.head)
            assert bulk
            continue
        at: Any = everything
        for step in path.split("/"):
            at = at[step] if len(step) == 8 else at["Value"][int(step)]
        raw = swapped(header.head[place.start : place.stop], place.unit_bytes)
        assert base64.b64encode(raw).decode() == at["InlineBinary"]
    assert found(header.head, header.syntax, "00091010/0/00091011") is None


def test_bulk_uri_as_a_function() -> None:
    header, _ = scan(wheel("CT_small.dcm"))
    metadata = to_json(header.head, header.syntax, lambda path: f"https://here/{path.lower()}")
    assert metadata["7FE00010"] == {"vr": "OW", "BulkDataURI": "https://here/7fe00010"}
    assert "7FE00010" not in to_json(header.head, header.syntax)


def of(between: bytes) -> dict[str, Any]:
    header, _ = scan(dataset(between=between), EXPLICIT)
    return to_json(header.head, header.syntax, "bulkdata/")


def test_values_that_json_cannot_say() -> None:
    metadata = of(
        encode.text(0x00080005, "CS", "ISO_IR 192")
        + encode.text(0x00100010, "PN", "Yamada^Tarou=山田^太郎=やまだ^たろう\\Wang^XiaoDong")
        + encode.text(0x00101030, "DS", "12.5\\\\nan\\6,5")
        + encode.text(0x00200013, "IS", "7\\x")
        + encode.element(0x0018605A, "FL", struct.pack("<2f", float("nan"), 1.5))
        + encode.element(0x00209165, "AT", struct.pack("<2H", 0x0020, 0x9056))
    )
    names = [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}]
    assert metadata["00100010"] == {"vr": "PN", "Value": [*names, {"Alphabetic": "Wang^XiaoDong"}]}
    assert metadata["00101030"]["Value"] == [12.5, None, "nan", "6,5"]
    assert metadata["00200013"]["Value"] == [7, "x"]
    assert metadata["0018605A"]["Value"] == ["NaN", 1.5]
    assert metadata["00209165"]["Value"] == ["00209056"]
    assert metadata["00080005"]["Value"] == ["ISO_IR 192"]
    json.dumps(metadata, allow_nan=False)


def test_items_have_their_own_repertoire() -> None:
    item = encode.text(0x00080005, "CS", "ISO_IR 144") + encode.element(0x00081150, "LO", "Люк".encode("iso8859-5"))
    metadata = of(encode.sequence(0x00081140, [item]) + encode.element(0x00100020, "LO", b"caf\xe9"))
    assert metadata["00081140"]["Value"][0]["00081150"]["Value"] == ["Люк"]
    assert metadata["00100020"]["Value"] == ["café"]


def test_deepest_nesting_and_encapsulated_icon() -> None:
    metadata = of(nested(16))
    depth = 0
    while "00081140" in metadata:
        metadata, depth = (metadata["00081140"]["Value"] or [{}])[0], depth + 1
    assert depth == 16
    icon = encode_fragments([b"", b"\xff\xd8ab"])
    metadata = of(encode.sequence(0x00880200, [icon]) + encode.text(0x00100020, "LO", "after"))
    assert "InlineBinary" in metadata["00880200"]["Value"][0]["7FE00010"]
    assert metadata["00100020"]["Value"] == ["after"]


@pytest.mark.parametrize("path", scanned(), ids=name_of)
def test_written_piece_by_piece_it_is_the_same(path: Path) -> None:
    header, _ = scan(path.read_bytes())
    expected = to_json(header.head, header.syntax, "bulkdata/", tail=header.tail)
    for size in (len(header.head) or 1, 300_000, 997):
        told = b"".join(written(header.head, header.syntax, tail=header.tail, size=size))
        assert json.loads(told) == expected


LARGE = {
    "frames": lambda: objects.slide(4000),
    "contours": lambda: objects.structures(6000, 10),
    "text": objects.long_text,
}


@pytest.mark.parametrize("made", LARGE.values(), ids=LARGE)
def test_what_is_large_is_written_in_little_memory(made: Callable[[], objects.Made]) -> None:
    header, _ = scan(made().file)
    expected = to_json(header.head, header.syntax, "bulkdata/")
    with flat_memory(8 << 20):
        digest = sha256()
        for piece in written(header.head, header.syntax):
            assert len(piece) < 2 << 20
            digest.update(piece)
    text = json.dumps(expected, ensure_ascii=False, separators=(",", ":"))
    assert digest.digest() == sha256(text.encode()).digest()


def test_a_picture_needs_the_groups_of_its_frame_only() -> None:
    header, _ = scan(objects.slide(500).file)
    few = to_json(header.head, header.syntax, frames=range(7, 9))["52009230"]["Value"]
    every = to_json(header.head, header.syntax)["52009230"]["Value"]
    assert len(few) == 500
    assert few[6:8] == every[6:8]
    assert not any(few[:6] + few[8:])


def test_a_sequence_of_a_maker_in_implicit_vr_is_given_as_its_bytes() -> None:
    """pydicom's table calls (2005,1402) of Philips SQ; its items stand in no structure that was checked."""
    inner = struct.pack("<HHL", 0xFFFE, 0xE000, 12) + struct.pack("<HHL", 0x0008, 0x1150, 4) + b"1.2\0"
    creator = b"Philips MR Imaging DD 005 "
    content = struct.pack("<HHL", 0x2005, 0x14, len(creator)) + creator
    content += struct.pack("<HHL", 0x2005, 0x1402, len(inner)) + inner
    entry = to_json(content, "1.2.840.10008.1.2")["20051402"]
    assert entry == {"vr": "UN", "InlineBinary": base64.b64encode(inner).decode()}
    explicit = recode(content, "1.2.840.10008.1.2", EXPLICIT)
    assert to_json(explicit, EXPLICIT)["20051402"] == entry


def test_encapsulated_pixels_in_implicit_vr_are_ob() -> None:
    head = struct.pack("<HHL", 0x7FE0, 0x0010, 0xFFFFFFFF)
    assert to_json(head, "1.2.840.10008.1.2", "")["7FE00010"]["vr"] == "OB"


@pytest.mark.parametrize("made", LARGE.values(), ids=LARGE)
def test_a_value_of_what_is_large_is_found_in_little_memory(made: Callable[[], objects.Made]) -> None:
    header, _ = scan(made().file)
    long = struct.pack("<HH2sHL", 0x7001, 0x1010, b"OB", 0, 300_000) + bytes(range(200)) * 1500
    head = header.head + long if header.bulk_tag is None else long + header.head
    with flat_memory(8 << 20):
        place = found(head, header.syntax, "70011010")
    assert place is not None
    assert head[place.start : place.stop] == bytes(range(200)) * 1500


def in_big_endian(between: bytes) -> bytes:
    """A big endian data set with something in it that comes as it is."""
    elements = [
        (0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.7\0"), (0x00080018, b"UI", b"1.2.3\0"),
        (0x0020000D, b"UI", b"1.2.4\0"), (0x0020000E, b"UI", b"1.2.5\0"),
    ]  # fmt: skip
    told = b"".join(struct.pack(">HH2sH", tag >> 16, tag & 0xFFFF, vr, len(raw)) + raw for tag, vr, raw in elements)
    return told + between + struct.pack(">HH2sHH", 0x0028, 0x0010, b"US", 2, 515)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("chunk", [7, 1000])
def test_what_is_unknown_within_big_endian_is_implicit_little_endian(order: str, chunk: int) -> None:
    """DICOM PS3.5 6.2.2 (CP-246); and as it was written before that."""
    private = struct.pack(">HH2sHL", 0x0021, 0x1001, b"UN", 0, 0xFFFFFFFF)
    if order == "<":
        inner = struct.pack("<HHLH", 0x0028, 0x0011, 2, 259) + struct.pack("<HHL", 0x0008, 0x0050, 4) + b"A1B2"
    else:
        inner = struct.pack(">HH2sHH", 0x0028, 0x0011, b"US", 2, 259)
        inner += struct.pack(">HH2sH", 0x0008, 0x0050, b"SH", 4) + b"A1B2"
    item = struct.pack(f"{order}HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner
    end = struct.pack(f"{order}HHL", 0xFFFE, 0xE00D, 0) + struct.pack(f"{order}HHL", 0xFFFE, 0xE0DD, 0)
    head = in_big_endian(private + item + end)
    scanner = Scanner(BIG)
    for piece in pieces(head, chunk):
        scanner.feed(piece)
    header = scanner.finish()
    assert header.rows == 515
    for told in (
        to_json(header.head, BIG),
        json.loads(b"".join(written(header.head, BIG, size=chunk))),
        to_json(recode(header.head, BIG, EXPLICIT), EXPLICIT),
    ):
        assert told["00280010"]["Value"] == [515]
        assert told["00211001"]["Value"] == [
            {"00280011": {"vr": "US", "Value": [259]}, "00080050": {"vr": "SH", "Value": ["A1B2"]}}
        ]
