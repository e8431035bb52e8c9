"""Second factors on pages: one's own, and those of members who lost theirs."""

from __future__ import annotations

import re

import pytest

from tests.common.arrivals import code_now, secret_of
from tests.common.deployment import Deployment, OpenDeployment
from tests.unit.doors.test_methods import paths
from troth.doors import viewer
from troth.people import Challenge
from troth.policy import Target


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


async def test_ones_own_factors_are_listed_added_and_taken_away(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    path = "/account/factors"
    page = (await doctor.web.get(path)).text
    assert page.count("<b>App for codes</b>") == 1
    assert "10 codes left" in page
    factor = re.search(r'name="factor" value="([0-9a-f-]+)"', page)
    assert factor is not None
    last = await doctor.post(path, {"act": "remove", "factor": factor[1]})
    assert (last.status_code, "only second factor" in last.text) == (409, True)
    assert (await doctor.post(path, {"act": "add"})).headers["location"] == f"{path}?add=1"
    page = (await doctor.web.get(f"{path}?add=1")).text
    key = re.search(r'id="key">([A-Z2-7 ]+)<', page)
    assert key is not None
    added = await doctor.post("/second-step/app", {"code": code_now(secret_of(key[1]))}, page=f"{path}?add=1")
    assert added.headers["location"] == path
    doctor.viewer.cookies.clear()
    cookie = added.cookies["troth_session"]
    doctor.web.cookies.clear()
    doctor.web.cookies.set("troth_session", cookie)
    assert (await doctor.web.get(path)).text.count("<b>App for codes</b>") == 2
    removed = await doctor.post(path, {"act": "remove", "factor": factor[1]})
    assert removed.headers["location"] == f"{path}?told=removed"
    codes = (await doctor.post(path, {"act": "codes"})).text
    assert len(re.findall(r"<li>[a-z0-9]{5}-[a-z0-9]{5}</li>", codes)) == 10


async def test_a_page_of_recovery_codes_that_is_reloaded_leads_on(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    for path in ("/second-step/app", "/second-step/passkey"):
        opened, sent = await doctor.web.get(path), await doctor.web.post(path, data={"code": "123456"})
        for answer in (opened, sent):
            assert answer.headers["location"] == "/account/factors?told=codes"
        assert (await place.anybody().web.get(path)).headers["location"] == "/second-step"
    assert "make new ones here" in (await doctor.web.get("/account/factors?told=codes")).text


@pytest.mark.asvs("V6.4.4")
async def test_two_administrators_let_back_in_who_lost_it(place: Deployment) -> None:
    doctor, first, second = await place.staff("clinician"), await place.staff("admin"), await place.staff("admin")
    assert doctor.user is not None
    path = "/admin/factors"
    asked = await first.post(path, {"act": "ask", "about": str(doctor.user.id)})
    assert asked.headers["location"] == f"{path}?told=asked"
    page = (await first.web.get(path)).text
    assert "Waits for a second person" in page
    assert 'value="agree"' not in page, "nobody agrees to what they asked"
    who_can = re.search(r"You cannot be the second person\. ([^<]+) can\.", page)
    assert first.user is not None
    assert who_can, "and who could is named"
    assert first.user.name not in who_can[1]
    waiting = re.search(
        r'name="about" value="([0-9a-f-]+)"><button[^>]* value="agree"', (await second.web.get(path)).text
    )
    assert waiting is not None
    assert (await first.post(path, {"act": "agree", "about": waiting[1]})).status_code == 409
    assert (await doctor.web.get("/studies")).status_code == 200
    agreed = await second.post(path, {"act": "agree", "about": waiting[1]})
    assert agreed.headers["location"] == f"{path}?told=agreed"
    assert (await doctor.web.get("/studies")).headers["location"] == "/sign-in?over=1"
    [entry] = await place.ledgered(kind="people:factor:reset", house=place.first)
    assert (entry.actor_id, entry.payload["user"]) == (second.actor.id, str(doctor.user.id))
    await second.post(path, {"act": "ask", "about": str(doctor.user.id)})
    waits = re.search(r'name="about" value="([0-9a-f-]+)"><button[^>]* value="agree"', (await first.web.get(path)).text)
    assert waits is not None
    for unknown in ({"act": "dropped"}, {"act": ""}, {}):
        assert (await first.post(path, {**unknown, "about": waits[1]})).status_code == 422
    dropped = await first.post(path, {"act": "drop", "about": waits[1]})
    assert dropped.headers["location"] == f"{path}?told=dropped", "it waited still"
    [entry] = await place.ledgered(kind="people:factor:reset_dropped", house=place.first)
    assert entry.actor_id == first.actor.id
    assert entry.payload == {**entry.payload, "user": str(doctor.user.id), "asked_by": str(second.actor.id)}
    stranger = await place.staff("admin", place.second)
    assert doctor.user.name not in (await stranger.web.get(path)).text
    assert (await doctor.web.get(path)).status_code in (303, 404)


async def test_who_owes_a_factor_reaches_what_a_stranger_reaches(place: Deployment) -> None:
    """Every page of both origins, DICOMweb and REST: the link alone opens nothing of any of them."""
    doctor, held = await place.staff("clinician"), await place.study()
    await place.assign(doctor, held)
    assert doctor.user is not None
    house = place.set_up_permit("administer", Target("organisation", place.first.id, place.first.id))
    secret = (await place.rooms.people.issue_sign_in_link(house, doctor.user.id)).rpartition("/")[2]
    begun = await place.rooms.people.sign_in(secret, "127.0.0.1")
    assert isinstance(begun, Challenge)
    halfway, stranger = place.anybody(), place.anybody()
    for client in (halfway.web, halfway.viewer):
        client.cookies.set("troth_session", begun.token)
    values = {"id": str(held.id), "study": held.uid, "other": str(held.subject_id), "number": "1", "secret": "none"}
    opened, of_members = [], 0
    for origin, app in (("web", place.pages), ("viewer", viewer.create(place.rooms, place.images))):
        for _, path in paths(app.routes, {**values, "link": "none", "staff": "none", "path": "index.html"}):
            half = await getattr(halfway, origin).get(path)
            nobody = await getattr(stranger, origin).get(path)
            whole = await getattr(doctor, origin).get(path)
            of_members += whole.status_code == 200 and nobody.status_code != 200
            is_led = half.status_code == 303 and half.headers["location"] == "/second-step"
            if not is_led and half.status_code != nobody.status_code and not path.startswith("/second-step"):
                opened.append((origin, path, half.status_code, nobody.status_code))
    assert opened == []
    assert of_members > 10, "with the factor, they are there"
