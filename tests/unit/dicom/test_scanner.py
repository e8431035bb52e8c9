from __future__ import annotations

import random
import struct
import sys
import zlib
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from tests.common import objects
from tests.unit.dicom.files import (
    CT,
    EXPLICIT,
    PEER_CANNOT,
    dataset,
    every_file,
    file,
    flat_memory,
    name_of,
    nested,
    some_files,
    wheel,
)
from troth.dicom import (
    Header,
    HeadTooLarge,
    Limits,
    Malformed,
    NotDicom,
    Scanner,
    SyntaxUnknown,
    TooDeep,
    Truncated,
    UidInvalid,
    encode,
    reopen,
    scan,
)
from troth.kit.errors import TrothError

#: Files that are refused, and why. All others of the wheels must be taken.
REFUSED = {
    "README": NotDicom, "crayons.icc": NotDicom, "zipMR.gz": NotDicom, "rtplan.dump": NotDicom,
    "rtstruct.dump": NotDicom, "no_meta.dcm": NotDicom,
    # no instance: palettes, directories, scraps of a data set
    **dict.fromkeys(
        ("fall.dcm", "hotiron.dcm", "hotmetalblue.dcm", "pet.dcm", "pet20step.dcm", "spring.dcm", "summer.dcm",
         "chrSQEncoding.dcm", "chrSQEncoding1.dcm", "JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm",
         "SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm", "UN_sequence.dcm", "empty_charset_LEI.dcm",
         "no_meta_group_length.dcm", "priv_SQ.dcm", "DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-empty.dcm",
         "DICOMDIR-implicit", "DICOMDIR-nopatient", "DICOMDIR-reordered"), UidInvalid),
    "bad_sequence.dcm": UidInvalid,  # its UIDs are hexadecimal
    "winter.dcm": Malformed,  # says its SOP Instance UID twice
    "meta_missing_tsyntax.dcm": Malformed, "nested_priv_SQ.dcm": Malformed,  # group 0001
    "DICOMDIR-nooffset": Malformed,
    "MR_truncated.dcm": Truncated, "rtplan_truncated.dcm": Truncated,
    "emri_small_jpeg_2k_lossless_too_short.dcm": Truncated,
}  # fmt: skip


@pytest.mark.parametrize("path", every_file(), ids=name_of)
def test_real_files(path: Path) -> None:
    content = path.read_bytes()
    if path.name in REFUSED:
        with pytest.raises(REFUSED[path.name]):
            scan(content)
        return
    header, bulk = scan(content)
    peer = pydicom.dcmread(path, force=True)
    assert header.instance_uid == peer.SOPInstanceUID
    assert header.study_uid == peer.StudyInstanceUID
    assert header.series_uid == peer.SeriesInstanceUID
    assert header.sop_class == peer.SOPClassUID
    assert header.values.get(0x00100010, "") == str(peer.get("PatientName", "")).rstrip(" =")
    assert header.values.get(0x00100020, "") == str(peer.get("PatientID", "") or "").strip()
    assert header.rows == (peer.get("Rows") or 0)
    assert header.has_pixels == ("PixelData" in peer)
    assert header.frames == (
        int(peer.get("NumberOfFrames") or header.has_pixels) if path.name not in PEER_CANNOT else 1
    )
    assert header.bulk_bytes == len(bulk)
    whole = header.head + bulk
    if path.name == "image_dfl.dcm":
        assert header.syntax == EXPLICIT
        at = content.index(b"DICM") + 4
        meta = struct.unpack_from("<L", content, at + 8)[0]
        assert zlib.decompressobj(-15).decompress(content[at + 12 + meta :]) == whole
    else:
        assert content.endswith(whole)
        assert len(content) - len(whole) < 1024
    if header.has_pixels and not header.is_encapsulated:
        assert header.bulk_length == len(peer.PixelData)
        assert bulk[: header.bulk_length] == peer.PixelData
    # What was stored means the same to a reader that believes our meta group.
    again = pydicom.dcmread(BytesIO(file(whole, header.syntax)))
    assert again.SOPInstanceUID == header.instance_uid


