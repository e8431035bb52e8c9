"""Whoever sends a form from another country is asked whether it may come here, before anything of it is taken in."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import httpx
import pytest

from tests.common.arrivals import shown_in, take_second_step
from tests.common.deployment import Deployment, OpenDeployment, Person
from tests.common.outside import office_of
from troth.people import Organisation
from troth.policy import Target

WORDING = "Do you agree that what you send goes to the United States?"
ASKER = "asker@x.example"
REFUSED = "Without your yes nothing of it is taken in"
UNSTATED = "Say from where you send this"


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("terminology-vendor")


async def invited(place: Deployment, house: Organisation, email: str) -> str:
    """The path of an invitation to work in a house."""
    inside = place.set_up_permit("administer", Target("organisation", house.id, house.id))
    made = await place.rooms.people.invite_user(inside, house.id, email, "New Member", "office")
    return f"/invitation/{made.secret}"


async def refused(at: Deployment, who: Person, path: str, words: str, house: Organisation, **typed: str) -> None:
    """The form comes back with what is to mend, and nothing was kept of it."""
    page = (await who.web.get(path)).text
    answer = await who.web.post(path, data={**shown_in(page), **typed})
    assert answer.status_code == 422
    assert words in unescape(answer.text)
    assert 'id="faults"' in answer.text
    inside = at.set_up_permit("administer", Target("organisation", house.id, house.id))
    assert await at.rooms.people.users(inside) == []
    for kind in ("people:invitation:used", "people:terms:accepted", "people:consent:recorded"):
        assert await at.ledgered(kind=kind, house=house) == []


@pytest.mark.promise("TV-15", shows="asks")
async def test_an_invitation_from_another_country_asks_first_and_keeps_the_answer(place: Deployment) -> None:
    house = await place.organisation("Customer who is asked", "controller", "FR")
    path, member = await invited(place, house, "asked@x.example"), place.anybody()
    page = (await member.web.get(path)).text
    assert WORDING in page
    assert 'name="place"' not in page, "where they are is known"
    await refused(place, member, path, REFUSED, house)
    await refused(place, member, path, REFUSED, house, agreed="no")
    await refused(place, member, path, REFUSED, house, place="here")

    answer = await member.web.post(path, data={**shown_in(page), "agreed": "yes"})
    assert answer.status_code == 303, answer.text
    [entry] = await place.ledgered(kind="people:consent:recorded", house=house)
    assert (entry.purpose, entry.clauses) == ("import_from_abroad", ("4.25",))
    assert (entry.payload or {})["about"] == "sent_to_us"
    inside = place.set_up_permit("administer", Target("organisation", house.id, house.id))
    [user] = await place.rooms.people.users(inside)
    assert entry.subject_id == user.id
    assert (await take_second_step(member.web)).status_code == 200

    async def receipt() -> tuple[str, str, dict[str, Any]]:
        """State and page of what was chosen, and its signed record."""
        listed = (await member.web.get("/choices")).text
        [kept] = set(re.findall(r'href="(/choices/[0-9a-f-]{36})"', listed))
        record = json.loads((await member.web.get(f"{kept}/receipt.json")).json()["record"])
        return listed, kept, record

    listed, _, record = await receipt()
    assert WORDING in listed
    assert "You said yes" in listed
    assert (record["wording"], record["pii_principal_id"]) == (WORDING, str(user.id))
    notice = record["notice"]
    assert (notice["name"], notice["version"], notice["clause"]) == ("terminology-vendor", 1, "7.2")

    token = re.search(r'name="token" value="([^"]+)"', listed)
    assert token is not None
    fields = {"token": token[1], "act": "take_back", "about": "sent_to_us"}
    assert (await member.web.post("/choices", data=fields)).status_code == 303
    listed, _, record = await receipt()
    assert "You took it back" in listed
    assert [each["state"] for each in record["events"]] == ["given", "withdrawn"]
    assert len(await place.ledgered(kind="people:consent:recorded", house=house)) == 2


@pytest.mark.promise("TV-15", shows="asks")
async def test_an_invitation_from_here_asks_where_it_is_answered(place: Deployment) -> None:
    house = await place.organisation("Customer near by", "controller", "US")
    path, member = await invited(place, house, "near@x.example"), place.anybody()
    page = (await member.web.get(path)).text
    assert WORDING in page
    assert 'name="place"' in page
    await refused(place, member, path, UNSTATED, house)
    await refused(place, member, path, UNSTATED, house, agreed="yes")
    await refused(place, member, path, REFUSED, house, place="elsewhere")
    answer = await member.web.post(path, data={**shown_in(page), "place": "here"})
    assert answer.status_code == 303, answer.text
    assert await place.ledgered(kind="people:consent:recorded", house=house) == []

    path, traveller = await invited(place, house, "away@x.example"), place.anybody()
    page = (await traveller.web.get(path)).text
    away = {**shown_in(page), "place": "elsewhere", "agreed": "yes"}
    assert (await traveller.web.post(path, data=away)).status_code == 303
    assert len(await place.ledgered(kind="people:consent:recorded", house=house)) == 1


@pytest.mark.promise("TV-15", shows="asks")
async def test_a_copy_is_ordered_from_another_country_by_who_agrees(place: Deployment) -> None:
    house = await place.organisation("House of the copy", "controller", "FR")
    await (await office_of(place, house)).instrument("asked_for", "EEA", "US", document="The clauses, in full.")
    anybody = place.anybody()
    page = (await anybody.web.get("/recipients")).text
    assert WORDING in page
    [instrument] = re.findall(r'<option value="([0-9a-f-]{36})">[^<]*House of the copy</option>', page)

    async def ordered(**typed: str) -> httpx.Response:
        return await anybody.web.post("/recipients", data={"instrument": instrument, "email": ASKER, **typed})

    for words, typed in ((UNSTATED, {}), (REFUSED, {"place": "elsewhere"}), (UNSTATED, {"agreed": "yes"})):
        before, answer = len(place.mails()), await ordered(**typed)
        assert answer.status_code == 422
        assert words in unescape(answer.text)
        assert len(place.mails()) == before
        assert await place.ledgered(kind="exchange:document:asked", house=house) == []
    async with place.rooms.database.transaction(house) as connection:
        row = await (await connection.execute("select count(*) as n from exchange_document_request")).fetchone()
    assert row is not None
    assert row["n"] == 0

    assert (await ordered(place="here")).status_code == 200
    assert (await ordered(place="elsewhere", agreed="yes")).status_code == 200
    here, away = sorted(
        await place.ledgered(kind="exchange:document:asked", house=house), key=lambda each: each.purpose or ""
    )[::-1]
    assert (here.purpose, "agreed" in (here.payload or {})) == ("site", False)
    assert away.purpose == "import_from_abroad"
    assert "4.25" in away.clauses
    assert (away.payload or {})["agreed"] == WORDING
    assert (away.payload or {})["notice"] == "terminology-vendor 1"
