"""A copy of what a transfer rests on goes to whoever asks, be it filed by an organisation or for the platform."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage

import httpx
import pytest

from tests.common.deployment import Deployment, OpenDeployment, Person
from tests.common.outside import office_of

ASKER = "asker@x.example"
DEPLOYMENTS = ("imaging-host", "equipment-maker", "terminology-vendor")


@pytest.fixture(scope="module", params=DEPLOYMENTS)
async def place(request: pytest.FixtureRequest, open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment(request.param)


def mails(place: Deployment) -> list[EmailMessage]:
    files = sorted((place.rooms.settings.data_dir / "outbox").glob("**/*.eml"))
    read = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
    return [mail for mail in read if mail["To"] == ASKER]


async def asked(anybody: Person, words: str) -> httpx.Response:
    """Choose what a line of the form names, and ask for it."""
    page = (await anybody.web.get("/recipients")).text
    [instrument] = re.findall(rf'<option value="([0-9a-f-]{{36}})">[^<]*{re.escape(words)}</option>', page)
    place = {"place": "here"} if 'name="place"' in page else {}
    return await anybody.web.post("/recipients", data={"instrument": instrument, "email": ASKER, **place})


@pytest.mark.promise("IH-13", "TV-15", "EM-19", "EM-27", "EM-34", shows="copy")
async def test_what_an_organisation_filed_is_there_for_whoever_asks(place: Deployment) -> None:
    anybody = place.anybody()
    assert "Nothing goes to another country" in (await anybody.web.get("/recipients")).text
    house = await place.organisation("House of Clauses", "controller", "FR")
    desk = await office_of(place, house)
    await desk.instrument("house_clauses", "EEA", "US", document="The clauses of the house, in full.")
    await desk.instrument("no_text", "EEA", "CA", kind="adequacy", document="")
    page = (await anybody.web.get("/recipients")).text
    assert "Nothing goes to another country" not in page
    assert page.count("House of Clauses") == 3, "two rows and the one that has a text"
    before = len(mails(place))
    assert (await asked(anybody, "House of Clauses")).status_code == 200
    [mail] = mails(place)[before:]
    [attached] = list(mail.iter_attachments())
    assert attached.get_content().strip() == "The clauses of the house, in full."
    for kind in ("asked", "sent"):
        [entry] = await place.ledgered(kind=f"exchange:document:{kind}", house=house)
        assert any(each.startswith("instrument:") for each in entry.clauses)
        assert "x.example" not in str(entry.clauses) + str(entry.counts), "who asked is sealed"
    await desk.end("instruments", (await desk.instruments())["house_clauses"].id, "The court struck it down.")
    page = (await anybody.web.get("/recipients")).text
    assert "<option" not in page
    assert "The court struck it down." in page


@pytest.mark.promise("IH-13", "TV-15", "EM-19", "EM-27", "EM-34", shows="copy")
async def test_the_platforms_own_is_filed_by_page_by_who_runs_the_service_alone(place: Deployment) -> None:
    operating = next(each for each in place.organisations if each.operates)
    officer, other = await place.staff("office", operating), await place.staff("office", place.first)
    if place.first.operates:
        other = await place.staff("office", await place.organisation())
    filing = "/office/platform/transfers"
    assert (await other.web.get(filing)).status_code == 404
    assert "/office/platform/recipients" not in (await other.web.get("/office/recipients")).text
    assert "/office/platform/recipients" in (await officer.web.get("/office/recipients")).text
    fields = {"key": "platform_clauses", "kind": "scc", "origin": "EEA", "destination": "US", "recipient_key": "",
              "valid_from": "2026-01-05", "valid_until": "", "document": "The clauses of the platform."}  # fmt: skip
    filed = await officer.post("/office/platform/instruments", fields, page=filing)
    assert (filed.status_code, filed.headers.get("location")) == (303, filing), filed.text
    assert "platform_clauses" in (await officer.web.get(filing)).text
    anybody, before = place.anybody(), len(mails(place))
    page = (await anybody.web.get("/recipients")).text
    assert "The platform" in page
    assert (await asked(anybody, "United States")).status_code == 200
    [mail] = mails(place)[before:]
    [attached] = list(mail.iter_attachments())
    assert attached.get_content().strip() == "The clauses of the platform."
    entries = await place.ledgered(kind="exchange:register:changed", actor=officer.actor.id)
    assert [(each.tenant, each.clauses != ()) for each in entries] == [(None, True)]

    [end] = re.findall(
        r'action="(/office/platform/instruments/[0-9a-f-]{36}/end)"', (await officer.web.get(filing)).text
    )
    ended = await officer.post(end, {"reason": "The platform moved."}, page=filing)
    assert ended.status_code == 200
    assert "<option" not in (await anybody.web.get("/recipients")).text