@pytest.mark.parametrize("path", some_files()[::4], ids=name_of)
def test_chunks_of_any_size_mean_the_same(path: Path) -> None:
    content = path.read_bytes()
    expected = outcome(content, len(content))
    draw = random.Random(path.name)
    for largest in (64, 3000, 100_000) if len(content) < 100_000 else (3000, 100_000):
        assert outcome(content, largest, draw) == expected
    if len(content) < 5000:
        assert outcome(content, 1) == expected


def outcome(content: bytes, largest: int, draw: random.Random | None = None) -> tuple[object, ...]:
    scanner, bulk, at = Scanner(), [], 0
    try:
        while at < len(content):
            size = draw.randint(1, largest) if draw else largest
            scanner.feed(memoryview(content)[at : at + size])
            bulk.append(scanner.take_bulk())
            at += size
        header = scanner.finish()
    except TrothError as error:
        return (type(error),)
    assert not scanner.take_bulk()
    fragments = header.fragments
    places = (list(fragments.starts), list(fragments.lengths)) if fragments else ()
    return (header.head, b"".join(bulk), header.tail, header.values, header.nested, header.bulk_length, places)


def test_bare_dataset_as_dimse_sends_it() -> None:
    content = dataset(pixels=bytes(16))
    header, bulk = scan(content, EXPLICIT)
    assert (header.head + bulk, header.syntax, header.rows, bulk) == (content, EXPLICIT, 4, bytes(16))
    assert header.bulk_tag == 0x7FE00010
    assert header.bulk_vr == "OB"


def test_syntax_is_what_the_bytes_are_not_what_they_claim() -> None:
    assert scan(dataset(), "1.2.840.10008.1.2")[0].syntax == EXPLICIT
    implicit = wheel("MR_small_implicit.dcm")
    assert scan(implicit)[0].syntax == "1.2.840.10008.1.2"
    claimed = implicit.replace(b"\x12\x001.2.840.10008.1.2\0", b"\x14\x001.2.840.10008.1.2.1\0")
    assert claimed != implicit
    assert scan(claimed)[0].syntax == "1.2.840.10008.1.2"


def test_preamble_is_dropped() -> None:
    polyglot = b"<script>".ljust(128, b"\0") + file(dataset(pixels=bytes(16)))[128:]
    header, bulk = scan(polyglot)
    assert b"<script>" not in header.head + bulk


def test_head_is_ready_before_the_end() -> None:
    content = file(dataset(pixels=bytes(16)))
    scanner = Scanner()
    scanner.feed(content[:-16])
    assert scanner.head_ready
    assert scanner.take_bulk() == b""
    scanner.feed(content[-16:])
    assert scanner.take_bulk() == bytes(16)
    assert scanner.finish().bulk_bytes == 16


def test_document_is_bulk_and_its_kind_is_still_known() -> None:
    mime = encode.text(0x00420012, "LO", "application/pdf")
    content = dataset(between=encode.element(0x00420011, "OB", b"%PDF" * 1000) + mime)
    header, bulk = scan(content, EXPLICIT)
    assert header.bulk_tag == 0x00420011
    assert header.tail == mime
    assert header.values[0x00420012] == "application/pdf"
    assert header.head + bulk == content
    assert not header.has_pixels


def test_large_private_value_is_bulk() -> None:
    content = dataset(between=encode.element(0x00291010, "OB", bytes(5 << 20)))
    with flat_memory():
        scanner = Scanner(EXPLICIT)
        for at in range(0, len(content), 65536):
            scanner.feed(content[at : at + 65536])
            scanner.take_bulk()
        header = scanner.finish()
    assert header.bulk_tag == 0x00291010
    assert len(header.head) < 1000


def test_request_attributes_are_read_item_by_item() -> None:
    items = [encode.text(0x00400009, "SH", f"S{n}") + encode.text(0x00401001, "SH", f"P{n}") for n in (1, 2)]
    header, _ = scan(dataset(between=encode.sequence(0x00400275, items)), EXPLICIT)
    assert header.nested[0x00400275] == [
        {0x00400009: "S1", 0x00401001: "P1"},
        {0x00400009: "S2", 0x00401001: "P2"},
    ]


