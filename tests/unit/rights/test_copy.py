"""The copy as other programs and people read it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileSet

from tests.common.platform import Platform
from tests.unit.rights.conftest import study_of
from troth.dicom.specimens import phantom_cr, phantom_ct
from troth.ledger import open_checkpoint
from troth.policy import Target
from troth.rights import CopyDiffers, CopyOutdated, Outcome, RightsRequest, State
from troth.rights.copy import CopyMaker
from troth.rights.sealed_file import SealedFile

EMAIL = "alex@patients.example"


@pytest.fixture(scope="module")
async def files() -> list[bytes]:
    first, second = study_of(1, 2024, seed=11), study_of(1, 2010, seed=12)
    return [*phantom_ct(first, slices=3, size=64), *phantom_cr(second, size=64)]


@pytest.fixture(scope="module")
async def request_and_zip(platform: Platform, files: list[bytes]) -> tuple[RightsRequest, bytes]:
    """An answered access request of a patient with an account, and the copy as it was collected."""
    await platform.store(files)
    await platform.store(
        phantom_ct(study_of(1, 2024, seed=99, name="Other^Person"), slices=1, size=32), platform.second
    )
    subject = await platform.subject_of(pydicom.dcmread(io.BytesIO(files[0])).StudyInstanceUID)
    patient = await platform.link(subject, EMAIL, "Alex Ruiz", date(1980, 3, 4))
    made = await platform.rooms.rights.open(
        await platform.patient_permit(patient, "open_request"), "access", subject.id
    )
    await platform.fulfil()
    permit = await platform.patient_permit(patient, "copy")
    name, length, chunks = await platform.rooms.rights.copy_stream(permit, made.id)
    content = b"".join([chunk async for chunk in chunks])
    assert name == f"{made.reference}.zip"
    assert len(content) == length
    return await platform.request(subject, made.id), content


@pytest.fixture(scope="module")
def folder(request_and_zip: tuple[RightsRequest, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("copy")
    path = place / "copy.zip"
    path.write_bytes(request_and_zip[1])
    subprocess.run(["unzip", "-q", path, "-d", place / "files"], check=True)
    return place / "files"


async def test_the_request_is_answered_and_nothing_is_left_open(
    platform: Platform, request_and_zip: tuple[RightsRequest, bytes]
) -> None:
    request, _ = request_and_zip
    assert request.state is State.FULFILLED  # collected
    assert {item.outcome for item in request.items} == {Outcome.DONE_VERIFIED}
    assert [item.kind for item in request.items] == ["study", "study", "account", "access_list"]
    assert [step.name for step in request.steps] == [
        "Received", "Identity proved", "Acknowledged", "Receipt mailed", "Copy made", "Answered", "Answer mailed",
    ]  # fmt: skip
    mails = [mail for mail in await platform.mails() if "invitation" not in mail.lower()]
    assert len(mails) == 2
    for mail in mails:
        assert f"/requests/{request.id}" in mail
        assert EMAIL in mail
        assert "Ruiz" not in mail


def test_pydicom_reads_the_file_set(folder: Path, files: list[bytes]) -> None:
    found = FileSet(folder / "DICOMDIR")
    stored = {}
    for content in files:
        data_set = pydicom.dcmread(io.BytesIO(content))
        stored[data_set.SOPInstanceUID] = content
    assert {instance.SOPInstanceUID for instance in found} == stored.keys()
    for instance in found:
        path = Path(instance.path)
        assert re.fullmatch(r"DICOM/ST\d{6}/SE\d{6}/IM\d{6}", path.relative_to(folder).as_posix())
        assert instance.load().pixel_array.shape == (64, 64)
        # Our own front, then the data set bit for bit as it came.
        content, original = path.read_bytes(), stored[instance.SOPInstanceUID]
        assert _data_set(content) == _data_set(original)


def test_dcmtk_reads_the_directory_and_every_file(folder: Path) -> None:
    listing = subprocess.run(["dcmdump", folder / "DICOMDIR"], check=True, capture_output=True, text=True).stdout
    assert "Ruiz^Alex" in listing
    assert listing.count("[IMAGE]") == 5
    for path in (folder / "DICOM").rglob("IM*"):
        subprocess.run(["dcmdump", path], check=True, stdout=subprocess.DEVNULL)


def test_the_manifest_covers_everything_and_openssl_checks_its_signature(folder: Path) -> None:
    subprocess.run(["sha256sum", "-c", "--quiet", "--strict", "MANIFEST.TXT"], check=True, cwd=folder)
    named = {line.split("  ", 1)[1] for line in (folder / "MANIFEST.TXT").read_text().splitlines()}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == named | {"MANIFEST.TXT", "MANIFEST.SIG"}
    # The commands that the file itself gives, word for word.
    said = (folder / "MANIFEST.SIG").read_text().split("with OpenSSL 3:")[1]
    commands = "\n".join(line.strip() for line in said.splitlines() if line.startswith("  "))
    run = subprocess.run(["bash", "-ec", commands], check=True, cwd=folder, capture_output=True, text=True)
    assert "Signature Verified Successfully" in run.stdout
    (folder / "key.pem").unlink()
    (folder / "signature").unlink()


def test_held_says_all_of_article_15(
    platform: Platform, folder: Path, request_and_zip: tuple[RightsRequest, bytes]
) -> None:
    content = json.loads((folder / "HELD.JSON").read_text())
    assert content["you"]["name_as_in_dicom"] == "Ruiz^Alex"
    assert content["you"]["patient_id"] == "PID-1"
    assert content["your_accounts"][0]["email"] == EMAIL
    assert content["your_requests"][0]["reference"] == request_and_zip[0].reference
    told = content["gdpr_article_15"]
    fields = {name.split("_")[2] for name in told if name.startswith("15_1_")}
    assert fields == set("abcdefgh")
    clauses = {each["clause"]: each["says"] for each in told["15_1_a_purposes"]}
    notice = platform.rooms.policy.notice_version
    assert content["notice"]["name"] in notice
    assert clauses["4.1"] == "We use your scans to find out what is wrong with you."
    assert told["15_1_d_period"][0]["terms"]["period"] == "eight years"
    assert told["15_1_f_complaint"][0]["terms"]["name"] == "Information Commissioner's Office"
    assert told["15_1_h_automated_decisions"]["decides_by_itself"] == []
    assert told["15_2_transfers_and_safeguards"]["where"][0]["terms"]["regions"] == ["GB"]
    assert not told["15_2_transfers_and_safeguards"]["where"][0]["terms"]["leaves"]
    assert {each["who"]["role"] for each in told["15_1_c_who_received_it"]} == {"worker"}
    by_date = {study["attributes"]["StudyDate"]: study for study in content["studies"]}
    assert by_date["20240506"]["kept_until"] == "2032-05-06"
    assert by_date["20100506"]["kept_under"] == "8.1"
    source = by_date["20240506"]["came_from"][0]
    assert (source["who"]["name"], source["instances"]) == ("MODALITY1", 3)
    named = [each["file"] for study in content["studies"] for series in study["series"] for each in series["instances"]]
    assert sorted(named) == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("IM*"))


def test_the_access_list_is_whole(folder: Path) -> None:
    content = json.loads((folder / "ACCESS.JSON").read_text())
    complete = content["completeness"]
    assert complete["is_complete"]
    assert complete["shown"] == complete["held"] == len(content["entries"])
    numbers = sorted(each["number_in_this_list"] for each in content["entries"])
    assert numbers == list(range(1, len(numbers) + 1))
    assert {"archive:instances:stored", "archive:study:copied", "rights:request:opened"} <= {
        each["kind"] for each in content["entries"]
    }
    signed = open_checkpoint(content["ledger"]["checkpoint"], content["ledger"]["key"])
    assert signed.size > max(each["number_in_ledger"] for each in content["entries"])


def test_whoever_has_the_copy_checks_the_list_with_python_alone(folder: Path) -> None:
    command = [sys.executable, "-I", "-S", "check_my_list.py", "LEDGER.JSON"]
    done = subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True)
    entries = json.loads((folder / "ACCESS.JSON").read_text())["entries"]
    assert f"Right: all {len(entries)} entries" in done.stdout
    shown = json.loads((folder / "LEDGER.JSON").read_text())["lists"][0]["entries"]
    opened = {word["name"] for each in shown for word in each["open"] or () if "value" in word}
    assert {"actor", "organisation", "study_description"} <= opened
    assert "python3 check_my_list.py LEDGER.JSON" in (folder / "INDEX.HTM").read_text("utf-8")
    content = (folder / "LEDGER.JSON").read_text()
    (folder.parent / "LEDGER.JSON").write_text(content.replace("archive:instances:stored", "archive:study:opened"))
    changed = subprocess.run([*command[:-1], "../LEDGER.JSON"], check=False, cwd=folder, capture_output=True, text=True)
    assert changed.returncode == 1
    assert "was changed" in changed.stdout


def test_nobody_else_is_in_it(folder: Path) -> None:
    for name in ("HELD.JSON", "ACCESS.JSON", "LEDGER.JSON", "INDEX.HTM", "README.TXT", "DICOMDIR"):
        assert b"Other" not in (folder / name).read_bytes()


def test_the_page_is_whole_and_needs_nothing(folder: Path) -> None:
    text = (folder / "INDEX.HTM").read_text("utf-8")
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            assert not {"src", "href", "onclick"} & {name for name, _ in attrs}

    Reader().feed(text)
    assert tags.count("h1") == 1
    assert "script" not in tags
    for said in ("Alex Ruiz", "6 May 2032", "Information Commissioner", "§ 9.1", "MODALITY1"):
        assert said in text
    assert "Ruiz" not in text.split("<title>")[1].split("</title>")[0]


async def _maker(platform: Platform, request: RightsRequest) -> CopyMaker:
    subject = await platform.rooms.people.subject(platform.first, request.subject_id)
    actor = platform.actor("worker")
    target = Target("request", request.id, request.tenant, request.subject_id)
    permit = await platform.rooms.policy.require(actor, "copy", target, "rights")
    return CopyMaker(platform.rooms.rights, actor, permit, subject, request)


async def test_a_copy_that_differs_is_found(platform: Platform, request_and_zip: tuple[RightsRequest, bytes]) -> None:
    request, content = request_and_zip
    maker = await _maker(platform, request)

    async def read_back(changed: bytes) -> int:
        writer = platform.rooms.packs.writer()
        writer.feed(changed)
        sealed = writer.finish()
        await platform.rooms.packs.sync()
        return await maker.read_back(sealed.locator, sealed.key, hashlib.sha256(changed).digest())

    assert await read_back(content) == 13
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    image = next(name for name in held if "IM" in name)

    def packed(**changes: bytes | None) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, octets in {**held, **changes}.items():
                if octets is not None:
                    archive.writestr(name, octets)
        return out.getvalue()

    assert await read_back(packed()) == 13
    wrong = bytearray(held[image])
    wrong[-1] ^= 1
    for changed in (
        packed(**{image: bytes(wrong)}),
        packed(**{"HELD.JSON": held["HELD.JSON"] + b" "}),
        packed(**{"README.TXT": None}),
        packed(**{"EXTRA.TXT": b"more"}),
        packed(**{"MANIFEST.TXT": held["MANIFEST.TXT"].replace(b"README.TXT", b"README.TXX")}),
    ):
        with pytest.raises(CopyDiffers):
            await read_back(changed)
    with pytest.raises(CopyDiffers):
        copy = platform.rooms.packs.writer()
        copy.feed(content)
        sealed = copy.finish()
        await maker.read_back(sealed.locator, sealed.key, bytes(32))


async def test_a_copy_of_less_than_is_held_is_outdated(
    platform: Platform, request_and_zip: tuple[RightsRequest, bytes]
) -> None:
    request, _ = request_and_zip
    maker = await _maker(platform, request)
    made = await maker.make()
    assert await maker.read_back(made.locator, made.key, made.sha256) == 13
    await platform.store(phantom_ct(study_of(1, 2025, seed=13), slices=1, size=32))
    with pytest.raises(CopyOutdated):
        await maker.read_back(made.locator, made.key, made.sha256)


async def test_a_sealed_file_reads_like_a_file(platform: Platform) -> None:
    content = bytes(range(256)) * 4000
    writer = platform.rooms.packs.writer()
    writer.feed(content)
    sealed = writer.finish()
    loop = asyncio.get_running_loop()
    file = SealedFile(platform.rooms.packs, sealed.locator, sealed.key, len(content), loop)

    def read() -> None:
        assert file.seek(-10, io.SEEK_END) == len(content) - 10
        assert file.read(100) == content[-10:]
        assert file.read(5) == b""
        assert file.seek(300_000) == 300_000
        assert file.seek(7, io.SEEK_CUR) == file.tell() == 300_007
        assert file.buffered().read(10) == content[300_007:300_017]

    await asyncio.to_thread(read)


def _data_set(content: bytes) -> bytes:
    """What follows the file meta group."""
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]
