"""A corrected instance says what it says now and what it said before; nothing else of it changes."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.unit.dicom.files import every_file, wheel
from troth.dicom import CannotCorrect, Correction, Header, Scanner, corrected, part10, reopen
from troth.kit.errors import TrothError

NAME, PATIENT_ID, BIRTH = 0x00100010, 0x00100020, 0x00100030
AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
VALUES = {NAME: "Brook^Ada", PATIENT_ID: "CORRECTED-1", BIRTH: "19470211"}
_WHOLE = {0x04000561}


def scanned(octets: bytes) -> tuple[Header, bytes]:
    scanner = Scanner()
    scanner.feed(octets)
    bulk = scanner.take_bulk()
    return scanner.finish(), bulk


def again(header: Header, bulk: bytes, correction: Correction) -> Dataset:
    """The corrected instance, as pydicom reads it."""
    head, tail = corrected(header.head, header.tail, header.syntax, correction)
    if tail != header.tail:
        bulk = bulk[: len(bulk) - len(header.tail)] + tail
    reopen(head, header.syntax)
    return read(header, head, bulk)


def read(header: Header, head: bytes, bulk: bytes) -> Dataset:
    front = part10(header.sop_class, header.instance_uid, header.syntax)
    return pydicom.dcmread(BytesIO(front + head + bulk), force=True)


def readable() -> list[str]:
    """Names of all real files that a scanner takes and whose top level pydicom reads without complaint."""
    names = []
    for path in every_file():
        if path.stat().st_size > 1 << 20:
            continue
        try:
            scanned(path.read_bytes())
        except TrothError:
            continue
        names.append(str(path))
    return names


@pytest.mark.parametrize("name", readable(), ids=lambda name: name.rsplit("/", 1)[-1])
@pytest.mark.conformance("attributes correction")
def test_nothing_else_changes_in_any_real_file(name: str) -> None:
    with open(name, "rb") as file:
        header, bulk = scanned(file.read())
    before = read(header, header.head, bulk)
    after = again(header, bulk, Correction(VALUES, AT, "TROTH", "Example Hospital"))
    assert (str(after.PatientName), after.PatientID, after.PatientBirthDate) == tuple(VALUES.values())
    [*_, told] = after.OriginalAttributesSequence
    assert len(after.OriginalAttributesSequence) == len(before.get("OriginalAttributesSequence") or []) + 1
    assert told.ModifyingSystem == "TROTH"
    assert told.ReasonForTheAttributeModification == "CORRECT"
    assert told.AttributeModificationDateTime == "20261122093000.000000+0000"
    [modified] = told.ModifiedAttributesSequence
    for tag in VALUES:
        assert bytes(str(modified[tag].value), "utf8") == bytes(str(before[tag].value if tag in before else ""), "utf8")
    kept = [tag for tag in list(before.keys()) if tag not in VALUES and tag not in _WHOLE and tag.element]
    assert [tag for tag in list(after.keys()) if tag not in VALUES and tag not in _WHOLE] == kept
    for tag in kept:
        assert after[tag] == before[tag], tag


def test_a_second_correction_tells_both() -> None:
    header, bulk = scanned(wheel("CT_small.dcm"))
    head, _ = corrected(header.head, header.tail, header.syntax, Correction({NAME: "One^A"}, AT, "TROTH"))
    second = again(reopen(head, header.syntax), bulk, Correction({NAME: "Two^B"}, AT, "TROTH", reason="COERCE"))
    told = [str(one.ModifiedAttributesSequence[0].PatientName) for one in second.OriginalAttributesSequence]
    assert told == ["CompressedSamples^CT1", "One^A"]
    assert [one.ReasonForTheAttributeModification for one in second.OriginalAttributesSequence] == ["CORRECT", "COERCE"]


def test_an_attribute_that_was_not_there_is_told_as_empty() -> None:
    header, bulk = scanned(wheel("CT_small.dcm"))
    after = again(header, bulk, Correction({0x00100021: "Example Hospital"}, AT, "TROTH"))
    assert after.IssuerOfPatientID == "Example Hospital"
    [told] = after.OriginalAttributesSequence
    assert told.ModifiedAttributesSequence[0].IssuerOfPatientID == ""


def test_an_ascii_instance_turns_to_utf8_when_a_name_needs_it() -> None:
    header, bulk = scanned(wheel("MR_small.dcm"))
    after = again(header, bulk, Correction({NAME: "Müller^Zoë=山田"}, AT, "TROTH"))
    assert after.SpecificCharacterSet == "ISO_IR 192"
    assert str(after.PatientName) == "Müller^Zoë=山田"
    assert after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].SpecificCharacterSet != "ISO_IR 192"


@pytest.mark.parametrize(
    "values",
    [
        {0x00080005: "ISO_IR 100"},
        {0x00280010: "512"},
        {0x00091001: "private"},
        {BIRTH: "１９４７"},
        {0x7FE00010: "pixels"},
        {0xFFFCFFFC: "padding"},
    ],
)
def test_what_is_not_corrected(values: dict[int, str]) -> None:
    header, _ = scanned(wheel("CT_small.dcm"))
    with pytest.raises(CannotCorrect):
        corrected(header.head, header.tail, header.syntax, Correction(values, AT, "TROTH"))


def test_a_name_is_written_in_the_characters_of_the_instance() -> None:
    header, bulk = scanned(next(one for one in every_file() if one.name == "chrGerm.dcm").read_bytes())
    after = again(header, bulk, Correction({NAME: "Größe^Jörg"}, AT, "TROTH"))
    assert (after.SpecificCharacterSet, str(after.PatientName)) == ("ISO_IR 100", "Größe^Jörg")


def test_other_characters_are_not_put_beside_an_older_repertoire() -> None:
    header, _ = scanned(next(one for one in every_file() if one.name == "chrGerm.dcm").read_bytes())
    with pytest.raises(CannotCorrect):
        corrected(header.head, header.tail, header.syntax, Correction({NAME: "山田^太郎"}, AT, "TROTH"))


OWN = (0x00080018, 0x0020000D, 0x0020000E)


def renamed(header: Header) -> dict[str, str]:
    return {uid: f"2.25.{number}" for number, uid in enumerate((header.study_uid, header.series_uid), 10**30)}


@pytest.mark.parametrize("name", readable(), ids=lambda name: name.rsplit("/", 1)[-1])
def test_uids_change_wherever_they_stand_and_nothing_else(name: str) -> None:
    with open(name, "rb") as file:
        header, bulk = scanned(file.read())
    uids = renamed(header) | {header.instance_uid: "2.25.7"}
    before = read(header, header.head, bulk)
    after = again(header, bulk, Correction({}, AT, "TROTH", reason="COERCE", uids=uids, references=uids))
    assert [after[tag].value for tag in OWN] == [uids[str(before[tag].value)] for tag in OWN]
    [*_, told] = after.OriginalAttributesSequence
    [modified] = told.ModifiedAttributesSequence
    assert told.ReasonForTheAttributeModification == "COERCE"
    for element in modified:
        assert element == before[element.tag], element.tag  # sequences as a whole, as they were
    kept = [tag for tag in list(before.keys()) if tag not in modified and tag not in _WHOLE and tag.element]
    for tag in kept:
        assert after[tag] == before[tag], tag
    left = [one for one in everything(after, {0x04000561}) if one in uids]
    assert left == []


def everything(dataset: Dataset, history: set[int]) -> list[str]:
    """Every UID of a data set but for its history."""
    found: list[str] = []
    for element in dataset:
        if element.tag in history:
            continue
        if element.VR == "SQ":
            found += [uid for item in element.value or [] for uid in everything(item, history)]
        elif element.VR == "UI":
            values = (
                element.value
                if isinstance(element.value, list) or hasattr(element.value, "append")
                else [element.value]
            )
            found += [str(value) for value in values]
    return found


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
@pytest.mark.parametrize("is_undefined", [False, True])
def test_references_in_sequences_follow(syntax: str, is_undefined: bool) -> None:
    dataset = pydicom.dcmread(BytesIO(wheel("CT_small.dcm")))
    inner, outer = Dataset(), Dataset()
    inner.ReferencedSOPInstanceUID = "1.2.3.4"
    inner.ReferencedSOPClassUID = dataset.SOPClassUID
    outer.SeriesInstanceUID = "1.2.3"
    outer.ReferencedSOPSequence = [inner]
    dataset.ReferencedSeriesSequence = [outer]
    dataset["ReferencedSeriesSequence"].is_undefined_length = is_undefined
    outer["ReferencedSOPSequence"].is_undefined_length = is_undefined
    outer.is_undefined_length_sequence_item = inner.is_undefined_length_sequence_item = is_undefined
    buffer = BytesIO()
    dataset.file_meta.TransferSyntaxUID = syntax
    is_little = syntax != "1.2.840.10008.1.2.2"
    pydicom.dcmwrite(
        buffer, dataset, enforce_file_format=True, implicit_vr=syntax == "1.2.840.10008.1.2", little_endian=is_little
    )
    header, bulk = scanned(buffer.getvalue())
    references = {"1.2.3": "2.25.31", "1.2.3.4": "2.25.4444444444444444444444444444444444444"}
    after = again(header, bulk, Correction({}, AT, "TROTH", references=references))
    [series] = after.ReferencedSeriesSequence
    [one] = series.ReferencedSOPSequence
    assert (series.SeriesInstanceUID, one.ReferencedSOPInstanceUID) == tuple(references.values())
    assert one.ReferencedSOPClassUID == dataset.SOPClassUID
    [told] = after.OriginalAttributesSequence
    assert told.ModifiedAttributesSequence[0].ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3"
    assert (after.StudyInstanceUID, len(after.PixelData)) == (header.study_uid, len(dataset.PixelData))