def huge(tag: int, vr: bytes, length: int) -> bytes:
    return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, length)


def encapsulated(*fragments: bytes, end: bool = True, table: bytes = b"") -> bytes:
    items = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(one)) + one for one in (table, *fragments))
    delimiter = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0) if end else b""
    return dataset() + huge(0x7FE00010, b"OB", 0xFFFFFFFF) + items + delimiter


JPEG = "1.2.840.10008.1.2.4.50"
HOSTILE = {
    "empty": (b"", NotDicom),
    "text": (b"not a DICOM file, " * 100, NotDicom),
    "prefix and garbage": (bytes(128) + b"DICM" + random.Random(1).randbytes(4000), Malformed),
    "prefix alone": (bytes(128) + b"DICM", Truncated),
    "cut in the meta group": (file(dataset())[:160], Truncated),
    "cut in the header": (file(dataset(pixels=bytes(16)))[:-60], Truncated),
    "cut in the pixels": (file(dataset(pixels=bytes(16)))[:-1], Truncated),
    "20,000 sequences": (file(dataset(between=nested(20_000))), TooDeep),
    "17 sequences of defined length": (file(dataset(between=nested(17, is_defined=True))), TooDeep),
    "path as UID": (file(dataset(instance="../../../etc/passwd")), UidInvalid),
    "empty component": (file(dataset(study="1..2")), UidInvalid),
    "65 characters": (file(dataset(series="1." + "2" * 63)), UidInvalid),
    "104 characters": (file(dataset(instance="1." + "2" * 102)), UidInvalid),
    "no study UID": (file(dataset(study="")), UidInvalid),
    "4 GB of text": (file(dataset(between=huge(0x00204000, b"UT", 0xFFFFFFF0) + bytes(99))), HeadTooLarge),
    "4 GB of sequence": (file(dataset(between=huge(0x00400275, b"SQ", 0xFFFFFFF0) + bytes(99))), TrothError),
    "4 GB of pixels": (file(dataset() + huge(0x7FE00010, b"OW", 0xFFFFFFF0) + bytes(999)), Truncated),
    "text without end": (file(dataset(between=huge(0x00204000, b"UT", 0xFFFFFFFF) + bytes(99))), Malformed),
    "group 0002 in the data set": (
        file(encode.text(0x00080005, "CS", "") + encode.text(0x00020010, "UI", "1.2")), Malformed),
    "group 0000 at DIMSE": (file(encode.text(0x00000002, "UI", CT) + dataset()), Malformed),
    "UID twice": (file(dataset(between=encode.text(0x0020000D, "UI", "1.2.9"))), Malformed),
    "patient after the pixels": (file(dataset(pixels=bytes(16)) + encode.text(0x00100020, "LO", "X")), Malformed),
    "unknown VR": (file(dataset(between=encode.element(0x00204000, "ZZ", b"xx"))), Malformed),
    "value longer than its item": (
        file(dataset(between=encode.sequence(0x00081140, [encode.text(0x00081150, "UI", "1.2")[:-2]]))), Malformed),
    "item outside a sequence": (file(dataset() + struct.pack("<HHL", 0xFFFE, 0xE000, 0)), Malformed),
    "unknown syntax": (file(dataset(), "1.2.3.4"), SyntaxUnknown),
    "fragments without end": (file(encapsulated(b"\xff\xd8aa", end=False), JPEG), Truncated),
    "something else than a fragment": (file(encapsulated(end=False) + bytes(16), JPEG), Malformed),
    "fragment of 4 GB": (
        file(encapsulated(end=False) + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFF0) + bytes(99), JPEG), Truncated),
    "broken offset table": (file(encapsulated(table=b"abcdef"), JPEG), Malformed),
    "not deflated": (file(b"\xff" * 4000, "1.2.840.10008.1.2.1.99"), Malformed),
}  # fmt: skip


