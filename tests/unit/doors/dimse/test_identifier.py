"""What a peer asks for, and what it is answered."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from troth.doors.dimse import identifier as identifiers
from troth.doors.dimse.errors import IdentifierWrong, KeyNotHonoured
from troth.doors.dimse.offered import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Root


def written(syntax: str = IMPLICIT_LITTLE, **values: Any) -> bytes:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = syntax == IMPLICIT_LITTLE, True
    write_dataset(file, dataset)
    return bytes(file.getvalue())


def parsed(root: Root = "study", **values: Any) -> identifiers.Identifier:
    return identifiers.parse(written(**values), IMPLICIT_LITTLE, root)


def test_keys_by_their_tag() -> None:
    found = parsed(QueryRetrieveLevel="STUDY", PatientName="A^B=C", StudyInstanceUID=["1.2", "1.3"], StudyDate="")
    assert found.level == "STUDY"
    assert found.keys[0x00100010] == "A^B=C"
    assert found.uids("STUDY") == ["1.2", "1.3"]
    assert identifiers.matching_keys(found).keys() == {0x00100010, 0x0020000D}


@pytest.mark.parametrize("universal", ["", "*", "**", " * "])
def test_universal_matching_is_no_key(universal: str) -> None:
    found = parsed(QueryRetrieveLevel="STUDY", PatientID=universal)
    assert identifiers.matching_keys(found) == {}


@pytest.mark.parametrize(
    ("root", "values", "is_right"),
    [
        ("study", {"QueryRetrieveLevel": "STUDY"}, True),
        ("study", {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2"}, True),
        ("study", {"QueryRetrieveLevel": "SERIES"}, False),
        ("study", {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": "1.2"}, False),
        ("study", {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3"}, True),
        ("patient", {"QueryRetrieveLevel": "PATIENT"}, True),
        ("patient", {"QueryRetrieveLevel": "STUDY", "PatientID": "1"}, True),
        ("patient", {"QueryRetrieveLevel": "STUDY", "PatientID": "1\\2"}, False),
        ("patient", {"QueryRetrieveLevel": "STUDY", "PatientID": "1*"}, False),
        ("patient", {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2"}, False),
    ],
    ids=str,
)
def test_each_level_above_must_be_named(root: Root, values: dict[str, str], is_right: bool) -> None:
    found = parsed(root, **values)
    if is_right:
        identifiers.require_hierarchy(found)
        return
    with pytest.raises(IdentifierWrong) as caught:
        identifiers.require_hierarchy(found)
    assert caught.value.dimse_status == 0xA900
    assert caught.value.offending


def test_a_level_of_another_model() -> None:
    for root, level in (("study", "PATIENT"), ("patient", "VISIT"), ("study", "")):
        with pytest.raises(IdentifierWrong):
            parsed(root, QueryRetrieveLevel=level)  # type: ignore[arg-type]


def test_bytes_are_no_key() -> None:
    found = parsed(QueryRetrieveLevel="STUDY", PixelPaddingValue=None)
    assert identifiers.matching_keys(found) == {}
    raw = written(QueryRetrieveLevel="STUDY") + struct.pack("<HHI", 0x0009, 0x1001, 4) + b"\1\2\3\4"
    with pytest.raises(KeyNotHonoured) as caught:
        identifiers.matching_keys(identifiers.parse(raw, IMPLICIT_LITTLE, "study"))
    assert (caught.value.dimse_status, caught.value.offending) == (0xC001, 0x00091001)


@pytest.mark.parametrize("syntax", [IMPLICIT_LITTLE, EXPLICIT_LITTLE])
def test_pydicom_reads_our_answer(syntax: str) -> None:
    asked = parsed(QueryRetrieveLevel="STUDY", PatientName="", StudyID="", NumberOfStudyRelatedInstances="")
    values = {0x00100010: "Müller^J=山田", 0x0020000D: "1.2.3", 0x00201208: "12", 0x00100021: "HOSP"}
    encoded, is_whole = identifiers.answer(asked, values, "TROTH", syntax)
    read = read_dataset(io.BytesIO(encoded), syntax == IMPLICIT_LITTLE, True)
    assert is_whole
    assert (read.PatientName, read.StudyInstanceUID) == ("Müller^J=山田", "1.2.3")
    assert (read.NumberOfStudyRelatedInstances, read.StudyID) == (12, "")
    assert (read.IssuerOfPatientID, read.RetrieveAETitle, read.QueryRetrieveLevel) == ("HOSP", "TROTH", "STUDY")
    assert "PatientID" not in read


def test_what_is_not_kept_is_left_out_and_said_to_be() -> None:
    asked = parsed(QueryRetrieveLevel="STUDY", OtherPatientNames="")
    encoded, is_whole = identifiers.answer(asked, {0x0020000D: "1.2"}, "TROTH", IMPLICIT_LITTLE)
    assert not is_whole
    assert "OtherPatientNames" not in read_dataset(io.BytesIO(encoded), True, True)


def test_numbers_are_binary_where_their_vr_is() -> None:
    encoded = identifiers.encode({0x00280010: "512"}, EXPLICIT_LITTLE)
    assert encoded == struct.pack("<HH2sHH", 0x28, 0x10, b"US", 2, 512)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([IMPLICIT_LITTLE, EXPLICIT_LITTLE]))
def test_noise_is_refused_or_read(noise: bytes, syntax: str) -> None:
    level = written(syntax, QueryRetrieveLevel="STUDY")
    try:
        found = identifiers.parse(level + noise, syntax, "study")
        identifiers.matching_keys(found)
    except IdentifierWrong:
        return
    assert found.level == "STUDY"
