from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileSet

from tests.unit.dicom.files import CT, EXPLICIT, some_files
from troth.dicom import Header, Listed, Malformed, part10, scan, to_json, write_dicomdir
from troth.kit.errors import TrothError


def instances() -> dict[str, tuple[Header, bytes]]:
    """One of each SOP instance of the wheel, by its UID."""
    found: dict[str, tuple[Header, bytes]] = {}
    for path in some_files():
        try:
            header, bulk = scan(path.read_bytes())
        except TrothError:
            continue
        if header.study_uid.startswith("999."):
            continue  # not a root that may be given out; dciodvfy minds
        found.setdefault(header.instance_uid, (header, bulk))
    return found


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Header]]:
    folder = tmp_path_factory.mktemp("media")
    (folder / "DICOM").mkdir()
    listed, headers = [], []
    for number, (header, bulk) in enumerate(instances().values()):
        file_id = ("DICOM", f"I{number:07d}")
        front = part10(header.sop_class, header.instance_uid, header.syntax)
        folder.joinpath(*file_id).write_bytes(front + header.head + bulk)
        listed.append(Listed.of_header(file_id, header))
        headers.append(header)
    (folder / "DICOMDIR").write_bytes(write_dicomdir(listed))
    return folder, headers


def test_pydicom_reads_the_file_set(media: tuple[Path, list[Header]]) -> None:
    folder, headers = media
    peer = FileSet(folder / "DICOMDIR")
    assert {one.SOPInstanceUID for one in peer} == {header.instance_uid for header in headers}
    assert len(peer) == len(headers) > 100
    by_uid = {header.instance_uid: header for header in headers}
    names: dict[str, set[str]] = {}
    for header in headers:
        names.setdefault(header.values.get(0x00100020, ""), set()).add(header.values.get(0x00100010, ""))
    for one in peer:
        header = by_uid[one.SOPInstanceUID]
        assert one.load().SOPInstanceUID == header.instance_uid
        assert one.StudyInstanceUID == header.study_uid
        assert one.SeriesInstanceUID == header.series_uid
        assert (one.PatientID == header.values.get(0x00100020)) or one.PatientID.startswith("TROTH")
        assert str(one.PatientName).rstrip("=") in names[header.values.get(0x00100020, "")]


@pytest.mark.parametrize("program", [["dciodvfy"], ["dcmdump", "-q"], ["dcdirdmp"]], ids=lambda program: program[0])
def test_other_toolkits_find_no_error(media: tuple[Path, list[Header]], program: list[str]) -> None:
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    done = subprocess.run([*program, str(media[0] / "DICOMDIR")], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"Error" not in done.stderr + done.stdout
    if program[0] == "dcmdump":
        assert done.stdout.count(b'"Directory Record"') > 3 * 20


def test_json_lists_the_same(media: tuple[Path, list[Header]]) -> None:
    for header in media[1]:
        file_id = ("A", "B")
        metadata = to_json(header.head, header.syntax, "", tail=header.tail)
        by_json = write_dicomdir([Listed.of_json(file_id, header.syntax, metadata)], instance_uid="1.2")
        by_header = write_dicomdir([Listed.of_header(file_id, header)], instance_uid="1.2")
        assert pydicom.dcmread(BytesIO(by_json)) == pydicom.dcmread(BytesIO(by_header))


def test_two_people_with_one_patient_id() -> None:
    values = {0x00100020: "000001", 0x0020000D: "1.2", 0x0020000E: "1.3", 0x00200013: "1"}
    listed = [
        Listed(("A",), CT, "1.4", EXPLICIT, values | {0x00100021: "NORTH", 0x00100010: "One"}),
        Listed(("B",), CT, "1.5", EXPLICIT, values | {0x00100021: "SOUTH", 0x00100010: "Two"}),
    ]
    read = pydicom.dcmread(BytesIO(write_dicomdir(listed)))
    kinds = [record.DirectoryRecordType for record in read.DirectoryRecordSequence]
    assert kinds == ["PATIENT", "STUDY", "SERIES", "IMAGE"] * 2


def test_values_that_no_directory_may_hold() -> None:
    values = {
        0x00100020: "X" * 60_000, 0x00100010: "ü" * 60_000, 0x0020000D: "1.2", 0x0020000E: "1.3",
        0x00080020: "2001.02.03", 0x00080030: "noon", 0x00200013: "first",
    }  # fmt: skip
    read = pydicom.dcmread(BytesIO(write_dicomdir([Listed(("A",), CT, "1.4", EXPLICIT, values)])))
    patient, study, _, image = read.DirectoryRecordSequence
    assert (len(patient.PatientID), study.StudyDate, study.StudyTime) == (64, "20010203", "000000")
    assert image.InstanceNumber == 0


def test_nothing_listed() -> None:
    read = pydicom.dcmread(BytesIO(write_dicomdir([])))
    assert len(read.DirectoryRecordSequence) == 0


@pytest.mark.parametrize("file_id", [(), ("lower",), ("TOOLONGNAME",), ("..", "A"), ("A/B",), ("A",) * 9, ("",)])
def test_file_ids_that_media_cannot_carry(file_id: tuple[str, ...]) -> None:
    with pytest.raises(Malformed):
        write_dicomdir([Listed(file_id, CT, "1.4", EXPLICIT, {})])
