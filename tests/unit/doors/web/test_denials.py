"""Why something is refused is told to those who have access otherwise, and to nobody else."""

from __future__ import annotations

import pytest

from tests.common.deployment import Deployment, OpenDeployment


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


async def test_a_refusal_says_why_to_those_who_have_access(place: Deployment) -> None:
    doctor, stranger, admin = (
        await place.staff("clinician"), await place.staff("clinician", place.second), await place.staff("admin")
    )  # fmt: skip
    held = await place.study()
    page = f"/studies/{held.id}/open"
    assert (await doctor.web.get(page)).status_code == 303
    await place.rooms.choices.restrict(place.set_up_permit("restrict", held.subject), held.subject_id)
    told = await doctor.web.get(page)
    assert told.status_code == 403
    assert "Ask us to stop using something, and it stops at once." in told.text
    assert "It says to the patient: “" in told.text
    assert "§ 9.4" in told.text
    assert "this attempt is written down" in told.text
    absent = await stranger.web.get(f"/studies/{held.made.uid()}/open")
    for person in (stranger, admin):
        answer = await person.web.get(page)
        assert answer.status_code == 404
        assert "9.4" not in answer.text
        assert "stop using" not in answer.text
    assert absent.status_code == 404
    [refused] = await place.ledgered(kind="policy:access:refused", subject=held.subject_id, actor=doctor.actor.id)
    assert refused.clauses == ("9.4",)
