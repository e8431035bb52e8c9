"""A change of the notice at the doors: two people in the privacy office, two logins at the command line."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest
from typer.testing import CliRunner

from tests.common.deployment import NOTICES, Deployment, OpenDeployment, Person
from tests.common.platform import OneDatabase
from tests.promises.test_changes import RECIPIENT, next_version, with_clause
from troth.kit import clock
from troth.kit.postgres import EmbeddedServer
from troth.main import beside, commands
from troth.notice import Notice, load, notice_files
from troth.people import Organisation
from troth.policy import Actor, Target

DEPLOYMENTS = ("imaging-cloud", "imaging-host", "equipment-maker", "terminology-vendor")


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


@pytest.fixture(scope="module", params=DEPLOYMENTS)
async def any_place(request: pytest.FixtureRequest, open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment(request.param)


def operator_of(place: Deployment) -> Organisation:
    """The organisation that runs the whole service."""
    return next(each for each in place.organisations if each.operates)


def publishing(place: Deployment) -> Notice:
    """The notice that says who may publish."""
    return next(each for each in map(load, notice_files([place.rooms.settings.notice[0]])) if each.all("recipient"))


def changed(before: Notice) -> str:
    """The next version of a notice, with a recipient outside."""
    section = int(before.all("recipient")[0].id.split(".")[0])
    clause = with_clause(before, section, RECIPIENT.format(section=section, country=before.regions[0]))
    return next_version(before, clause).source


async def typed(person: Person, source: str, act: str, **further: str) -> httpx.Response:
    """Send the form in which a version is written."""
    fields = {"act": act, "source": source.replace("\n", "\r\n"), **further}
    name = re.search(r"(?m)^notice: (.*)$", source)
    page = f"/office/notice/new?of={name[1]}" if name else "/office/notice/new"
    return await person.post("/office/notice", fields, page=page)


async def test_two_officers_of_the_operator_write_look_propose_and_agree(any_place: Deployment) -> None:
    place, house = any_place, operator_of(any_place)
    first, second = await place.staff("office", house), await place.staff("office", house)
    outside = await place.staff("office", next(each for each in place.organisations if not each.operates))
    before = publishing(place)
    new = f"/office/notice/new?of={before.name}"
    listed = await first.web.get("/office/notice")
    assert f'href="{new}"' in listed.text
    page = await first.web.get(new)
    assert f"version: {before.version + 1}" in page.text
    assert (await outside.web.get(new)).status_code == 404, "only who runs the service publishes"
    assert 'href="/office/notice/new' not in (await outside.web.get("/office/notice")).text

    source = changed(before)
    looked = await typed(first, source, "look")
    assert looked.status_code == 200, looked.text
    assert "A company that asks you how satisfied you are." in looked.text
    assert "Material: a new recipient" in looked.text
    assert "What would follow" in looked.text
    assert not await place.rooms.proposals.all(), "looking keeps nothing"

    sent = await typed(first, source, "propose")
    assert sent.status_code == 303, sent.text
    [proposal] = await place.rooms.proposals.all()
    assert proposal.notice.source == source, "the text is kept to the letter"
    path, fields = f"/office/notice/{proposal.id}", {"act": "agree", "sha256": proposal.sha256.hex()}
    shown = (await second.web.get("/office/notice")).text
    assert "A company that asks you how satisfied you are." in shown
    assert "What follows" in shown
    assert "somebody else has to agree" in (await first.web.get("/office/notice")).text
    assert (await first.post(path, fields, page="/office/notice")).status_code == 422
    token = {"token": await second.token("/office/notice")}
    refused = await outside.web.post(path, data={**fields, "token": await outside.token("/office/notice")})
    assert refused.status_code == 404
    other = {**fields, **token, "sha256": "0" * 64}
    assert (await second.web.post(path, data=other)).status_code == 409
    assert (await second.web.post(path, data={**fields, **token})).status_code == 303
    assert (await second.web.post(path, data={**fields, **token})).status_code == 409
    assert "Not yet" in (await place.anybody().web.get("/notice/versions")).text
    version = next(each for each in await place.rooms.notices.versions() if each.number == before.version + 1)
    assert (version.published_by, version.second_person) == (first.actor.id, second.actor.id)
    assert version.is_signed_by(place.rooms.keyring.public_key)
    [entry] = await place.ledgered(kind="notice:version:published", actor=second.actor.id)
    assert entry.index is not None


async def test_what_is_wrong_is_said_with_its_place_and_nothing_is_kept(place: Deployment) -> None:
    officer = await place.staff("office", operator_of(place))
    before = publishing(place)
    good = changed(before)
    line = next(number for number, each in enumerate(good.split("\n"), 1) if "basis: eu-gdpr" in each)
    wrong = good.split("\n")
    wrong[line - 1] = wrong[line - 1].split("basis:")[0] + "basis: because"
    answer = await typed(officer, "\n".join(wrong), "propose")
    assert answer.status_code == 422
    page = unescape(answer.text)
    assert f">{line}</th>" in page
    assert "<code>basis: because</code>" in page
    assert "basis: because" in page.split("<textarea")[1], "what was typed is still there"

    uncovered = re.sub(r"(?m)^(surfaces:.*), command_line", r"\1", good).replace(", portal", "", 1)
    answer = await typed(officer, uncovered, "look")
    assert answer.status_code == 422, "a form that no notice covers would stop the next start"
    assert "portal" in answer.text
    today = clock.today()
    for text, said in (
        (re.sub(r"(?m)^version:.*$", f"version: {before.version}", good), "was published before"),
        (re.sub(r"(?m)^effective_on:.*$", f"effective_on: {today - timedelta(days=1)}", good), "a day that has passed"),
        (next_version(before).source, "changes nothing"),
        ("a: &a [*a]", "to mend"),
        ("[" * 200, "to mend"),
        ("<script>alert(1)</script>", "to mend"),
    ):
        answer = await typed(officer, text, "propose")
        assert answer.status_code == 422, said
        assert said in unescape(answer.text), said
        assert "<script>" not in answer.text
    too_long = await officer.web.post("/office/notice", data={"token": "x", "source": "a" * 1_100_000})
    assert too_long.status_code == 413
    assert not await place.rooms.proposals.all()
    assert not await place.ledgered(kind="notice:version:proposed")


async def test_a_proposal_is_withdrawn_and_another_may_follow(place: Deployment) -> None:
    house = operator_of(place)
    first, second = await place.staff("office", house), await place.staff("office", house)
    source = changed(publishing(place))
    answers = await asyncio.gather(typed(first, source, "propose"), typed(second, source, "propose"))
    assert sorted(answer.status_code for answer in answers) == [303, 422], "one at a time"
    [proposal] = await place.rooms.proposals.all()
    path = f"/office/notice/{proposal.id}"
    assert (await second.post(path, {"act": "withdraw"}, page="/office/notice")).status_code == 303
    page = (await first.web.get("/office/notice")).text
    assert "Withdrawn" in page
    assert "Nothing is proposed." in page
    agreed = await second.web.post(
        path, data={"token": await second.token("/choices"), "act": "agree", "sha256": proposal.sha256.hex()}
    )
    assert agreed.status_code == 409
    assert (await typed(first, source, "propose")).status_code == 303
    taken = await first.web.get(f"/office/notice/text?of={publishing(place).name}")
    assert taken.text == publishing(place).source


async def test_the_office_reads_what_is_looked_for_and_what_is_missing(place: Deployment) -> None:
    office = await place.staff("office")
    await place.looked()
    page = await office.web.get("/office/promises")
    assert page.status_code == 200
    told = json.loads((await office.web.get("/office/promises.json")).text)
    promises = [promise for report in told for promise in report["promises"]]
    assert all(promise["looks_for"] in unescape(page.text) for promise in promises)
    missing = [promise for promise in promises if promise["standing"] == "not possible here"]
    assert missing
    assert all(promise["lacks"][0][1:] in unescape(page.text) for promise in missing)
    assert not any(promise["is_unsaid"] for promise in promises)


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
    monkeypatch.setattr(beside, "running", lambda settings: (OneDatabase(served), False))
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


async def invited_by(place: Deployment, officer: Person, house: Organisation) -> Person:
    """Somebody whom one privacy officer alone lets in as another, and who comes in."""
    email = f"puppet-{len(place.mails())}@x.example"
    asked = await officer.post("/office/people", {"name": "Pup Pet", "email": email})
    assert asked.headers["location"] == "/office/people?told=invited"
    secret = re.findall(r"/invitation/(\S+)", place.mails()[-1])[0]
    await place.rooms.people.accept_invitation(secret, "127.0.0.1")
    inside = place.set_up_permit("administer", Target("organisation", house.id, house.id))
    [user] = [each for each in await place.rooms.people.users(inside) if each.email == email]
    return await place.sign_in_again(place._person(Actor("anonymous"), user=user, email=email))


async def test_who_was_let_in_by_the_other_agrees_to_no_notice(place: Deployment) -> None:
    house = operator_of(place)
    first, second = await place.staff("office", house), await place.staff("office", house)
    for each in await place.rooms.proposals.all():  # of the tests before
        if each.is_open:
            path, fields = f"/office/notice/{each.id}", {"act": "withdraw", "sha256": each.sha256.hex()}
            await first.post(path, fields, page="/office/notice")
    puppet = await invited_by(place, first, house)
    twin = await invited_by(place, first, house)
    sent = await typed(puppet, changed(publishing(place)), "propose")
    assert sent.status_code == 303, sent.text
    [proposal] = [each for each in await place.rooms.proposals.all() if each.is_open]
    path, fields = f"/office/notice/{proposal.id}", {"act": "agree", "sha256": proposal.sha256.hex()}
    for nobody in (first, twin):
        refused = await nobody.post(path, fields, page="/office/notice")
        assert refused.status_code == 422, "one person may be behind both accounts"
    assert (await place.rooms.proposals.one(proposal.id)).is_open
    assert (await second.post(path, fields, page="/office/notice")).status_code == 303
    published = (await place.rooms.proposals.one(proposal.id)).version_id
    [version] = [each for each in await place.rooms.notices.versions() if each.id == published]
    assert {version.published_by, version.second_person} == {puppet.actor.id, second.actor.id}
