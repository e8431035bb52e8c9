"""Orthanc as a peer in both directions: it sends, asks for a commitment, searches, and has us send to it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.common.real_files import NO_INSTANCE, everything
from tests.common.servers import ServedDatabase
from troth.dicom.syntaxes import INFLATED
from troth.vault import Keyring

MOST_BYTES = 2 << 20
#: What dcmtk, by which Orthanc sends, reads wrongly, so that what it sends is not what it says (A900).
NOT_SENT = {"test_files/rtdose_rle.dcm", "test_files/rtdose_rle_1frame.dcm", "data/explicit_VR-UN.dcm"}


def specimens(folder: Path) -> list[Path]:
    """Every real file that is not too large to go five times through two databases."""
    made = []
    for name, one in everything().items():
        if name not in NO_INSTANCE and len(one.octets) <= MOST_BYTES:
            made.append(folder / f"{len(made)}.dcm")
            made[-1].write_bytes(one.octets)
    return made


@pytest.mark.conformance(
    "client Orthanc", "SCP Storage Commitment Push Model", "SCP Study Root Query/Retrieve - MOVE", "SCU Storage C-MOVE"
)
async def test_both_directions(database: ServedDatabase, tmp_path: Path) -> None:
    if shutil.which("Orthanc") is None or shutil.which("unshare") is None or os.geteuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("Orthanc in a network namespace is needed")
        pytest.skip("Orthanc in a network namespace is needed")
    for name in ("files", "keys", "hospital"):
        (tmp_path / name).mkdir()
    Keyring.open(tmp_path / "keys", create=True)
    files = await asyncio.to_thread(specimens, tmp_path / "files")
    process = await asyncio.create_subprocess_exec(
        "unshare", "-n", sys.executable, "-m", "tests.common.orthanc_as_peer", database.dsn("troth_app"),
        str(tmp_path / "keys"), str(tmp_path / "hospital"), *map(str, files),
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    async with asyncio.timeout(600):
        printed, _ = await process.communicate()
    assert process.returncode == 0
    said: dict[str, Any] = json.loads(printed.decode().strip().splitlines()[-1])
    sent, got = said["sent"], said["got"]
    assert said["echo"] == 200
    assert said["is_stowed"], said["stow"]
    assert len(sent) > 200, "so many does Orthanc itself take"
    names = {one.uids[2]: name for name, one in everything().items()}
    refused = {names[uid]: why for uid, why in said["refused"].items()}
    assert refused.keys() == NOT_SENT, refused
    assert said["commitment"]["Status"] == "Success", said["commitment"]
    assert said["commitment"]["RemoteAET"] == "TROTH"
    assert said["after_delete"] == 0
    stored = {uid: one for uid, one in sent.items() if uid not in said["refused"]}
    assert {names[uid]: (one["syntax"], one["sha"]) for uid, one in got.items()} == {
        names[uid]: (INFLATED.get(one["syntax"], one["syntax"]), one["sha"]) for uid, one in stored.items()
    }
