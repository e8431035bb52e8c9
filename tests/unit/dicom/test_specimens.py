from __future__ import annotations

import shutil
import subprocess
from datetime import date
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from troth.dicom import scan
from troth.dicom.specimens import Study, phantom_cr, phantom_ct, retagged, wheel_ct

STUDY = Study("000001", "Weber^Ana", date(1980, 3, 4), "F", date(2026, 10, 12), "A-1001", "CT head", issuer="NORTH")


@pytest.fixture(scope="module")
def drawn() -> list[bytes]:
    return [*phantom_ct(STUDY, slices=6, size=128), *phantom_cr(STUDY, size=128)]


def test_drawn_files_are_valid(drawn: list[bytes], tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed")
    for content in drawn:
        path = tmp_path / "one.dcm"
        path.write_bytes(content)
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False)
        assert b"Error" not in done.stderr


def test_drawn_files_are_one_study(drawn: list[bytes]) -> None:
    headers = [scan(content)[0] for content in drawn]
    assert {header.study_uid for header in headers} == {STUDY.uid()}
    assert len({header.series_uid for header in headers}) == 2
    assert len({header.instance_uid for header in headers}) == 8
    assert {header.values[0x00100010] for header in headers} == {"Weber^Ana"}
    assert {header.values[0x00100021] for header in headers} == {"NORTH"}
    assert [header.values[0x00185101] for header in headers[6:]] == ["PA", "LL"]
    slices = [pydicom.dcmread(BytesIO(content)) for content in drawn[:6]]
    heights = [float(one.ImagePositionPatient[2]) for one in slices]
    assert heights == sorted(heights)
    assert slices[3].pixel_array.max() > 2000 > 100 > slices[3].pixel_array.min()


def test_the_same_seed_draws_the_same(drawn: list[bytes]) -> None:
    assert phantom_ct(STUDY, slices=6, size=128) == drawn[:6]


def test_the_real_image_and_another_person() -> None:
    before = wheel_ct()
    after = retagged(before, PatientName="Roe^Jane", PatientBirthDate="19610704", IssuerOfPatientID="SOUTH")
    one, two = scan(before), scan(after)
    assert one[1] == two[1]
    assert one[0].values[0x00080020] == two[0].values[0x00080020] == "20040119"
    assert two[0].values[0x00100010] == "Roe^Jane"
    assert one[0].study_uid != two[0].study_uid
    assert one[0].instance_uid != two[0].instance_uid
    assert 0x00100040 not in scan(retagged(before, PatientSex=None))[0].values
