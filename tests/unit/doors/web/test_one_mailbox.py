"""Several people at one mailbox: whoever signs in says as whom, and nobody loses what is theirs."""

from __future__ import annotations

import re

import pytest

from tests.common.arrivals import shown_in, take_second_step
from tests.common.deployment import Deployment, OpenDeployment
from troth.policy import Target

MAILBOX = "family@x.example"


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


async def mailed_link(place: Deployment, network: str) -> str:
    await place.rooms.people.start_sign_in(MAILBOX, network)
    await place.rooms.people.settled()
    return "/sign-in/" + re.findall(r"\S+/sign-in/(\S+)", place.mails()[-1])[-1]


async def test_a_mother_her_child_and_the_doctor_that_she_is(place: Deployment) -> None:
    mother = await place.patient(await place.study(name="Family^Mother", description="CT of the mother"), MAILBOX)
    child = await place.patient(await place.study(name="Family^Child", description="CT of the child"), MAILBOX)
    inside = place.set_up_permit("administer", Target("organisation", place.first.id, place.first.id))
    await place.rooms.people.add_user(inside, place.first.id, MAILBOX, "Dr M. Other", "clinician")
    assert mother.actor.subject_id != child.actor.subject_id
    for number, (name, words) in enumerate(
        (("Mother Family", "CT of the mother"), ("Child Family", "CT of the child"))
    ):
        path = await mailed_link(place, f"192.0.2.{number + 1}")
        somebody = place.anybody()
        before = (await somebody.web.get(path)).text
        assert name not in before, "who has the mailbox is told after the press"
        asked = await somebody.web.post(path, data=shown_in(before))
        assert (asked.status_code, "set-cookie" in asked.headers) == (200, False)
        found = dict(re.findall(r'name="person" value="([a-z]+-[0-9a-f-]+)"><span><b>([^<]+)</b>', asked.text))
        assert set(found.values()) == {"Mother Family", "Child Family", "Dr M. Other"}
        chosen = next(key for key, told in found.items() if told == name)
        wrong = await somebody.web.post(path, data={**shown_in(before), "person": "patient-nobody"})
        assert wrong.status_code == 404
        entered = await somebody.web.post(path, data={**shown_in(before), "person": chosen})
        assert entered.headers["location"] == "/scans"
        page = (await somebody.web.get("/scans")).text
        assert words in page
        assert ("CT of the child" if number == 0 else "CT of the mother") not in page
        assert (await somebody.web.get(path)).status_code == 401, "and the link is used up"

    path = await mailed_link(place, "192.0.2.9")
    doctor = place.anybody()
    before = (await doctor.web.get(path)).text
    asked = (await doctor.web.post(path, data=shown_in(before))).text
    [chosen] = re.findall(r'name="person" value="(user-[0-9a-f-]+)"', asked)
    begun = await doctor.web.post(path, data={**shown_in(before), "person": chosen})
    assert begun.headers["location"] == "/second-step", "as a member of staff a second factor is owed"
    assert (await take_second_step(doctor.web)).status_code == 200
    assert "Dr M. Other" in (await doctor.web.get("/studies")).text
