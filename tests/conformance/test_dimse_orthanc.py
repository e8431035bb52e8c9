"""Orthanc as a peer in both directions: it sends, asks for a commitment, searches, and has us send to it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from tests.common.servers import ServedDatabase
from troth.vault import Keyring

NAMES = ["CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "SC_rgb_jpeg_dcmtk.dcm", "rtplan.dcm"]


def specimens(folder: Path) -> list[Path]:
    made = []
    for name in NAMES:
        dataset = pydicom.dcmread(str(get_testdata_file(name, download=False)))
        for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            setattr(dataset, keyword, generate_uid())
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.PatientID = f"P-{len(made) // 2}"
        made.append(folder / f"{len(made)}.dcm")
        dataset.save_as(made[-1])
    return made


@pytest.mark.conformance("client Orthanc", "SCP Storage Commitment Push Model", "SCP Study Root Query/Retrieve - MOVE")
async def test_both_directions(database: ServedDatabase, tmp_path: Path) -> None:
    if shutil.which("Orthanc") is None or shutil.which("unshare") is None or os.geteuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("Orthanc in a network namespace is needed")
        pytest.skip("Orthanc in a network namespace is needed")
    (tmp_path / "files").mkdir()
    (tmp_path / "keys").mkdir()
    (tmp_path / "hospital").mkdir()
    Keyring.open(tmp_path / "keys", create=True)
    files = specimens(tmp_path / "files")
    process = await asyncio.create_subprocess_exec(
        "unshare", "-n", sys.executable, "-m", "tests.common.orthanc_as_peer", database.dsn("troth_app"),
        str(tmp_path / "keys"), str(tmp_path / "hospital"), *map(str, files),
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    async with asyncio.timeout(180):
        printed, _ = await process.communicate()
    assert process.returncode == 0
    said = json.loads(printed.decode().strip().splitlines()[-1])
    sent, got = said["sent"], said["got"]
    assert said["echo"] == 200
    assert said["store"]["FailedInstancesCount"] == 0, said["store"]
    assert len(sent) == len(NAMES)
    assert said["commitment"]["Status"] == "Success", said["commitment"]
    assert said["commitment"]["RemoteAET"] == "TROTH"
    assert said["after_delete"] == 0
    assert len(said["found"]) == len(NAMES)
    assert {uid: (one["syntax"], one["sha"]) for uid, one in got.items()} == {
        uid: (one["syntax"], one["sha"]) for uid, one in sent.items()
    }
