"""A change of the notice at the doors: two people in the privacy office, two logins at the command line."""

from __future__ import annotations

import asyncio
import re
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from tests.common.deployment import NOTICES, Deployment, OpenDeployment
from tests.common.platform import OneDatabase
from tests.promises.test_changes import RECIPIENT, next_version, with_clause
from troth.kit.postgres import EmbeddedServer
from troth.main import admin, commands
from troth.notice import load
from troth.policy import Target


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The imaging host, whose own privacy office may publish here."""
    folder = tmp_path_factory.mktemp("notice")
    source = (NOTICES / "imaging-host" / "notice.yaml").read_text()
    line = next(each for each in source.splitlines() if "publish_notice" in each)
    office = re.sub(r"who: \[[a-z_]+\]", "who: [office]", line)
    office = re.sub(r"does: \[[^\]]*\]", "does: [publish_notice]", office)
    office = re.sub(r"about: \[[^\]]*\]", "about: [notice]", office)
    office = re.sub(r"within: \w+", "within: own_organisation", office)
    (folder / "notice.yaml").write_text(source.replace(line, f"{line}\n{office}", 1))
    (folder / "organisations.yaml").write_text((NOTICES / "imaging-host" / "organisations.yaml").read_text())
    return await open_deployment(folder)


@pytest.mark.promise("IH-16")
async def test_two_people_of_the_office_see_what_follows_and_agree(place: Deployment) -> None:
    first, second = await place.staff("office"), await place.staff("office")
    doctor = await place.staff("clinician")
    before = (await place.rooms.notices.versions())[0].notice
    section = int(before.all("recipient")[0].id.split(".")[0])
    clause = with_clause(before, section, RECIPIENT.format(section=section, country=before.regions[0]))
    rooms = place.rooms
    permit = await rooms.policy.require(
        first.actor, "publish_notice", Target("notice", None, first.actor.tenant), "administration"
    )
    proposal = await rooms.proposals.propose(permit, next_version(before, clause))
    path, fields = f"/office/notice/{proposal.id}", {"act": "agree", "sha256": proposal.sha256.hex()}
    page = (await second.web.get("/office/notice")).text
    assert "A company that asks you how satisfied you are." in page
    assert "What follows" in page
    assert "Material: a new recipient" in page
    assert "somebody else has to agree" in (await first.web.get("/office/notice")).text
    assert (await doctor.web.get("/office/notice")).status_code == 404
    assert (await first.post(path, fields, page="/office/notice")).status_code == 422
    changed = {**fields, "sha256": "0" * 64}
    assert (await second.post(path, changed, page="/office/notice")).status_code == 409
    assert (await second.post(path, fields, page="/office/notice")).status_code == 303
    assert (await second.post(path, fields, page="/office/notice")).status_code == 409
    assert "Not yet" in (await place.anybody().web.get("/notice/versions")).text
    version = (await rooms.notices.versions())[0]
    assert (version.published_by, version.second_person) == (first.actor.id, second.actor.id)
    assert version.is_signed_by(rooms.keyring.public_key)
    [entry] = await place.ledgered(kind="notice:version:published", actor=second.actor.id)
    assert entry.index is not None


async def test_the_office_reads_the_proofs_of_its_own_organisation(place: Deployment) -> None:
    office, other = await place.staff("office"), await place.staff("office", place.second)
    held = await place.study()
    doctor = await place.staff("clinician")
    assert (await doctor.viewer.get(f"/dicomweb/studies/{held.uid}/metadata")).status_code == 200
    [opened] = await place.ledgered(kind="archive:study:opened", subject=held.subject_id)
    page = await office.web.get("/office/promises")
    assert page.status_code == 200
    assert "archive:study:opened" in page.text
    assert "inclusion proved" in page.text
    mine, theirs = [(await each.web.get("/office/promises.json")).text for each in (office, other)]
    assert str(opened.id) in mine
    assert str(opened.id) not in theirs


async def test_two_logins_publish_at_the_command_line(
    open_deployment: OpenDeployment, postgres: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cloud = await open_deployment("imaging-cloud")
    for year in (2019, 2019, 2010, 2026):
        await cloud.study(study_date=date(year, 6, 1))
    shipped = load(NOTICES / "imaging-cloud")
    file = tmp_path / "notice.yaml"
    file.write_text(next_version(shipped, ("period: P8Y", "period: P7Y"), after=timedelta(days=30)).source)
    name = psycopg.conninfo.conninfo_to_dict(cloud.rooms.dsn_sequencer)["dbname"]
    served: Any = SimpleNamespace(server=postgres, name=name)
    monkeypatch.setattr(admin, "running", lambda settings: (OneDatabase(served), False))
    folder = str(cloud.rooms.settings.data_dir)

    async def run(login: str, *words: str) -> Any:
        monkeypatch.setenv("SUDO_USER", login)
        return await asyncio.to_thread(CliRunner().invoke, commands.app, ["notice", *words, "--data-dir", folder])

    told = await run("ann", "publish", str(file))
    assert told.exit_code == 0, told.output
    assert "not material" in told.output
    assert "2 studies become due on" in told.output, "those of 2010 are due either way, that of 2026 is not due yet"
    assert "2 studies end sooner than now" in told.output or "1 study ends sooner than now" in told.output
    assert "posted" in told.output
    again = await run("ann", "agree")
    assert again.exit_code != 0
    agreed = await run("bob", "agree")
    assert agreed.exit_code == 0, agreed.output
    assert (await cloud.rooms.notices.versions())[0].number == shipped.version + 1
