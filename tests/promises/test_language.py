"""What a notice cannot say, and what cannot start under it: through `troth check`, `troth serve` and a form."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.common.deployment import ADDRESS, NOTICES, Deployment, OpenDeployment
from troth.main import collecting

SOURCE = Path(collecting.__file__).parents[1]
START_SECONDS = 120


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the account of the database may pass through."""
    made = Path(tempfile.mkdtemp(prefix="troth-language-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def troth(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [sys.executable, "-m", "troth.main.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)


def changed(folder: Path, name: str, old: str, new: str) -> Path:
    """A copy of a shipped deployment folder with one change of its notice."""
    copy = folder / name
    shutil.copytree(NOTICES / name, copy)
    file = copy / "notice.yaml"
    source = file.read_text()
    assert old in source
    file.write_text(source.replace(old, new, 1))
    return copy


def told(answer: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    """The problems that `troth check --format json` tells."""
    found: list[dict[str, object]] = json.loads(answer.stdout)
    return found


@pytest.mark.promise("IC-09", on="imaging-cloud")
def test_an_activity_without_a_retention_rule_does_not_pass(folder: Path) -> None:
    assert troth("check", NOTICES / "imaging-cloud").returncode == 0
    wrong = changed(folder, "imaging-cloud", "        retention: [chat]\n", "")
    answer = troth("check", wrong, "--format", "json")
    assert answer.returncode == 1
    (problem,) = told(answer)
    lines = (wrong / "notice.yaml").read_text().splitlines()
    assert "'retention' is missing" in str(problem["what"])
    assert lines[int(str(problem["line"])) - 1].strip() == '- id: "4.11"'
    unknown = changed(folder / "again", "imaging-cloud", "retention: [chat]", "retention: [forever]")
    (problem,) = told(troth("check", unknown, "--format", "json"))
    assert "§ 4.11: the retention 'forever' is not in this notice" in str(problem["what"])


@pytest.mark.promise("TV-10", shows="check", on="terminology-vendor")
def test_a_recipient_that_buys_does_not_pass_where_nothing_is_sold(folder: Path) -> None:
    assert troth("check", NOTICES / "terminology-vendor").returncode == 0
    buyer = (
        "  - number: 990\n    title: Buyers\n    clauses:\n"
        '      - {id: "990.1", kind: recipient, key: buyer, is_outside: true, name: Buyer, country: US, uses: [sale],\n'
        "         contract: {form: controller, signed_on: 2026-01-01}, says: Somebody who buys.}\n"
    )
    wrong = folder / "terminology-vendor"
    shutil.copytree(NOTICES / "terminology-vendor", wrong)
    with (wrong / "notice.yaml").open("a") as file:
        file.write("\n" + buyer)
    answer = troth("check", wrong, "--format", "sarif")
    assert answer.returncode == 1
    results = json.loads(answer.stdout)["runs"][0]["results"]
    assert any("§ 990.1: the notice says that nothing is used for 'sale'" in one["message"]["text"] for one in results)


@pytest.mark.promise("EM-03", on="equipment-maker")
def test_categories_are_those_of_the_vocabulary(folder: Path) -> None:
    assert troth("check", NOTICES / "equipment-maker").returncode == 0
    source = (NOTICES / "equipment-maker" / "notice.yaml").read_text()
    iri = next(line for line in source.splitlines() if "iri: dpv" in line)
    wrong = changed(folder, "equipment-maker", iri, "        iri: dpv-pd:Aura")
    (problem,) = told(troth("check", wrong, "--format", "json"))
    assert "DPV 2.3 has no category 'dpv-pd:Aura'" in str(problem["what"])


def started(place: Path, notice: Path) -> tuple[int | None, str]:
    """Start a node, until it says its last address or ends; gives how it ended, if it did, and what it wrote."""
    doors = [word for door in ("http", "viewer", "dicom") for word in (f"--{door}", "127.0.0.1:0")]
    command = [sys.executable, "-m", "troth.main.cli", "serve", "--data-dir", str(place), "--notice", str(notice)]
    log = place.with_name(f"{place.name}.log")
    with log.open("w") as sink:
        node = subprocess.Popen([*command, *doors], stdout=sink, stderr=sink)
    try:
        until = time.monotonic() + START_SECONDS
        while "dicom  " not in log.read_text() and node.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        return node.poll(), log.read_text()
    finally:
        node.terminate()
        node.wait(60)


@pytest.mark.promise("IH-01", shows="start", on="imaging-host")
def test_a_form_on_a_surface_that_the_notice_lacks_stops_the_start(folder: Path) -> None:
    wrong, place = changed(folder, "imaging-host", ", portal,", ","), folder / "place"
    code, said = started(place, wrong)
    assert code == 1, said
    assert "the form 'rights_request' stands on the surface 'portal', which no notice lists" in said
    assert "pages  " not in said
    code, said = started(place, NOTICES / "imaging-host")
    assert code is None, said
    assert "pages  " in said


@pytest.fixture(scope="module")
async def host(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


@pytest.mark.promise("IH-03", shows="run")
async def test_a_field_that_is_not_declared_is_refused_and_not_logged(
    host: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    web = host.anybody().web
    caplog.set_level(logging.DEBUG, logger="troth")
    taken = await web.post("/sign-in", data={"email": "somebody@mail.example"})
    assert taken.status_code == 303
    refused = await web.post("/sign-in", data={"email": "somebody@mail.example", "shoe_size": "fortytwo"})
    assert refused.status_code == 422
    assert "fortytwo" not in refused.text
    assert "fortytwo" not in caplog.text
    assert "shoe_size" not in caplog.text


@pytest.mark.promise("IH-03", shows="run")
async def test_of_what_a_browser_tells_the_address_of_a_sign_in_is_kept_and_nothing_else(
    host: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="troth")
    reader, person = host.anybody(), await host.staff("clinician")
    told = {"User-Agent": "Shoebox/42", "Referer": "https://elsewhere.example/came-from", "Accept-Language": "xx-QQ"}

    async def with_the_address() -> set[str]:
        return {event.id.hex for event in await host.ledgered() if ADDRESS in json.dumps(event.payload, default=str)}

    signed_in = await with_the_address()
    assert signed_in
    for page in ("/", "/notice", "/promises", "/sign-in"):
        assert (await reader.web.get(page, headers=told)).status_code in (200, 303)
    assert (await person.web.get("/account", headers=told)).status_code == 200
    assert await with_the_address() == signed_in, "reading a page keeps no address"
    await host.sign_in_again(person)
    assert await with_the_address() > signed_in
    kept = str([event.payload for event in await host.ledgered()])
    for words in ("Shoebox", "came-from", "QQ"):
        assert words not in kept
        assert words not in caplog.text


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program, without the viewer's files."""
    copy = tmp_path_factory.mktemp("program")
    shutil.copytree(SOURCE, copy / "troth", ignore=shutil.ignore_patterns("dist", "static", "__pycache__"))
    return copy


UNDECLARED = {
    "a field of a form": (
        "doors/web/declared.py", 'theme=NOBODY, back=NOBODY', 'theme=NOBODY, back=NOBODY, shoe="shoe_sizes"',
        "the field 'shoe' of 'theme' holds 'shoe_sizes'",
    ),
    "a form": ("doors/web/app.py", 'Route("/theme"', 'Route("/shoes"', "the form at /shoes is not declared"),
    "a column": (
        "main/tables.json", '"account": ["key"', '"account": ["shoe", "key"',
        "the column 'shoe' of the table 'account' is not said to hold anything",
    ),
    "what a column holds": (
        "main/columns.yaml", "email_sealed: account, zone", "email_sealed: shoe_sizes, zone",
        "the column 'email_sealed' of 'account' holds 'shoe_sizes'",
    ),
}  # fmt: skip
"""What somebody adds to the program: file, what stands there, what then stands there, and what the check says."""


@pytest.mark.promise("IH-03", shows="check", on="imaging-host")
@pytest.mark.parametrize("added", UNDECLARED)
def test_a_field_that_no_clause_covers_does_not_pass(program: Path, added: str) -> None:
    name, stands, then, told_of = UNDECLARED[added]
    command = [sys.executable, "-m", "troth.main.cli", "check", str(NOTICES / "imaging-host")]
    environment = {**os.environ, "PYTHONPATH": str(program)}

    def checked() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=program, env=environment, capture_output=True, text=True, check=False)

    sound = checked()
    assert (sound.returncode, sound.stdout.count("every clause is enforced")) == (0, 1), sound.stdout
    file = program / "troth" / name
    before = file.read_text()
    assert stands in before
    file.write_text(before.replace(stands, then, 1))
    try:
        refused = checked()
    finally:
        file.write_text(before)
    assert refused.returncode == 1
    assert told_of in refused.stdout


@pytest.mark.promise("IH-03", shows="check", on="imaging-host")
def test_a_field_whose_category_the_notice_lacks_does_not_pass(folder: Path) -> None:
    form = (
        "  - number: 990\n    title: Forms\n    clauses:\n"
        '      - {id: "990.1", kind: surface, key: sign_in, at: site, purposes: [PURPOSE], says: A form.,\n'
        "         fields: [{name: email, category: account}, {name: mood, category: moods}]}\n"
    )
    wrong = folder / "imaging-host"
    shutil.copytree(NOTICES / "imaging-host", wrong)
    source = (wrong / "notice.yaml").read_text()
    after = source.index("kind: purpose")
    purpose = source[source.index("key: ", after) + 5 :].split("\n", 1)[0].strip()
    (wrong / "notice.yaml").write_text(source + "\n" + form.replace("PURPOSE", purpose))
    answer = troth("check", wrong, "--format", "json")
    assert answer.returncode == 1
    (problem,) = told(answer)
    assert "§ 990.1: the category 'moods' is not in this notice" in str(problem["what"])
