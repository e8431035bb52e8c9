from __future__ import annotations

import shutil
import subprocess
from datetime import date
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from troth.dicom import scan
from troth.dicom.specimens import Study, phantom_cr, phantom_ct, retagged, wheel_ct_series

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


def test_wheel_series_and_another_person() -> None:
    series = wheel_ct_series()
    assert len(series) == 5
    other = [
        retagged(content, PatientName="Roe^Jane", PatientBirthDate="19610704", IssuerOfPatientID="SOUTH")
        for content in series
    ]
    for before, after in zip(series, other, strict=True):
        one, two = scan(before), scan(after)
        assert one[1] == two[1]
        assert one[0].values[0x00100020] == two[0].values[0x00100020]
        assert two[0].values[0x00100010] == "Roe^Jane"
        assert one[0].study_uid != two[0].study_uid
        assert one[0].instance_uid != two[0].instance_uid
    assert len({scan(content)[0].series_uid for content in other[:4]}) == 1
    assert 0x00100040 not in scan(retagged(series[0], PatientSex=None))[0].values