@pytest.mark.parametrize("size", [1 << 26, 65536, 999])
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.conformance("large depth")
def test_hostile_bytes_are_refused_clearly(name: str, size: int) -> None:
    content, error = HOSTILE[name]
    with flat_memory(32 << 20), pytest.raises(error) as raised:
        feed_all(content, size)
    assert isinstance(raised.value, TrothError)
    assert "passwd" not in str(raised.value)


def test_the_same_files_without_the_fault_are_taken() -> None:
    assert scan(file(dataset(between=nested(16))))
    assert scan(file(dataset(between=nested(16, is_defined=True))))
    assert scan(file(encapsulated(b"\xff\xd8aa"), JPEG))[0].fragments
    assert scan(file(dataset(series="1." + "2" * 62)))


def feed_all(content: bytes, size: int) -> Header:
    scanner = Scanner()
    for at in range(0, len(content), size):
        scanner.feed(content[at : at + size])
        scanner.take_bulk()
    return scanner.finish()


def deflated(content: bytes, tail_bytes: int) -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [squeeze.compress(content)]
    pieces += [squeeze.compress(bytes(1 << 20)) for _ in range(tail_bytes >> 20)]
    return file(b"".join((*pieces, squeeze.flush())), "1.2.840.10008.1.2.1.99")


@pytest.mark.conformance("large inflated")
def test_deflate_bomb_stops_early() -> None:
    bomb = deflated(dataset() + huge(0x7FE00010, b"OB", 300 << 20), 300 << 20)
    assert len(bomb) < 400_000
    for size in (1 << 20, 65536):
        with flat_memory(), pytest.raises(HeadTooLarge):
            feed_all(bomb, size)


def test_deflated_instance_is_stored_inflated() -> None:
    content = dataset(pixels=random.Random(5).randbytes(16))
    header, bulk = scan(deflated(content, 0))
    assert header.head + bulk == content
    assert header.syntax == EXPLICIT
    with pytest.raises(Truncated):
        scan(deflated(content, 0)[:-5])


def test_limits_can_be_set() -> None:
    content = file(dataset(between=encode.element(0x00091010, "LO", b"x" * 5000)))
    assert scan(content)
    with pytest.raises(HeadTooLarge):
        scan(content, limits=Limits(head_bytes=2000))
    with pytest.raises(HeadTooLarge):
        scan(file(dataset(between=nested(10) * 3)), limits=Limits(elements=20))


LARGE = {
    "a slide of 12,000 tiles": objects.slide, "a segmentation of 5,000 frames": lambda: objects.segmentation(5000),
    "35,000 contours": lambda: objects.structures(35_000, 10),
    "contours of 26 MB": lambda: objects.structures(500, 3000),
    "a text of 28 MB": objects.long_text,
    "200,000 elements": lambda: objects.Made().raw(0x00210010, encode.element(0x00210010, "LO", b"") * 200_000),
}  # fmt: skip


@pytest.mark.parametrize("made", LARGE.values(), ids=LARGE)
@pytest.mark.conformance("large head_bytes")
def test_what_is_large_beside_the_pixels_passes_in_little_memory(made: Callable[[], objects.Made]) -> None:
    one = made()
    content, data_set = one.file, one.data_set
    scanner, digest, most = Scanner(holds_head=False), sha256(), 0
    with flat_memory(8 << 20):
        for at in range(0, len(content), 65536):
            scanner.feed(memoryview(content)[at : at + 65536])
            for passed in (scanner.take_head(), scanner.take_bulk()):
                digest.update(passed)
                most = max(most, len(passed))
        header = scanner.finish()
    digest.update(scanner.take_head() + header.head + scanner.take_bulk())
    assert digest.digest() == sha256(data_set).digest()
    assert (header.instance_uid, header.values[0x00100010]) == (one.instance, "Made^Up")
    assert header.head_bytes + header.bulk_bytes == len(data_set)
    assert most <= 2 << 20


