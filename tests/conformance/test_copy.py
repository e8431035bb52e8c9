"""The copy that a patient takes, read whole by another archive (Debian's Orthanc)."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pydicom
import pytest

from tests.common.platform import Platform
from tests.common.programs import program
from tests.common.servers import open_folder
from tests.unit.rights.conftest import platform, study_of  # noqa: F401 - a fixture
from troth.dicom.specimens import phantom_cr, phantom_ct

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def copied(platform: Platform) -> tuple[list[bytes], bytes]:  # noqa: F811
    """Files of one person, and the zip that was made for them."""
    files = [
        *phantom_ct(study_of(1, 2024, seed=11), slices=4, size=64),
        *phantom_cr(study_of(1, 2010, seed=12), size=64),
    ]
    await platform.store(files)
    await platform.store(phantom_ct(study_of(2, 2024, seed=99, name="Other^Person"), slices=1, size=32))
    subject = await platform.subject_of(pydicom.dcmread(io.BytesIO(files[0])).StudyInstanceUID)
    patient = await platform.link(subject, "alex@patients.example", "Alex Ruiz", date(1980, 3, 4))
    asked = await platform.patient_permit(patient, "open_request")
    made = await platform.rooms.rights.open(asked, "access", subject.id)
    await platform.fulfil()
    permit = await platform.patient_permit(patient, "copy")
    _, _, chunks = await platform.rooms.rights.copy_stream(permit, made.id)
    return files, b"".join([chunk async for chunk in chunks])


@pytest.mark.conformance("client Orthanc", "media FSC")
async def test_orthanc_imports_the_copy_whole(copied: tuple[list[bytes], bytes]) -> None:
    program("Orthanc")
    files, content = copied
    folder = open_folder("troth-orthanc-")
    (folder / "copy.zip").write_bytes(content)
    command = [sys.executable, "-m", "tests.common.import_into_orthanc", str(folder / "copy.zip"), str(folder / "peer")]
    done = subprocess.run(
        [program("unshare"), "--net", *command], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    held = json.loads(done.stdout.splitlines()[-1])
    sent = {str(pydicom.dcmread(io.BytesIO(file)).SOPInstanceUID) for file in files}
    assert {uid for uid, _, _ in held["instances"]} == sent
    assert {patient for _, patient, _ in held["instances"]} == {"PID-1"}, "and nobody else's"
    assert held["studies"] == 2
