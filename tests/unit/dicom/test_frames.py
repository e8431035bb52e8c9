from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.pixels import pixel_array

from tests.unit.dicom.files import EXPLICIT, PEER_CANNOT, dataset, encode_fragments, name_of, some_files, wheel
from troth.dicom import FrameTable, Header, Malformed, encode, frame_table, reopen, scan, swapped
from troth.kit.errors import TrothError


def pictures() -> list[Path]:
    found = []
    for path in some_files():
        try:
            header, _ = scan(path.read_bytes())
        except TrothError:
            continue
        if header.has_pixels and path.name not in PEER_CANNOT and path.stat().st_size < 1 << 20:
            found.append(path)
    return found


@pytest.mark.parametrize("path", pictures(), ids=name_of)
def test_frames_are_what_pydicom_reads(path: Path) -> None:
    header, bulk = scan(path.read_bytes())
    table = frame_table(header, lambda start, stop: bulk[start:stop])
    assert FrameTable.from_bytes(table.to_bytes()).to_bytes() == table.to_bytes()
    # From the stored head alone it is the same.
    again = frame_table(reopen(header.head, header.syntax), lambda start, stop: bulk[start:stop])
    assert again.to_bytes() == table.to_bytes()
    peer = pydicom.dcmread(path, force=True)
    frames = [table.read(number, lambda start, stop: bulk[start:stop]) for number in range(1, table.count + 1)]
    for step in (336, 1 << 20):
        for number, one in enumerate(frames[:3], 1):
            parts = [made(bulk[start:stop]) for start, stop, made in table.parts(number, step)]
            assert b"".join(parts) == one
            assert table.length_bytes(number) == len(one)
    if header.is_encapsulated:
        assert frames == list(generate_frames(peer.PixelData, number_of_frames=table.count))
    elif header.bits_allocated == 1:
        bits = [np.unpackbits(np.frombuffer(one, "u1"), bitorder="little")[: table.frame_bits] for one in frames]
        assert np.array_equal(np.concatenate(bits), peer.pixel_array.ravel())
    elif "TransferSyntaxUID" in peer.file_meta and header.photometric != "YBR_FULL_422":
        kind = f"<u{header.bits_allocated // 8}"
        for number, one in enumerate(frames):
            expected = pixel_array(peer, index=number, raw=True)
            got = np.frombuffer(one, kind)
            if header.values.get(0x00280006) == "1":
                expected = np.moveaxis(expected, -1, 0)
            mask = (1 << (header.number(0x00280101) or header.bits_allocated)) - 1  # pydicom extends the sign
            assert np.array_equal(got.astype("u8") & mask, expected.ravel().astype("i8").astype("u8") & mask)


def test_parts_end_where_the_units_of_the_store_do() -> None:
    step = 4096
    native = FrameTable(3, 8 * 10_001, 1, 30_003)
    fragments = FrameTable(2, 0, 1, 0, [0, 1], [8, 9_000], [8_950, 9_001])
    for table in (native, fragments):
        for number in range(1, table.count + 1):
            places = [(start, stop) for start, stop, _ in table.parts(number, step)]
            first, last = places[0][0] // step, (places[-1][1] - 1) // step
            assert [(start // step, (stop - 1) // step) for start, stop in places] == [
                (unit, unit) for unit in range(first, last + 1)
            ]
    bits = FrameTable(3, 8 * 10_001 + 3, 1, 30_005)  # which begin within a byte: one byte is read twice
    for number in (2, 3):
        places = [(start, stop) for start, stop, _ in bits.parts(number, step)]
        assert [stop % step for _, stop in places[:-1]] == [1] * (len(places) - 1)


def test_one_bit_frames_that_share_a_byte() -> None:
    bits = np.random.default_rng(3).integers(0, 2, (5, 9), dtype="u1")
    shape = b"".join(
        (
            encode.text(0x00280008, "IS", "5"),
            encode.number(0x00280010, "US", 3),
            encode.number(0x00280011, "US", 3),
            encode.number(0x00280100, "US", 1),
            encode.element(0x7FE00010, "OB", np.packbits(bits.ravel(), bitorder="little").tobytes()),
        )
    )
    header, bulk = scan(dataset(between=shape), EXPLICIT)
    table = frame_table(header)
    for number in range(1, 6):
        frame = table.read(number, lambda start, stop: bulk[start:stop])
        assert len(frame) == 2
        got = np.unpackbits(np.frombuffer(frame, "u1"), bitorder="little")
        assert list(got[:9]) == list(bits[number - 1])
        assert not got[9:].any()


def encapsulated(frames: str, fragments: list[bytes], offsets: bytes = b"") -> tuple[Header, bytes]:
    between = encode.text(0x00280008, "IS", frames)
    content = dataset(between=between) + encode_fragments([offsets, *fragments])
    return scan(content, "1.2.840.10008.1.2.4.50")


def test_frames_of_several_fragments() -> None:
    parts = [b"\xff\xd8one", b"more", b"\xff\xd8two", b"rest"]
    parts = [part + b"\0" * (len(part) % 2) for part in parts]
    expected = [parts[0] + parts[1], parts[2] + parts[3]]
    offset = 8 + len(parts[0]) + 8 + len(parts[1])
    for offsets in (struct.pack("<2L", 0, offset), b"", struct.pack("<2L", 0, 7)):
        header, bulk = encapsulated("2", parts, offsets)
        table = frame_table(header, lambda start, stop, bulk=bulk: bulk[start:stop])
        assert [table.read(n, lambda start, stop, bulk=bulk: bulk[start:stop]) for n in (1, 2)] == expected
    header, _ = encapsulated("2", parts)
    with pytest.raises(Malformed):
        frame_table(header)  # nothing tells them apart unread
    header, bulk = encapsulated("1", parts)
    assert frame_table(header).read(1, lambda start, stop: bulk[start:stop]) == b"".join(parts)


@pytest.mark.parametrize("fragments", [[], [b"\xff\xd8one!"]], ids=["without fragments", "with one"])
def test_no_frames_at_all(fragments: list[bytes]) -> None:
    header, bulk = encapsulated("0", fragments)  # found by fuzzing
    assert header.has_pixels
    with pytest.raises(Malformed):
        frame_table(header, lambda start, stop: bulk[start:stop])


def test_no_such_frame() -> None:
    table = frame_table(scan(wheel("CT_small.dcm"))[0])
    for number in (0, 2, -1):
        with pytest.raises(IndexError):
            table.ranges(number)


def test_no_pixels() -> None:
    with pytest.raises(Malformed):
        frame_table(scan(wheel("reportsi.dcm"))[0])


def test_swapped() -> None:
    assert swapped(b"abcdefgh!", 2) == b"badcfehg!"
    assert swapped(b"abcdefgh", 4) == b"dcbahgfe"


def test_numbers_that_promise_more_than_there_is_make_no_frames() -> None:
    """It is kept all the same; whoever reads it allocates by the bytes that are there."""
    few = encode.number(0x00280010, "US", 65535) + encode.number(0x00280011, "US", 65535)
    few += encode.number(0x00280100, "US", 16) + encode.element(0x7FE00010, "OW", bytes(512))
    header, bulk = scan(dataset(between=few), EXPLICIT)
    assert len(bulk) == 512
    with pytest.raises(Malformed):
        frame_table(header)
