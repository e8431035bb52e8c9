"""Second factors on pages: one's own, and those of members who lost theirs."""

from __future__ import annotations

import re

import pytest

from tests.common.arrivals import code_now, secret_of
from tests.common.deployment import Deployment, OpenDeployment


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
    stranger = await place.staff("admin", place.second)
    assert doctor.user.name not in (await stranger.web.get(path)).text
    assert (await doctor.web.get(path)).status_code in (303, 404)
