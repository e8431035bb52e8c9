from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.archive.rooms import real_files
from troth import dicom
from troth.dicom import metadata_in
from troth.kit.errors import OverBudget

LITTLE = "1.2.840.10008.1.2.1"


def nothing(uri: str) -> bytes:
    raise KeyError(uri)


@pytest.mark.parametrize(
    "path", [one for one in real_files() if one.stat().st_size < 200_000], ids=lambda one: one.name
)
def test_what_was_told_is_written_back(path: Any) -> None:
    try:
        header, bulk = dicom.scan(path.read_bytes())
    except dicom.Malformed:
        pytest.skip("refused at the door")
    told = dicom.to_json(header.head, header.syntax, "x/", inline_bytes=1 << 30, tail=header.tail)
    values = {
        uri: bulk[: header.bulk_length] if header.bulk_length is not None else [b"ab"] * max(header.frames, 1)
        for uri in ["x/7FE00010"]
    }
    written = dicom.draft(told).written(lambda uri: values.get(uri, b""))
    syntax = LITTLE if header.bulk_length is not None or header.bulk_tag is None else header.syntax
    again = dicom.scan(written, syntax)[0]
    assert dicom.to_json(again.head, syntax, "x/", inline_bytes=1 << 30, tail=again.tail) == {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}
    } | {key: one for key, one in told.items() if int(key, 16) >> 16 > 2} | (
        {"7FE00010": again_bulk} if (again_bulk := dicom.to_json(again.head, syntax, "x/").get("7FE00010")) else {}
    )


@pytest.mark.parametrize(
    "told",
    [
        {"0010001": {"vr": "LO"}}, {"00100010": {"vr": "XX", "Value": ["a"]}},
        {"00100020": {"vr": "LO", "Value": [{}]}}, {"00100020": {}}, {"00100020": {"vr": "LO", "Value": "a"}},
        {"00280010": {"vr": "US", "Value": [70000]}}, {"00280010": {"vr": "US", "Value": ["a"]}},
        {"00100010": {"vr": "PN", "Value": ["A^B"]}}, {"00080018": 5}, {"00080018": {}},
        {"00080018": {"vr": "UI", "Value": 5}}, {"00091001": {"vr": "OB", "InlineBinary": "@@"}},
        {"00400275": {"vr": "SQ", "Value": ["x"]}}, {"00204000": {"vr": "LO", "Value": ["x" * 70_000]}},
        {"00280106": {"vr": "OW", "Value": [1]}}, {"00280009": {"vr": "AT", "Value": ["zz"]}},
        {"00420011": {"vr": 7, "BulkDataURI": "a"}}, {"00201041": {"vr": "DS", "Value": [True]}},
        {"00200013": {"vr": "IS", "Value": [10**40]}}, {"00200013": {"vr": "IS", "Value": ["1" * 13]}},
        {"00201041": {"vr": "DS", "Value": ["1" * 17]}}, {"00201041": {"vr": "DS", "Value": [10**400]}},
        {"00420011": {"vr": "OB", "BulkDataURI": "list"}},
    ],
)  # fmt: skip
def test_what_is_not_the_model_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises((dicom.Malformed, KeyError)):
        dicom.draft(told).written(lambda uri: [b"a"] if uri == "list" else nothing(uri))


def test_depth_is_bounded() -> None:
    told: dict[str, Any] = {}
    for _ in range(40):
        told = {"00400275": {"vr": "SQ", "Value": [told]}}
    with pytest.raises(dicom.TooDeep):
        dicom.draft(told)
    for wrong in ({"00080018": 5}, {"00400275": {"vr": "SQ", "Value": [5]}}):
        with pytest.raises(dicom.Malformed):
            dicom.draft(wrong)


