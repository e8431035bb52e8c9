"""The same data set in another syntax means the same to an independent reader, for every native file of pydicom."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pydicom.data
import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from troth import dicom
from troth.dicom import Malformed, can_recode, recode, recoded_unit

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


def natives() -> list[Path]:
    found = []
    for name in sorted(Path(pydicom.data.__file__).with_name("test_files").glob("*.dcm")):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                meta = pydicom.dcmread(str(name), stop_before_pixels=True).file_meta
            if meta.TransferSyntaxUID in (IMPLICIT, EXPLICIT, BIG) and "DICOMDIR" not in str(name):
                found.append(Path(str(name)))
        except Exception:
            continue
    return found


def parsed(octets: bytes, syntax: str) -> Dataset:
    dataset = read_dataset(io.BytesIO(octets), syntax == IMPLICIT, syntax != BIG)
    dataset.decode()
    return dataset


def same(first: Dataset, second: Dataset, path: str = "", *, is_swapped: bool = False) -> None:
    wanted = [e.tag for e in first if e.tag.element and e.tag != 0xFFFCFFFC]
    assert [e.tag for e in second if e.tag.element and e.tag != 0xFFFCFFFC] == wanted, path
    for tag in wanted:
        one, other = first[tag], second[tag]
        if one.VR == "SQ":
            assert len(one.value) == len(other.value)
            for inner, again in zip(one.value, other.value, strict=True):
                same(inner, again, f"{path}{tag}", is_swapped=is_swapped)
        elif is_swapped and one.VR == other.VR == "OW":
            width = max(2, first.BitsAllocated // 8) if tag == 0x7FE00010 and not path else 2
            assert dicom.swapped(one.value, width) == other.value, f"{path}{tag}"
        elif "UN" in (one.VR, other.VR) or one.VR != other.VR:
            assert one.tag.is_private or one.tag.group >= 0x5000 or {one.VR, other.VR} <= {"OB", "OW", "UN", "US", "SS"}
        elif one.tag.group != 32736:
            assert str(one.value) == str(other.value), f"{path}{tag}"


@pytest.mark.parametrize("path", natives(), ids=lambda path: path.stem)
@pytest.mark.parametrize("wanted", [IMPLICIT, EXPLICIT])
def test_it_means_the_same(path: Path, wanted: str) -> None:
    octets = path.read_bytes()
    scanner = dicom.Scanner(None)
    try:
        scanner.feed(octets)
        scanner_bulk = b"".join(bytes(part) for part in [scanner.take_bulk()] if part)
        header = scanner.finish()
    except dicom.Malformed:
        pytest.skip("a scanner does not pass it")
    bulk = scanner_bulk + bytes(scanner.take_bulk())
    value, tail = bulk[: header.bulk_length or 0], bulk[header.bulk_length or 0 :]
    signed = header.values.get(0x00280103) == "1"
    again = recode(header.head, header.syntax, wanted)
    unit = recoded_unit(header.bulk_vr, header.syntax, header.bits_allocated)
    pixels = dicom.swapped(value, unit) if unit > 1 else value
    again += pixels + recode(tail, header.syntax, wanted, is_signed=signed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, after = parsed(header.head + bulk, header.syntax), parsed(again, wanted)
        same(before, after, is_swapped=header.syntax == BIG)
        if header.syntax != BIG and "PixelData" in before:
            assert before.PixelData == after.PixelData
    rescanned = dicom.Scanner(wanted)
    rescanned.feed(again)
    assert rescanned.finish().instance_uid == header.instance_uid


def test_what_cannot_be_rewritten() -> None:
    assert can_recode(BIG, EXPLICIT)
    assert not can_recode(EXPLICIT, BIG)
    assert not can_recode("1.2.840.10008.1.2.5", EXPLICIT)
    with pytest.raises(Malformed):
        recode(b"", EXPLICIT, "1.2.840.10008.1.2.5")
    with pytest.raises(Malformed):
        recode(b"\x08\x00\x05\x00CS", EXPLICIT, IMPLICIT)
