"""After an erasure, nothing of the person is on the disk: the raw image is searched, free blocks and backups included.

The deployment and its backups lie on an ext4 image of their own (where we are root and have a loop device; elsewhere in
a folder, and then only files are searched). `TROTH_RAW` sets how many instances the person has (100; `make raw` does
1,000).
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO
from pathlib import Path

import httpx
import psutil
import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.common.node import Access, NodeProcess, command
from tests.common.servers import open_folder
from tests.crash.ingest import multipart, referenced
from tests.crash.test_restore import RECOVERY, erase, followed
from troth.dicom.specimens import Study, phantom_ct
from troth.kit.postgres import EmbeddedServer
from troth.main.node import server_for
from troth.vault import KeyRef, Keyring

INSTANCES = int(os.environ.get("TROTH_RAW", "100"))
IMAGE_BYTES = 3 << 30
ERASED, KEPT = "Zq7era", "Zq7kep"  # every identifier of the two people begins so, but for the days of birth
BORN = {ERASED: date(1953, 2, 17), KEPT: date(1957, 8, 29)}
IDENTIFIERS = (
    "PatientName", "PatientID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "SeriesDescription",
    "InstitutionName", "PatientAddress", "PatientTelephoneNumbers", "OtherPatientNames", "PatientMotherBirthName",
    "PatientComments", "AdditionalPatientHistory", "RequestingPhysician", "StudyID", "PerformingPhysicianName",
    "OperatorsName", "ProtocolName", "ImageComments",
)  # fmt: skip
_CHUNK = 64 << 20


@dataclass
class Disk:
    """Where everything lies.

    Attributes:
        image: The raw image; None where there is only a folder.
    """

    mount: Path
    image: Path | None

    def octets(self) -> Iterator[tuple[str, bytes]]:
        """Everything that is on it, in pieces that overlap."""
        os.sync()
        for path in [self.image] if self.image else (one for one in self.mount.rglob("*") if one.is_file()):
            with path.open("rb", buffering=0) as file:
                at, end = 0, file.seek(0, os.SEEK_END)
                while at < end:
                    try:
                        at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                    except OSError:  # only holes from here on
                        break
                    yield f"{path.name} at {at}", os.pread(file.fileno(), _CHUNK + 64, at)
                    at += _CHUNK

    def find(self, *words: str) -> list[tuple[str, str]]:
        """Where words stand, with what follows them."""
        pattern = re.compile(b"|".join(re.escape(word.encode()) + b"[ -~]{0,24}" for word in words))
        return [(place, hit.decode()) for place, content in self.octets() for hit in pattern.findall(content)]


@contextmanager
def a_disk() -> Iterator[Disk]:
    """An empty disk that is gone afterwards."""
    place = open_folder("troth-raw-")
    image, mount = place / "image", place / "mount"
    mount.mkdir(mode=0o755)
    is_mounted = False
    if os.geteuid() == 0 and shutil.which("mkfs.ext4") and shutil.which("losetup"):
        with image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        made = subprocess.run(["mkfs.ext4", "-q", "-E", "nodiscard", str(image)], capture_output=True)
        mounted = subprocess.run(["mount", "-o", "loop,nodiscard", str(image), str(mount)], capture_output=True)
        is_mounted = made.returncode == 0 and mounted.returncode == 0
        mount.chmod(0o755)
    try:
        yield Disk(mount, image if is_mounted else None)
    finally:
        for _ in range(50):  # the last process of the node may still hold it for a moment
            if not is_mounted or subprocess.run(["umount", str(mount)], capture_output=True).returncode == 0:
                break
            time.sleep(0.2)
        else:
            subprocess.run(["umount", "--lazy", str(mount)], check=False)
        shutil.rmtree(place, ignore_errors=True)


def files_of(who: str, count: int) -> list[bytes]:
    """A study of one person, in whose data sets every identifier stands."""
    study = Study(
        f"{who}ID", f"{who}Name^A", BORN[who], "F", date(2026, 5, 4), f"{who}ACC", f"{who}Descr", seed=len(who)
    )
    made = []
    for number, file in enumerate(phantom_ct(study, slices=count, size=32)):
        dataset: Dataset = pydicom.dcmread(BytesIO(file))
        for place, keyword in enumerate(IDENTIFIERS):
            setattr(dataset, keyword, f"{who}{place:02d}" if keyword != "PatientName" else f"{who}00^A")
        dataset.StudyInstanceUID = f"{dataset.StudyInstanceUID}.{1 + (who == KEPT)}"[:64]
        dataset.SeriesInstanceUID = f"{dataset.StudyInstanceUID}.2"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{dataset.StudyInstanceUID}.3.{number}"
        dataset.PatientBirthDate = f"{BORN[who]:%Y%m%d}"
        buffer = BytesIO()
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
        made.append(buffer.getvalue())
    return made


@dataclass
class Told:
    """What the run showed."""

    disk: Disk
    instances: int = 0
    before: list[tuple[str, str]] = field(default_factory=list)
    unreadable_ms: float = 0.0
    erased_ms: float = 0.0


class Watch(threading.Thread):
    """Sees, in another keyring over the same files, when a key is gone."""

    def __init__(self, keys: Path, ref: KeyRef) -> None:
        super().__init__(daemon=True)
        self._keyring = Keyring.open(keys)
        self._ref = ref
        self.gone_at = 0.0

    def run(self) -> None:
        while self._keyring.is_alive(self._ref):
            time.sleep(0.0002)
        self.gone_at = time.perf_counter()


def use(node: NodeProcess, access: Access, who: str, study_uid: str) -> None:
    """Search and read, so that logs, caches and temporary files had their chance."""
    headers = {"Authorization": f"Bearer {access.storing}", "Accept": "application/dicom+json"}
    with httpx.Client(base_url=f"{node.url}/dicomweb", headers=headers, timeout=120) as client:
        for query in (f"PatientName={who}*", f"PatientID={who}01", f"AccessionNumber={who}02", "limit=1"):
            assert client.get(f"/studies?{query}").status_code == 200
        assert client.get(f"/studies/{study_uid}/metadata").status_code == 200
        everything = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        assert client.get(f"/studies/{study_uid}", headers={"Accept": everything}).status_code == 200
        assert client.get(f"/studies?PatientName={who}%5Bx").status_code < 500
        client.post("/studies", content=multipart([files_of(who, 1)[0][:-200]]), headers={
            "Content-Type": 'multipart/related; type="application/dicom"; boundary=kill'})  # fmt: skip


@pytest.fixture(scope="module")
async def told() -> AsyncIterator[Told]:
    with a_disk() as disk:
        folder, keys, secret = disk.mount / "backups", disk.mount / "keys", disk.mount / "recovery"
        secret.write_text(RECOVERY)
        node = NodeProcess(disk.mount / "data")
        result = Told(disk)
        node.start()
        try:
            access = await node.grant_access()
            uids = {}
            for who in (ERASED, KEPT):
                files = files_of(who, INSTANCES if who == ERASED else 20)
                for start in range(0, len(files), 50):
                    answer = httpx.post(
                        f"{node.url}/dicomweb/studies", content=multipart(files[start : start + 50]), timeout=300,
                        headers={
                            "Authorization": f"Bearer {access.storing}", "Accept": "application/dicom+json",
                            "Content-Type": 'multipart/related; type="application/dicom"; boundary=kill',
                        },
                    )  # fmt: skip
                    result.instances += len(referenced(answer))
                uids[who] = str(pydicom.dcmread(BytesIO(files[0]), stop_before_pixels=True).StudyInstanceUID)
                use(node, access, who, uids[who])
            backup = ("backup", str(folder), "--keyring-to", str(keys), "--recovery-key", str(secret))
            made = await asyncio.to_thread(command, node.folder, *backup)
            assert made.returncode == 0, made.stderr
            result.before = disk.find(ERASED, KEPT, *_days(ERASED), *_days(KEPT))
            await measure(node, access, uids[ERASED], result)
            await followed(node, folder)
            yield result
        finally:
            node.stop()
            server = server_for(node.settings)
            assert isinstance(server, EmbeddedServer)
            shutil.rmtree(server.socket_folder, ignore_errors=True)


async def measure(node: NodeProcess, access: Access, study_uid: str, result: Told) -> None:
    async with node.rooms() as rooms, rooms.database.transaction(access) as connection:
        cursor = await connection.execute("select key from study where study_uid = %s", (study_uid,))
        (row,) = await cursor.fetchall()
    watch = Watch(node.folder / "keys", KeyRef(bytes(row["key"])))
    began: list[float] = []
    watch.start()
    erasures = await erase(node, access, study_uid, begins=lambda: began.append(time.perf_counter()))
    result.erased_ms = 1000 * (time.perf_counter() - began[0])
    await asyncio.to_thread(watch.join, 60)
    result.unreadable_ms = 1000 * (watch.gone_at - began[0])
    assert [one.counts["instances"] for one in erasures] == [INSTANCES]


def _days(who: str) -> tuple[str, str]:
    return (f"{BORN[who]:%Y%m%d}", BORN[who].isoformat())


def test_nothing_of_the_erased_person_is_on_the_raw_disk(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        where = "raw image, free blocks too" if told.disk.image else "files only"
        print(
            f"\n{told.instances} instances stored, unreadable after {told.unreadable_ms:.1f} ms, everything gone after "
            f"{told.erased_ms:.0f} ms; searched: {where}; load {psutil.getloadavg()[0]:.1f}"
        )
    assert told.instances == INSTANCES + 20
    assert told.disk.find(ERASED, *_days(ERASED)) == []


def test_nothing_of_anybody_was_ever_there_in_the_clear(told: Told) -> None:
    assert told.before == []
    assert told.disk.find(KEPT, *_days(KEPT)) == []


def test_the_search_finds_what_is_there_and_what_was_deleted(told: Told) -> None:
    marker = told.disk.mount / "marker"
    marker.write_text("Zq7mark" * 3000)
    os.sync()
    assert told.disk.find("Zq7mark")
    marker.unlink()
    if told.disk.image:
        assert told.disk.find("Zq7mark"), "free blocks must be searched"