def test_values_of_all_kinds() -> None:
    told = {
        "00080008": {"vr": "CS", "Value": ["A", None, "B"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B", "Ideographic": "山"}, None]},
        "00280009": {"vr": "AT", "Value": ["00181063"]},
        "00201041": {"vr": "DS", "Value": [1 / 3, -123456789.123456789, 5, "7.0"]},
        "00091001": {"vr": "OB", "InlineBinary": base64.b64encode(b"abc").decode()},
        "00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["ü"]}}, None]},
        "00020010": {"vr": "UI", "Value": ["1.2"]},
        "00100000": {"vr": "UL", "Value": [4]},
        "00281050": {"vr": "FD", "Value": [1.5]},
        "00280106": {"vr": "OW"},
    }
    read = pydicom.dcmread(BytesIO(dicom.part10("1.2", "1.3", LITTLE) + dicom.draft(told).written(nothing)))
    assert list(read.ImageType) == ["A", "", "B"]
    assert str(read.PatientName[0]) == "A^B=山"
    assert int(read.FrameIncrementPointer) == 0x00181063
    assert [len(one.original_string) <= 16 for one in read[0x00201041].value] == [True] * 4
    assert float(read[0x00201041].value[0]) == pytest.approx(1 / 3)
    assert read[0x00091001].value == b"abc\0"
    assert read.RequestAttributesSequence[0].ScheduledProcedureStepID == "ü"
    assert (0x0010, 0x0000) not in read


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["vr", "Value", "InlineBinary", "BulkDataURI", "00100010", "7FE00010", "SQ"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["00100010", "00400275", "7FE00010", "x"]), JSONISH, max_size=4))
def test_nothing_but_our_own_errors(told: dict[str, Any]) -> None:
    try:
        (drafted,) = metadata_in.unpacked(metadata_in.packed([dicom.draft(told)]))
        assert drafted == dicom.draft(told)
        dicom.scan(drafted.written(lambda _: b""), LITTLE)
    except dicom.Malformed:
        pass


def test_frames_that_are_compressed() -> None:
    written = dicom.draft({"7FE00010": {"vr": "OB", "BulkDataURI": "a"}}).written(lambda _: [b"abc"])
    assert written.endswith(b"\xfe\xff\x00\xe0\x04\x00\x00\x00abc\0\xfe\xff\xdd\xe0\0\0\0\0")


def test_values_that_come_later_have_their_places_at_any_depth() -> None:
    item = {"00420011": {"vr": "OB", "BulkDataURI": "deep"}, "00400009": {"vr": "SH", "Value": ["A"]}}
    told = {
        "00400275": {"vr": "SQ", "Value": [{"00400275": {"vr": "SQ", "Value": [item, {}]}}, None]},
        "00080018": {"vr": "UI", "Value": ["1.2.3"]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "pixels"},
    }
    drafted = dicom.draft(told)
    assert drafted.uris == {"deep", "pixels"}
    assert drafted.instance_uid == "1.2.3"
    content = dicom.part10("1.2", "1.2.3", LITTLE) + drafted.written({"deep": b"abc", "pixels": b"12"}.__getitem__)
    read = pydicom.dcmread(BytesIO(content))
    inner = read.RequestAttributesSequence[0].RequestAttributesSequence
    assert inner[0].EncapsulatedDocument == b"abc\0"
    assert [len(inner), len(read.RequestAttributesSequence), read.PixelData] == [2, 2, b"12"]


@pytest.mark.parametrize(
    "packet",
    [b"", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff[]", b"\x02\0\0\0[]x", b"\x03\0\0\0[5]", b"\x07\0\0\0[[1,2]]"],
)
def test_packets_of_somebody_who_is_not_trusted(packet: bytes) -> None:
    with pytest.raises(dicom.Malformed):
        metadata_in.unpacked(packet)


@pytest.mark.parametrize(
    ("content", "is_xml"),
    [
        (b"[" + b"{}," * 20_000 + b"{}]", False),
        (b"[" * 1_000_001, False),
        (b'{"a":[' + b"1," * 2_000_001 + b"1]}", False),
        (b"<NativeDicomModel>" + b"<a/>" * 1_000_000 + b"</NativeDicomModel>", True),
    ],
    ids=["instances", "items", "values", "elements"],
)
def test_items_are_counted_like_bytes(content: bytes, is_xml: bool) -> None:
    with pytest.raises(OverBudget):
        metadata_in.read(content, is_xml=is_xml)


def xml_of(numbers: list[int]) -> bytes:
    values = b"".join(b'<Value number="%d">A</Value>' % number for number in numbers)
    return (
        b'<NativeDicomModel><DicomAttribute tag="00080008" vr="CS">' + values + b"</DicomAttribute></NativeDicomModel>"
    )


def test_a_number_in_the_input_never_sizes_a_list() -> None:
    (told,) = metadata_in.datasets(xml_of([1, 4, 18]), is_xml=True)
    assert told["00080008"]["Value"] == ["A", None, None, "A", *[None] * 13, "A"]
    for numbers in ([100_000], [1, 19 + 3], [0], [10**40]):
        with pytest.raises(dicom.Malformed):
            metadata_in.datasets(xml_of(numbers), is_xml=True)
