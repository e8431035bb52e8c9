"""Opening in an emergency where everybody who treats may open: the reason, the hours, the check, the patient's list."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from tests.common.deployment import Deployment, Held, OpenDeployment, Person
from troth.doors.dicomweb.gate import PURPOSE_HEADER
from troth.kit import clock
from troth.people import OwnAssignment
from troth.policy import Target

WHY = "Unconscious after a fall, no team on call"


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


async def claim(doctor: Person, held: Held, reason: str = WHY) -> int:
    asked = {"patient": held.made.patient_id, "issuer": "", "reason": reason}
    return (await doctor.post("/emergency", asked)).status_code


async def opened(doctor: Person, held: Held) -> int:
    """By the way of an emergency, which names it as the purpose."""
    return (await doctor.web.get(f"/emergency/{held.id}/open")).status_code


async def seen(doctor: Person, held: Held) -> int:
    """At the viewer's door, for an emergency and nothing else."""
    path = f"/dicomweb/studies/{held.uid}/metadata"
    return (await doctor.viewer.get(path, headers={PURPOSE_HEADER: "emergency"})).status_code


@pytest.mark.promise("IC-14", shows="denied")
async def test_without_a_reason_nothing_opens_as_an_emergency(cloud: Deployment) -> None:
    held, doctor = await cloud.study(), await cloud.staff("clinician")
    assert await opened(doctor, held) == 404
    assert await seen(doctor, held) == 404
    assert await claim(doctor, held, "now") == 422
    assert await opened(doctor, held) == 404
    assert not await cloud.ledgered(kind="people:emergency:claimed", subject=held.subject_id)
    for role in ("referrer", "office", "admin"):
        assert (await (await cloud.staff(role)).web.get("/emergency")).status_code == 404, role
    elsewhere = await cloud.staff("clinician", cloud.second)
    assert await claim(elsewhere, held) == 422, "a patient of another house is not there"


@pytest.mark.promise("IC-14", shows="logged")
async def test_with_a_reason_it_opens_and_the_patient_reads_who_and_why(cloud: Deployment) -> None:
    held, doctor = await cloud.study(), await cloud.staff("clinician")
    patient = await cloud.patient(held)
    assert await claim(doctor, held) == 303
    assert await opened(doctor, held) == 303
    assert await seen(doctor, held) == 200
    [claimed] = await cloud.ledgered(kind="people:emergency:claimed", subject=held.subject_id)
    assert (claimed.purpose, claimed.clauses[0], claimed.actor_id) == ("emergency", "4.6", doctor.actor.id)
    [looked] = await cloud.ledgered(kind="archive:study:opened", subject=held.subject_id)
    assert (looked.purpose, looked.clauses[0]) == ("emergency", "4.6")
    page = (await patient.web.get("/looked")).text
    assert WHY in page
    assert "in an emergency" in page


@pytest.mark.promise("IC-14", shows="reviewed")
async def test_a_second_person_checks_it_and_a_no_ends_it(cloud: Deployment) -> None:
    held, doctor, office = await cloud.study(), await cloud.staff("clinician"), await cloud.staff("office")
    patient = await cloud.patient(held)
    why = f"{WHY}, ward {held.made.patient_id}"
    assert await claim(doctor, held, why) == 303
    assert await opened(doctor, held) == 303
    waiting = (await office.web.get("/office/emergencies")).text
    [row] = [each for each in re.split(r"<(?:tr|article|section|li)\b", waiting) if why in each][:1]
    [path] = re.findall(r'action="(/office/emergencies/[^"]+)"', waiting[waiting.index(row) :])[:1]
    no = {"outcome": "no", "finding": "The team was on call after all"}
    assert (await office.post(path, {**no, "finding": ""}, page="/office/emergencies")).status_code == 422
    assert (await office.post(path, no, page="/office/emergencies")).status_code == 303
    [checked] = await cloud.ledgered(kind="people:emergency:reviewed", subject=held.subject_id)
    assert checked.actor_id == office.actor.id != doctor.actor.id
    with clock.moved(timedelta(seconds=1.1)):
        assert await opened(doctor, held) == 404
    assert "The team was on call after all" in (await patient.web.get("/looked")).text


@pytest.mark.promise("IC-14", shows="reviewed")
async def test_who_claimed_it_cannot_check_their_own_even_with_the_right_to_check(cloud: Deployment) -> None:
    held, doctor, office = await cloud.study(), await cloud.staff("clinician"), await cloud.staff("office")
    why = f"{WHY}, bed {held.made.patient_id}"
    assert await claim(doctor, held, why) == 303
    waiting = (await office.web.get("/office/emergencies")).text
    [number] = map(UUID, re.findall(r'action="/office/emergencies/([^"/]+)', waiting[waiting.index(why) :])[:1])
    may = cloud.set_up_permit("review", Target("organisation", held.house.id, held.house.id))
    review = cloud.rooms.assignments.review
    with pytest.raises(OwnAssignment):
        await review(replace(may, actor=doctor.actor), number, "It was one", is_justified=True)
    assert not await cloud.ledgered(kind="people:emergency:reviewed", subject=held.subject_id)
    await review(replace(may, actor=office.actor), number, "It was one", is_justified=True)
    [checked] = await cloud.ledgered(kind="people:emergency:reviewed", subject=held.subject_id)
    assert checked.actor_id == office.actor.id


@pytest.mark.promise("IC-14", shows="expires")
async def test_it_ends_by_itself_after_some_hours(cloud: Deployment) -> None:
    held, doctor = await cloud.study(), await cloud.staff("clinician")
    assert await claim(doctor, held) == 303
    with clock.moved(timedelta(hours=7, minutes=59)):
        await cloud.sign_in_again(doctor)
        assert await opened(doctor, held) == 303
    with clock.moved(timedelta(hours=8, seconds=1)):
        await cloud.sign_in_again(doctor)
        assert await opened(doctor, held) == 404
