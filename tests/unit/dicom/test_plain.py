from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from troth.dicom import HeadTooLarge, Malformed, TooDeep, Truncated, read_plain

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


def written(dataset: Dataset, *, implicit: bool = True) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = implicit, True
    write_dataset(file, dataset)
    return bytes(file.getvalue())


def asked() -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.QueryRetrieveLevel = "STUDY"
    dataset.PatientName = "Müller*"
    dataset.StudyInstanceUID = ["1.2", "1.3"]
    inner = Dataset()
    inner.PatientID = "1"
    dataset.OtherPatientIDsSequence = [inner]
    return dataset


@pytest.mark.parametrize("implicit", [True, False])
def test_reads_what_pydicom_writes(implicit: bool) -> None:
    found = read_plain(written(asked(), implicit=implicit), IMPLICIT if implicit else EXPLICIT)
    assert found["00100010"]["Value"] == [{"Alphabetic": "Müller*"}]
    assert found["0020000D"]["Value"] == ["1.2", "1.3"]
    assert found["00101002"]["Value"] == [{"00100020": {"vr": "LO", "Value": ["1"]}}]
    assert read_plain(b"", IMPLICIT) == {}


def test_refuses_what_is_cut_bulky_deep_or_compressed() -> None:
    whole = written(asked())
    for end in range(1, len(whole)):
        with contextlib.suppress(Truncated, Malformed):
            read_plain(whole[:end], IMPLICIT)
    with pytest.raises(Truncated):
        read_plain(whole[:-1], IMPLICIT)
    with pytest.raises(Malformed):
        read_plain(whole + struct.pack("<HHI", 0x7FE0, 0x10, 2) + b"\0\0", IMPLICIT)
    with pytest.raises(Malformed):
        read_plain(whole, "1.2.840.10008.1.2.4.50")
    nested = struct.pack("<HHI", 0x0010, 0x1002, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    with pytest.raises(TooDeep):
        read_plain(nested * 20_000, IMPLICIT)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([IMPLICIT, EXPLICIT]))
def test_noise_is_refused_or_read(noise: bytes, syntax: str) -> None:
    with contextlib.suppress(Malformed, Truncated, TooDeep, HeadTooLarge):
        read_plain(noise, syntax)
