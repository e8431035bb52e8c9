"""Legal holds: what is held is not erased, whoever asks; the person reads the ground and the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.common.deployment import Deployment, OpenDeployment
from troth.kit import clock
from troth.lifecycle import HoldIncomplete, HoldNotFound
from troth.policy import Actor, PermitDenied, Target
from troth.rights import Outcome, Right

OLD = date(2005, 1, 5)


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


def soon(days: int = 30) -> date:
    return clock.today() + timedelta(days=days)


async def test_a_held_study_is_not_erased_until_it_is_released(place: Deployment) -> None:
    held, office = await place.study(study_date=OLD), await place.staff("office")
    patient = await place.patient(held)
    rooms, rights = place.rooms, place.rooms.rights
    asking = await rooms.policy.require(patient.actor, "open_request", held.subject, "rights")
    assert [item.outcome for item in await rights.preview_erasure(asking, held.subject_id)] == [Outcome.WAITING]

    holding = await rooms.policy.require(office.actor, "hold", held.target, "rights")
    hold = await rooms.lifecycle.place_hold(holding, "Case 12 of the Example Court", review_on=soon(), ends_on=soon(60))
    assert [each.id for each in await rooms.lifecycle.holds(holding)] == [hold.id]
    [item] = await rights.preview_erasure(asking, held.subject_id)
    assert (item.outcome, item.clause, item.until) == (Outcome.REFUSED, "8.2", soon(60))
    assert "court" in item.ground
    assert "Case 12" not in item.ground

    request = await rights.open(asking, Right.ERASE, held.subject_id, study_ids=[held.id])
    await place.fulfil()
    seeing = await rooms.policy.require(patient.actor, "see_request", held.subject, "rights")
    [item] = [each for each in (await rights.request(seeing, request.id)).items if each.kind == "study"]
    assert (item.outcome, item.clause) == (Outcome.REFUSED, "8.2")
    worker = Actor("system", None, held.house.id, "worker")
    for_request = Target("study", held.id, held.house.id, held.subject_id, attributes=(("request", str(request.id)),))
    with pytest.raises(PermitDenied) as fault:
        await rooms.policy.require(worker, "erase", for_request, "rights")
    assert any(clause.endswith("8.2") for clause in fault.value.clauses)

    released = await rooms.lifecycle.release_hold(holding, hold.id, "The case is over")
    assert released.released_at is not None
    assert await rooms.lifecycle.holds(holding) == []
    await rooms.policy.require(worker, "erase", for_request, "rights")
    told = await place.ledgered(subject=held.subject_id)
    assert [event.kind for event in told if event.kind.startswith("lifecycle")] == [
        "lifecycle:hold:placed",
        "lifecycle:hold:released",
    ]


async def test_a_hold_on_a_subject_or_organisation_covers_its_studies_and_ends_on_its_day(place: Deployment) -> None:
    held, other = await place.study(study_date=OLD), await place.study(study_date=OLD)
    rooms, office = place.rooms, await place.staff("office")
    worker = Actor("system", None, held.house.id, "worker")
    attributes = (("request", str(held.id)),)
    mine, theirs = (replace(each.target, attributes=attributes) for each in (held, other))
    holding = await rooms.policy.require(office.actor, "hold", held.subject, "rights")
    await rooms.lifecycle.place_hold(holding, "An inquiry", review_on=soon(5), ends_on=soon(10))
    assert not await rooms.policy.may(worker, "erase", mine, "rights")
    assert await rooms.policy.may(worker, "erase", theirs, "rights")
    with clock.moved(timedelta(days=11)):
        assert await rooms.policy.may(worker, "erase", mine, "rights")
    house = Target("organisation", held.house.id, held.house.id)
    whole = await rooms.policy.require(office.actor, "hold", house, "rights")
    hold = await rooms.lifecycle.place_hold(whole, "An inquiry into all", review_on=soon(5))
    assert hold.is_review_due(soon(5))
    assert not hold.is_review_due(soon(4))
    assert not await rooms.policy.may(worker, "erase", theirs, "rights")
    await rooms.lifecycle.release_hold(whole, hold.id, "It is over")
    assert await rooms.policy.may(worker, "erase", theirs, "rights")


async def test_a_hold_without_reason_or_review_is_refused(place: Deployment) -> None:
    held, office = await place.study(), await place.staff("office")
    rooms = place.rooms
    holding = await rooms.policy.require(office.actor, "hold", held.target, "rights")
    with pytest.raises(HoldIncomplete):
        await rooms.lifecycle.place_hold(holding, " ", review_on=soon())
    with pytest.raises(HoldIncomplete):
        await rooms.lifecycle.place_hold(holding, "A case", review_on=clock.today())
    with pytest.raises(HoldIncomplete):
        await rooms.lifecycle.place_hold(holding, "A case", review_on=soon(), ends_on=clock.today() - timedelta(days=1))
    seeing = await rooms.policy.require(office.actor, "see_log", held.target, "rights")
    with pytest.raises(HoldNotFound):
        await rooms.lifecycle.place_hold(seeing, "A case", review_on=soon())
    made = await rooms.lifecycle.place_hold(holding, "A case", review_on=soon())
    with pytest.raises(HoldIncomplete):
        await rooms.lifecycle.release_hold(holding, made.id, "")
    other = await place.study()
    elsewhere = await rooms.policy.require(office.actor, "hold", other.target, "rights")
    with pytest.raises(HoldNotFound):
        await rooms.lifecycle.release_hold(elsewhere, made.id, "Not about this")
    with pytest.raises(HoldNotFound):
        await rooms.lifecycle.holds_on(holding, Target("study", held.id, place.second.id))
    doctor = await place.staff("clinician")
    with pytest.raises(PermitDenied):
        await rooms.policy.require(doctor.actor, "hold", held.target, "rights")
