"""Importing and media: traps refused, bad files named, nothing done twice, what goes in comes out."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from tests.common import objects
from tests.unit.archive.rooms import Rooms, instance, real_files
from troth import dicom
from troth.archive import FolderMedium, Imported, Importing, MediaWriter, SourceRefused, Viewing
from troth.archive.sources import files_of
from troth.kit import clock
from troth.kit.zipping import ZipWriter
from troth.policy import Permit


def importing(rooms: Rooms, refused: list[tuple[str, str]]) -> Importing:
    allowed: Callable[[], Awaitable[Permit]] = rooms.may_store
    return Importing(
        rooms.archive, rooms.database, rooms.hospital.key, allowed, lambda name, why: refused.append((name, why))
    )


async def take(rooms: Rooms, place: Path) -> tuple[Imported, dict[str, str]]:
    refused: list[tuple[str, str]] = []
    imported = await importing(rooms, refused).take(place)
    return imported, dict(refused)


@pytest.mark.conformance("media FSR")
async def test_a_bad_file_never_stops_the_others_and_nothing_is_done_twice(rooms: Rooms, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    good = [instance(PatientID=f"IMP-{number}") for number in range(5)]
    for number, content in enumerate(good):
        (tmp_path / "deep" / "er" / f"{number}.dcm").write_bytes(content)
    (tmp_path / "README.TXT").write_text("not DICOM")
    (tmp_path / "cut.dcm").write_bytes(good[0][:-300])
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    imported, refused = await take(rooms, tmp_path)
    assert (imported.files, imported.stored, imported.refused) == (9, 5, 4)
    assert sorted(refused) == ["README.TXT", "cut.dcm", "link", "pipe"]
    assert "link" in refused["link"]
    again, _ = await take(rooms, tmp_path)
    assert (again.skipped, again.stored, again.already_held, again.refused) == (5, 0, 0, 4)
    (tmp_path / "deep" / "er" / "0.dcm").write_bytes(good[0])  # another time of change: it is read again
    third, _ = await take(rooms, tmp_path)
    assert (third.skipped, third.already_held) == (4, 1)


async def test_what_contradicts_what_is_held_is_named_and_kept_apart_once(rooms: Rooms, tmp_path: Path) -> None:
    first = pydicom.dcmread(BytesIO(instance(PatientID="IMP-A")))
    first.save_as(tmp_path / "1.dcm")
    first.PatientID = "IMP-B"
    first.save_as(tmp_path / "2.dcm")
    for _ in range(2):
        imported, refused = await take(rooms, tmp_path)
        assert (imported.stored + imported.skipped, imported.refused) == (1, 1)
        assert refused["2.dcm"].endswith("; kept apart for a person to resolve")
    async with rooms.database.transaction(rooms.hospital) as connection:
        cursor = await connection.execute(
            "select count(*) as number from quarantined where study_uid = %s", (first.StudyInstanceUID,)
        )
        assert [row["number"] for row in await cursor.fetchall()] == [1]


@pytest.mark.asvs("V5.2.3", "V5.3.2")
async def test_zips_that_are_traps_are_refused(rooms: Rooms, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.dcm", bytes(200 << 20))
    with pytest.raises(SourceRefused, match="far more"):
        list(files_of(bomb))
    tricky = tmp_path / "tricky.zip"
    link = zipfile.ZipInfo("link.dcm")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tricky, "w") as archive:
        archive.writestr("../../../../etc/outside.dcm", instance(PatientID="ZIP-1"))
        archive.writestr("/etc/absolute.dcm", instance(PatientID="ZIP-2"))
        archive.writestr(link, "/etc/passwd")
    imported, refused = await take(rooms, tricky)
    assert (imported.stored, imported.refused) == (2, 1), refused
    assert "link" in refused["link.dcm"]
    torn = tmp_path / "torn.zip"
    content = tricky.read_bytes()
    at = content.index(b"DICM") + 600
    torn.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    _, refused = await take(rooms, torn)
    assert "../../../../etc/outside.dcm" in refused
    (tmp_path / "no.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    assert list(files_of(tmp_path / "no.zip")) == []
    with pytest.raises(SourceRefused):
        files_of(tmp_path / "absent")


@pytest.mark.asvs("V5.3.2")
async def test_a_dicomdir_leads_nowhere_else(rooms: Rooms, tmp_path: Path) -> None:
    source = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
    shutil.copytree(source, tmp_path / "set")
    imported, refused = await take(rooms, tmp_path / "set" / "DICOMDIR")
    assert imported.stored > 20, refused
    directory = pydicom.dcmread(tmp_path / "set" / "DICOMDIR")
    for record in directory.DirectoryRecordSequence:
        if "ReferencedFileID" in record:
            record.ReferencedFileID = ["..", "..", "etc", "passwd"]
    buffer = BytesIO()
    directory.save_as(buffer)
    (tmp_path / "set" / "DICOMDIR").write_bytes(buffer.getvalue())
    imported, refused = await take(rooms, tmp_path / "set" / "DICOMDIR")
    assert imported.stored == 0
    assert set(refused.values()) == {"its name in the DICOMDIR leads out of the folder"}
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "DICOMDIR").write_bytes(b"nothing of the kind")
    with pytest.raises(SourceRefused):
        list(files_of(tmp_path / "bad" / "DICOMDIR"))


async def test_what_a_dicomdir_lists_and_is_missing_is_named_by_every_way_in(rooms: Rooms, tmp_path: Path) -> None:
    source = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
    place = tmp_path / "in" / "disc"
    shutil.copytree(source, place)
    listed = dicom.referenced_files((place / "DICOMDIR").read_bytes())
    there = [one for one in listed if place.joinpath(*one).is_file()]
    gone = "/".join(there[0])
    (place / gone).unlink()
    zipped = Path(shutil.make_archive(str(tmp_path / "disc"), "zip", tmp_path / "in"))
    for way, name in ((place / "DICOMDIR", gone), (tmp_path / "in", f"disc/{gone}"), (zipped, f"disc/{gone}")):
        imported, refused = await take(rooms, way)
        assert refused[name] == "listed in the DICOMDIR, but not there", way
        assert imported.refused == len(refused)
        assert sum(why.startswith("listed") for why in refused.values()) == 1 + len(listed) - len(there), way
    (place / "DICOMDIR").write_bytes(b"nothing of the kind")
    _, refused = await take(rooms, tmp_path / "in")
    assert not any(why.startswith("listed") for why in refused.values()), "a folder is what one turns to then"


@pytest.mark.conformance("media files")
async def test_what_goes_in_comes_out_on_a_medium(rooms: Rooms, tmp_path: Path) -> None:
    place = tmp_path / "real"
    place.mkdir()
    sent = {}
    for path in real_files():
        with path.open("rb") as file:
            if path.stat().st_size < 400_000 and file.read(132)[128:] == b"DICM":
                dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
                if "StudyInstanceUID" in dataset and "SOPInstanceUID" in dataset:
                    sent.setdefault(str(dataset.SOPInstanceUID), path)
    for uid, path in sent.items():
        shutil.copy(path, place / f"{uid}.dcm")
    imported, refused = await take(rooms, place)
    assert imported.stored > 30
    held = {uid: path for uid, path in sent.items() if f"{uid}.dcm" not in refused}
    studies = sorted({str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID) for path in held.values()})
    zipped = tmp_path / "medium.zip"
    with zipped.open("wb") as file:
        medium = ZipWriter(lambda chunk: (file.write(chunk), None)[1], clock.now())
        for writer in (MediaWriter(FolderMedium(tmp_path / "medium")), MediaWriter(medium)):
            for study_uid in studies:
                actor = rooms.actor("peer")
                permit = await rooms.policy.require(
                    actor, "retrieve", await rooms.archive.target(actor, study_uid), "care"
                )
                viewing = await rooms.archive.open_study(permit, study_uid)
                await writer.add(viewing)
                await viewing.close()
            exported = await writer.finish("Ex&mple", "22 November 2026")
        medium.finish()
    assert exported.instances == len(held)
    with zipfile.ZipFile(zipped) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
    on_disk = {
        str(path.relative_to(tmp_path / "medium")) for path in (tmp_path / "medium").rglob("*") if path.is_file()
    }
    assert names == on_disk
    assert {"DICOMDIR", "README.TXT", "INDEX.HTM"} <= names
    found = FileSet(tmp_path / "medium" / "DICOMDIR")
    assert len(found) == len(held)
    for one in list(found)[:20]:
        whole = Path(one.path).read_bytes()
        original = sent[str(one.SOPInstanceUID)].read_bytes()
        assert whole[-64:] == original[-64:]
    with pytest.raises(SourceRefused):
        FolderMedium(tmp_path / "medium")


class Slow(FolderMedium):
    """A disk that takes its time, and may be full."""

    def __init__(self, folder: Path, full_at: int = 0) -> None:
        super().__init__(folder)
        self.full_at, self.opened, self.at_work = full_at, 0, 0

    def open(self, name: str) -> Any:
        self.opened += 1
        self.at_work += 1
        time.sleep(0.05)
        self.at_work -= 1
        if self.opened == self.full_at:
            raise OSError(errno.ENOSPC, "no space left")
        return super().open(name)


async def opened_for_export(rooms: Rooms) -> Viewing:
    uid = generate_uid()
    sent = await rooms.store(*(instance(StudyInstanceUID=uid, PatientID="M-1") for _ in range(4)))
    assert [one.state for one in sent] == ["stored"] * 4
    actor = rooms.actor("peer")
    permit = await rooms.policy.require(actor, "retrieve", await rooms.archive.target(actor, uid), "care")
    return await rooms.archive.open_study(permit, uid)


async def test_a_medium_that_is_full_is_told_and_nothing_is_written_afterwards(rooms: Rooms, tmp_path: Path) -> None:
    viewing, medium = await opened_for_export(rooms), Slow(tmp_path / "full", full_at=2)
    with pytest.raises(OSError, match="no space left"):
        async with aclosing(MediaWriter(medium)) as writer:
            await writer.add(viewing)
            await writer.finish("Example", "today")
    await viewing.close()
    assert medium.opened == 2


async def test_nothing_is_written_any_more_after_an_export_that_is_cancelled(rooms: Rooms, tmp_path: Path) -> None:
    viewing, medium = await opened_for_export(rooms), Slow(tmp_path / "cancelled")

    async def export() -> None:
        async with aclosing(MediaWriter(medium)) as writer:
            await writer.add(viewing)

    exporting = asyncio.create_task(export())
    while not medium.at_work:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)  # it waits for the first file by now
    exporting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exporting
    await viewing.close()
    opened = medium.opened
    assert medium.at_work == 0, "a thread still writes to what its owner takes for closed"
    await asyncio.sleep(0.1)
    assert medium.opened == opened


async def test_a_dicomdir_that_is_cut_short_or_deflated_is_said_to_be_unreadable(rooms: Rooms, tmp_path: Path) -> None:
    made = FileSet()
    for _ in range(3):
        made.add(pydicom.dcmread(BytesIO(instance())))
    made.write(tmp_path / "set")
    directory = tmp_path / "set" / "DICOMDIR"
    assert (await take(rooms, directory))[0].stored == 3
    content = directory.read_bytes()
    for share in (0.2, 0.5, 0.8, 0.99):
        directory.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(SourceRefused, match="cannot be read"):
            await take(rooms, directory)
    meta = dicom.part10("1.2.840.10008.1.3.10", "1.2.3", "1.2.840.10008.1.2.1.99")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflate.compress(bytes(64 << 20)) + deflate.flush()
    directory.write_bytes(meta + bomb)
    tracemalloc.start()
    with pytest.raises(SourceRefused, match="cannot be read"):
        list(files_of(directory))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.asvs("V5.2.2")
async def test_a_dicom_file_with_a_zip_behind_it_is_imported_as_dicom(rooms: Rooms, tmp_path: Path) -> None:
    hidden = BytesIO()
    with zipfile.ZipFile(hidden, "w") as archive:
        archive.writestr("other.dcm", instance())
    polyglot = tmp_path / "scan.dcm"
    polyglot.write_bytes(instance() + hidden.getvalue())
    assert zipfile.is_zipfile(polyglot)
    imported, refused = await take(rooms, polyglot)
    assert (imported.files, imported.stored) == (1, 0)
    assert set(refused) == {"scan.dcm"}


async def test_names_that_are_no_utf_8_stop_nothing(rooms: Rooms, tmp_path: Path) -> None:
    """As discs and shares of Windows have them; one that turns the line round is shown by its number."""
    folder = os.fsencode(tmp_path / "disc")
    os.makedirs(os.path.join(folder, b"dossier_\xe9"))
    for name in (b"a-good.dcm", b"\xe9tude.dcm", b"z-good.dcm", os.path.join(b"dossier_\xe9", b"1")):
        Path(os.fsdecode(os.path.join(folder, name))).write_bytes(instance())
    Path(os.fsdecode(os.path.join(folder, b"lisez_\xe9.txt"))).write_bytes(b"hello" * 100)
    (tmp_path / "disc" / "\u202etxt.bad").write_bytes(b"hello" * 100)
    imported, refused = await take(rooms, tmp_path / "disc")
    assert (imported.stored, imported.refused) == (4, 2)
    assert refused.keys() == {"lisez_\\udce9.txt", "\\u202etxt.bad"}
    again, _ = await take(rooms, tmp_path / "disc")
    assert (again.stored, again.skipped) == (0, 4)


async def test_one_that_is_too_large_before_its_pixels_stops_no_other(rooms: Rooms, tmp_path: Path) -> None:
    endless = struct.pack("<HH2sHL", 0x0040, 0xA160, b"UT", 0, 1 << 31)
    (tmp_path / "bad").write_bytes(objects.Made("1.2.3.4").file)
    (tmp_path / "deep").write_bytes(objects.Made().raw(0x0040A160, endless).file)
    (tmp_path / "good").write_bytes(instance())
    imported, refused = await take(rooms, tmp_path)
    assert (imported.stored, refused.keys()) == (1, {"bad", "deep"})
