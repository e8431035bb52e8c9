"""The deployment that promise tests stand on works as its first lines say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.common.deployment import Deployment, OpenDeployment
from troth.kit import clock


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


async def test_staff_and_patient_reach_a_study_and_a_stranger_does_not(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    study = await place.study()
    patient = await place.patient(study)
    assert (await doctor.web.get(f"/studies/{study.id}/open")).status_code == 303
    assert (await patient.web.get("/scans")).status_code == 200
    found = await doctor.viewer.get(f"/dicomweb/studies/{study.uid}/metadata")
    assert found.status_code == 200
    other = await place.staff("clinician", place.second)
    assert (await other.viewer.get(f"/dicomweb/studies/{study.uid}/metadata")).status_code == 404
    assert (await place.anybody().web.get(f"/dicomweb/studies/{study.uid}/metadata")).status_code == 401
    [event] = await place.ledgered(kind="archive:study:opened", subject=study.subject_id)
    assert event.index is not None
    assert event.actor_id == doctor.actor.id
    assert len(await place.ledgered(kind="policy:access:refused", actor=other.actor.id)) == 1


async def test_a_session_that_idled_out_is_begun_again(place: Deployment) -> None:
    study = await place.study()
    doctor = await place.staff("clinician")
    patient = await place.patient(study)
    with clock.moved(timedelta(days=1)):
        for person in (doctor, patient):
            assert (await person.web.get("/dicomweb/studies")).status_code == 401
            await place.sign_in_again(person)
            assert (await person.web.get("/dicomweb/studies")).status_code == 200
