"""No list shows what a decision would refuse: choices of people are felt by searches too."""

from __future__ import annotations

import pytest

from tests.common.deployment import Deployment, Held, OpenDeployment, Person


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


async def listed(person: Person) -> set[str]:
    answer = await person.viewer.get("/dicomweb/studies")
    assert answer.status_code in (200, 204), answer.text
    return {one["0020000D"]["Value"][0] for one in answer.json()} if answer.status_code == 200 else set()


async def may_open(person: Person, held: Held) -> bool:
    return (await person.viewer.get(f"/dicomweb/studies/{held.uid}/metadata")).status_code == 200


async def test_a_restriction_takes_studies_out_of_the_lists_of_others(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    mine, other = await place.study(), await place.study()
    patient = await place.patient(mine)
    assert {mine.uid, other.uid} <= await listed(doctor)
    assert await listed(patient) == {mine.uid}
    restricted = await place.rooms.choices.restrict(place.set_up_permit("restrict", mine.subject), mine.subject_id)
    assert not await may_open(doctor, mine)
    assert mine.uid not in await listed(doctor)
    assert other.uid in await listed(doctor)
    assert await listed(patient) == {mine.uid}
    assert await may_open(patient, mine)
    await place.rooms.choices.lift(place.set_up_permit("restrict", mine.subject), restricted.id)
    assert mine.uid in await listed(doctor)
    assert await may_open(doctor, mine)


async def test_an_objection_counts_for_its_purpose(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    held, other = await place.study(), await place.study()
    async with place.rooms.database.transaction(held.subject) as connection:
        await connection.execute(
            "insert into choice (tenant, id, number, holder_id, holder_kind, kind, key, state, notice, version,"
            " made_at, sealed) values (%s, gen_random_uuid(), 7777, %s, 'subject', 'objection', 'diagnosis',"
            " 'granted', 'n', 1, now(), '')",
            (held.house.id, held.subject_id),
        )
    shown = await listed(doctor)
    assert held.uid not in shown
    assert other.uid in shown
    assert not await may_open(doctor, held)
    answer = await doctor.viewer.get("/dicomweb/studies", headers={"Troth-Purpose": "care"})
    assert held.uid in answer.text
