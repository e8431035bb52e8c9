"""What waits is decided beside the list: an objection and an emergency, and the officer comes back to the list."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.common.deployment import Deployment, OpenDeployment, Person
from troth.doors.web import reminder
from troth.kit.errors import TrothError
from troth.policy import Target

ITEM = re.compile(r'href="(/office\?item=[0-9a-f-]{36})#file"')


@pytest.fixture
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


async def objection(place: Deployment) -> tuple[Person, str]:
    """A patient who objects to something, and their name."""
    held = await place.study()
    patient = await place.patient(held)
    said = {"act": "object", "about": "administration", "reason": "I want none of it"}
    assert (await patient.post("/choices", said)).status_code == 303
    return patient, held.made.name.split("^")[1]


async def test_an_objection_is_decided_beside_the_list(place: Deployment) -> None:
    patient, name = await objection(place)
    office = await place.staff("office")
    [item] = ITEM.findall((await office.web.get("/office")).text)
    page = (await office.web.get(item)).text
    aside = page[page.index('id="file"') :]
    assert name in aside
    assert "Grant it: it stays stopped" in aside
    assert 'class="is-on"' in page
    [path] = re.findall(r'action="(/office/decisions/objections/[0-9a-f-]{36})"', aside)
    fields = {"outcome": "no", "reason": "The law asks us to", "here": item}
    answer = await office.post(path, fields, page=item)
    assert answer.headers["location"] == "/office?told=decided"
    after = (await office.web.get("/office?told=decided")).text
    assert "It is decided, and the person can read why" in after
    assert "Nothing is waiting" in after
    assert "The law asks us to" in (await patient.web.get("/choices")).text


async def test_what_is_not_ones_own_is_not_shown_beside(place: Deployment) -> None:
    _, name = await objection(place)
    [item] = ITEM.findall((await (await place.staff("office")).web.get("/office")).text)
    other = await place.staff("office", place.second)
    for address in (item, "/office?item=nothing"):
        page = (await other.web.get(address)).text
        assert 'id="file"' not in page
        assert name not in page


async def test_page_navigation_and_mail_count_the_same_and_a_page_counts_once(
    place: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient, _ = await objection(place)
    assert (await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")).status_code == 303
    office = await place.staff("office")
    counted: list[str] = []
    for name in ("rights", "choices", "assignments", "lifecycle", "breaches"):
        room = getattr(place.rooms, name)

        async def waits(*told: Any, name: str = name, really: Any = room.waits) -> Any:
            counted.append(name)
            return await really(*told)

        monkeypatch.setattr(room, "waits", waits)
    elsewhere = (await office.web.get("/office/requests")).text
    assert len(counted) == len(set(counted))
    assert {"rights", "choices"} <= set(counted)
    [navigation] = re.findall(r'Waiting <span class="count">(\d+)', elsewhere)
    [page] = re.findall(r"(\d+) items are waiting", (await office.web.get("/office")).text)
    permit = place.set_up_permit("administer", Target("organisation", place.first.id, place.first.id))
    assert office.user is not None
    mail = await reminder.text_for(place.rooms, permit, place.first.name, office.user)
    [mailed] = re.findall(r"(\d+) items are waiting", mail)
    assert navigation == page == mailed
    assert int(page) >= 2
    for room, action in (
        (place.rooms.rights, "see_request"), (place.rooms.choices, "decide_request"),
        (place.rooms.lifecycle, "hold"),
    ):  # fmt: skip
        assert patient.actor.subject_id is not None
        own = Target("subject", patient.actor.subject_id, place.first.id, patient.actor.subject_id)
        with pytest.raises(TrothError):
            await room.waits(place.set_up_permit(action, own))