@pytest.mark.parametrize("holds_head", [True, False])
def test_the_answer_does_not_depend_on_how_the_bytes_arrive(holds_head: bool) -> None:
    content, draw = objects.slide(300).file, random.Random(7)
    least = next(most for most in range(1000, 10_000, 50) if is_taken(content, Limits(elements=most), 1 << 20))
    bytes_least = len(scan(content)[0].head)
    for _ in range(50):
        size = draw.choice((1 << 20, draw.randint(1000, 60_000), draw.randint(100, 3000)))
        assert is_taken(content, Limits(elements=least), size, holds_head=holds_head)
        assert not is_taken(content, Limits(elements=least - 50), size, holds_head=holds_head)
        assert is_taken(content, Limits(head_bytes=bytes_least), size, holds_head=holds_head)
        assert not is_taken(content, Limits(head_bytes=bytes_least - 1), size, holds_head=holds_head)


def is_taken(content: bytes, limits: Limits, size: int, *, holds_head: bool = True) -> bool:
    scanner = Scanner(limits=limits, holds_head=holds_head)
    try:
        for at in range(0, len(content), size):
            scanner.feed(content[at : at + size])
        scanner.finish()
    except HeadTooLarge:
        return False
    return True


def test_elements_that_come_deflated_are_counted() -> None:
    content = deflated(dataset(between=encode.element(0x00210010, "LO", b"") * 5000), 0)
    assert scan(content, limits=Limits(inflated_elements=5100))
    with pytest.raises(HeadTooLarge):
        scan(content, limits=Limits(inflated_elements=4900))


ODD_ENDS = {"a block of zeros": bytes(512), "a few": bytes(6), "one": b"\0"}


@pytest.mark.parametrize("zeros", ODD_ENDS.values(), ids=ODD_ENDS)
@pytest.mark.parametrize("has_pixels", [True, False])
@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_zeros_after_the_last_element_are_left_away(zeros: bytes, has_pixels: bool, size: int) -> None:
    made = objects.Made(has_pixels=has_pixels).text(0x7FE10010, "LO", "MAKER") if has_pixels else objects.Made()
    scanner, bulk = Scanner(), b""
    content = made.file + zeros
    for at in range(0, len(content), size):
        scanner.feed(content[at : at + size])
        bulk += scanner.take_bulk()
    header = scanner.finish()
    bulk += scanner.take_bulk()
    assert header.head + bulk == made.data_set
    assert header.bulk_bytes == len(bulk)
    with pytest.raises((Malformed, Truncated)):
        scan(made.file + zeros + b"hidden..")


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_two_blanks_are_what_the_dictionary_says(size: int) -> None:
    """As Orthanc takes it; whoever reads it later reads the same."""
    blank = struct.pack("<HH2sH", 0x0008, 0x0060, b"  ", 2) + b"OT"
    inner = struct.pack("<HH2sH", 0x0008, 0x1155, b"  ", 4) + b"1.2\0"
    made = objects.Made().raw(0x00080060, blank).raw(0x00081140, encode.sequence(0x00081140, [inner]))
    scanner = Scanner()
    for at in range(0, len(made.file), size):
        scanner.feed(made.file[at : at + size])
    header = scanner.finish()
    assert header.values[0x00080060] == "OT"
    peer = pydicom.dcmread(BytesIO(file(header.head[:-12], EXPLICIT)))
    assert (peer.Modality, peer.ReferencedImageSequence[0].ReferencedSOPInstanceUID) == ("OT", "1.2")
    assert reopen(header.head, EXPLICIT).values == header.values
    with pytest.raises(Malformed):
        scan(objects.Made().raw(0x00091010, struct.pack("<HH2sH", 0x0009, 0x1010, b"  ", 2) + b"OT").file)


def test_meta_group_byte_by_byte_is_read_once() -> None:
    content = bytes(128) + b"DICM" + encode.text(0x00020016, "AE", "") * 8000 + file(dataset(pixels=bytes(16)))[132:]
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        assert feed_all(content, 1).instance_uid == "1.2.3"
    finally:
        sys.setprofile(None)
    assert steps < 20 * len(content)


@pytest.mark.conformance("large fragments")
def test_many_fragments_are_refused() -> None:
    content = file(encapsulated(*[b""] * 50), JPEG)
    assert scan(content)[0].fragments
    with pytest.raises(HeadTooLarge):
        scan(content, limits=Limits(fragments=49))
