"""`troth archive import` and `export` beside a real node: what goes in comes out, and dcmtk reads the directory."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from tests.common.node import ORGANISATION, NodeProcess, a_node, command
from tests.common.servers import open_folder
from tests.crash.ingest import specimens
from troth.dicom.specimens import Study, phantom_ct


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with a_node("troth-media-") as started:
        yield started


@pytest.fixture
def place() -> Iterator[Path]:
    folder = open_folder("troth-medium-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def archive(node: NodeProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command(node.folder, "archive", *arguments, "--organisation", ORGANISATION)


@pytest.mark.conformance("media FSC", "media FSR", "media files")
def test_a_folder_goes_in_and_comes_out_on_a_medium(node: NodeProcess, place: Path) -> None:
    sent = {one.instance_uid: one for number in (500, 501) for one in specimens(number)}
    (place / "in").mkdir()
    for number, one in enumerate(sent.values()):
        (place / "in" / f"{number}.dcm").write_bytes(one.file)
    (place / "in" / "NOTES.TXT").write_text("of a person")
    first = archive(node, "import", str(place / "in"))
    assert first.returncode == 1, first.stdout + first.stderr
    assert "NOT TAKEN  NOTES.TXT" in first.stdout
    assert "12 stored" in first.stdout
    (place / "in" / "NOTES.TXT").unlink()
    again = archive(node, "import", str(place / "in"))
    assert again.returncode == 0, again.stderr
    assert "12 skipped" in again.stdout
    study = next(iter(sent.values())).study_uid
    for to in (place / "medium", place / "medium.zip"):
        done = archive(node, "export", "--study", study, "--to", str(to))
        assert done.returncode == 0, done.stderr
        assert "1 study, 6 instances" in done.stdout
        refused = archive(node, "export", "--study", study, "--to", str(to))
        assert refused.returncode == 1
        assert "there already" in refused.stderr
    with zipfile.ZipFile(place / "medium.zip") as zipped:
        contents = {name: zipped.read(name) for name in zipped.namelist() if name.startswith("DICOM/")}
    assert len(contents) == 6
    for name, content in contents.items():
        assert (place / "medium" / name).read_bytes() == content
        uid = pydicom.dcmread(BytesIO(content), stop_before_pixels=True).SOPInstanceUID
        assert content.endswith(sent[uid].file[-4000:])
    listed = subprocess.run(["dcmdump", str(place / "medium" / "DICOMDIR")], capture_output=True, text=True)
    if shutil.which("dcmdump"):
        assert listed.stdout.count("(0004,1500)") >= 6
    back = archive(node, "import", str(place / "medium" / "DICOMDIR"))
    assert back.returncode == 0, back.stdout
    assert "6 already held" in back.stdout
    patient = archive(node, "export", "--patient", "KILL-501", "--to", str(place / "patient"))
    assert patient.returncode == 0, patient.stderr
    assert "6 instances" in patient.stdout


def test_what_may_not_be_seen_is_not_exported(node: NodeProcess, place: Path) -> None:
    for arguments in (("--study", "1.2.3.4"), ("--patient", "NOBODY")):
        absent = archive(node, "export", *arguments, "--to", str(place / "none"))
        assert absent.returncode == 1
        assert not (place / "none").exists() or not any((place / "none").iterdir())
    office = archive(
        node, "export", "--patient", "KILL-501", "--to", str(place / "none"), "--role", "office", "--purpose", "rights"
    )
    assert office.returncode == 1
    wide = archive(node, "export", "--patient", "KILL*", "--to", str(place / "none"))
    assert "wildcards" in wide.stderr


def test_one_number_of_two_patients_is_not_exported_as_one(node: NodeProcess, place: Path) -> None:
    (place / "in").mkdir()
    for number, issuer in enumerate(("", "Elsewhere")):
        of = Study("SHARED-7", f"Specimen^{number}", date(1970, 1, 1), "F", date(2026, 11, 1), "A", "CT", issuer=issuer)
        for file in phantom_ct(replace(of, seed=700 + number), slices=1, size=32):
            (place / "in" / f"{number}.dcm").write_bytes(file)
    assert archive(node, "import", str(place / "in")).returncode == 0
    both = archive(node, "export", "--patient", "SHARED-7", "--to", str(place / "both"))
    assert both.returncode == 1
    assert "more than one patient has this number" in both.stderr
    assert not (place / "both").exists()
    one = archive(node, "export", "--patient", "SHARED-7", "--issuer", "Elsewhere", "--to", str(place / "one"))
    assert one.returncode == 0, one.stderr
    assert "1 study, 1 instance," in one.stdout


def test_wrong_input_is_answered_by_a_sentence_and_does_nothing(node: NodeProcess, place: Path) -> None:
    elsewhere = place / "no-deployment"
    rule = ("admin", "organisation", "issuer", ORGANISATION, "--end", "--dry-run")
    keys = ("--keyring-from", str(place), "--recovery-key", str(place / "none"))
    for folder, arguments, said in (
        (node.folder, ("archive", "import", str(place / "none"), "--organisation", ORGANISATION), "neither a folder"),
        (node.folder, ("archive", "scrub", "--organisation", "Nowhere"), "there is no organisation 'Nowhere'"),
        (node.folder, ("archive", "scrub", "--study", "1.2.3"), "no such study"),
        (node.folder, rule, "--dry-run is for --default-issuer only"),
        (elsewhere, ("archive", "scrub"), "there is no deployment"),
        (elsewhere, ("restore", str(place), *keys), "there is no recovery key"),
    ):
        answer = command(folder, *arguments)
        assert answer.returncode == 1, answer.stdout
        assert said in answer.stderr
        assert "Traceback" not in answer.stderr
    assert not elsewhere.exists()
    absent = archive(node, "export", "--study", "1.2.3", "--to", str(place / "none" / "medium.zip"))
    assert "is no folder" in absent.stderr


def test_a_link_leads_to_the_node_that_runs(node: NodeProcess) -> None:
    who = ("admin", "user", "add", "r.sample@x.example", "--organisation", ORGANISATION, "--name", "R. Sample")
    added = command(node.folder, *who)
    assert added.returncode == 0, added.stderr
    assert added.stdout.splitlines()[-1].startswith(f"{node.url}/sign-in/")


def test_scrub_says_that_all_is_whole(node: NodeProcess) -> None:
    done = command(node.folder, "archive", "scrub", "--json")
    assert done.returncode == 0, done.stderr
    assert '"broken": 0' in done.stdout
    assert '"instances": 0' not in done.stdout
