"""What an account accepted: the versions of notice and terms, when, through which door; later versions change none."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

import pytest

from tests.common.arrivals import shown_in, take_second_step
from tests.common.deployment import ADDRESS, Deployment, Held, OpenDeployment, Person
from tests.promises.test_changes import next_version, publish
from troth.kit import clock
from troth.ledger import Event
from troth.policy import Target


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


async def invited(place: Deployment, held: Held, email: str) -> tuple[str, str]:
    """Path of the register page of an invited patient, and the code that came apart."""
    permit = place.set_up_permit("invite", held.subject)
    made = await place.rooms.people.invite_subject(permit, held.subject_id, email)
    return f"/invitation/{made.secret}", made.code


@pytest.mark.promise("IH-02")
async def test_registering_records_the_versions_shown_and_later_ones_change_nothing(
    place: Deployment,
) -> None:
    held = await place.study()
    path, code = await invited(place, held, "anna@x.example")
    somebody = place.anybody()
    page = (await somebody.web.get(path)).text
    assert "with it you accept" in page
    assert "Privacy notice of" in page
    assert "version 1" in page
    assert "Terms of use of Example Imaging Host, edition 2026-11" in page
    link = re.search(r'href="(/notice/versions/1\?of=imaging-host)', page)
    assert link is not None
    assert (await somebody.web.get(link[1])).status_code == 200
    found = re.search(r'name="shown" value="([^"]+)"', page)
    assert found is not None
    assert found[1] == "imaging-host:1"
    given = " ".join(reversed(held.made.name.split("^")))
    fields = {"name": given, "day": "1", "month": "1", "year": "1970", "code": code, "email": "anna@x.example"}

    late = await somebody.web.post(path, data={**fields, "shown": "imaging-host:0"})
    assert late.status_code == 422
    assert "changed while you were here" in late.text
    assert await place.ledgered(kind="people:terms:accepted", subject=held.subject_id) == []

    answer = await somebody.web.post(path, data={**fields, "shown": found[1]})
    assert answer.status_code == 303, answer.text
    [entry] = await place.ledgered(kind="people:terms:accepted", subject=held.subject_id)
    assert entry.counts["documents"] == 2
    assert (entry.payload or {})["door"] == "invitation"
    assert (entry.payload or {})["address"] == ADDRESS
    own = (await somebody.web.get("/account")).text
    assert "imaging-host, version 1" in own
    assert "on the page of the invitation" in own
    found_at = entry.at

    before = await place.rooms.notices.in_force("patients")
    says = next(each.says for each in before.notice.clauses if each.says and "\n" not in each.says)
    await publish(place, next_version(before.notice, (says[:25], "Plainly, " + says[:25])))
    with clock.moved(timedelta(days=2)):
        assert (await place.rooms.notices.in_force("patients")).number == 2
        office = await place.staff("office")
        listed = (await office.web.get("/lists/accounts")).text
        patient = await place.sign_in_again(await patient_of(place, somebody, "anna@x.example"))
        still = (await patient.web.get("/account")).text
    for page in (listed, still):
        assert "imaging-host, version 1" in page
        assert "Terms of use of Example Imaging Host, edition 2026-11" in page
    assert "imaging-host, version 2" not in still
    again = await place.ledgered(kind="people:terms:accepted", subject=held.subject_id)
    assert [each.at for each in again] == [found_at], "a sign-in later accepts nothing anew"


async def patient_of(place: Deployment, somebody: Person, email: str) -> Person:
    """Somebody who registered, as somebody who can be signed in again."""
    actor = await place.rooms.people.actor_of_session(somebody.web.cookies["troth_session"])
    somebody.email = email
    if actor is not None:
        somebody.actor = actor
    return somebody


@pytest.mark.promise("IH-02")
async def test_who_is_invited_or_added_to_work_here_accepts_what_the_page_shows(place: Deployment) -> None:
    permit = place.set_up_permit("administer", Target("organisation", place.first.id, place.first.id))
    invited = await place.rooms.people.invite_user(permit, place.first.id, "new@x.example", "N. Ew", "clinician")
    member = place.anybody()
    page = (await member.web.get(f"/invitation/{invited.secret}")).text
    assert "with it you accept" in page
    assert "edition 2026-11" in page
    assert (await member.web.post(f"/invitation/{invited.secret}", data={})).status_code == 422, "nothing was shown"
    assert (await member.web.post(f"/invitation/{invited.secret}", data=shown_in(page))).status_code == 303
    assert (await take_second_step(member.web)).status_code == 200
    assert "on the page of the invitation" in (await member.web.get("/account")).text

    added = await place.rooms.people.add_user(permit, place.first.id, "added@x.example", "A. Dded", "office")
    assert await accepted_by(place, added.id) == [], "nothing is accepted for somebody who was not here yet"
    link = await place.rooms.people.issue_sign_in_link(permit, added.id)
    path = "/sign-in/" + link.rpartition("/")[2]
    office = place.anybody()
    page = (await office.web.get(path)).text
    assert "If this is your first time here" in page
    shown = shown_in(page)
    assert (await office.web.post(path, data={"shown": "imaging-host:99"})).status_code == 422
    assert await accepted_by(place, added.id) == []
    assert (await office.web.post(path, data=shown)).status_code == 303
    assert (await take_second_step(office.web)).status_code == 200
    [entry] = await accepted_by(place, added.id)
    assert (entry.payload or {})["door"] == "sign_in"
    assert any("Terms of use" in each for each in (entry.payload or {})["accepted"])
    listed = (await office.web.get("/lists/accounts")).text
    assert "A. Dded" in listed
    assert "N. Ew" in listed

    link = await place.rooms.people.issue_sign_in_link(permit, added.id)
    path = "/sign-in/" + link.rpartition("/")[2]
    assert (await office.web.post(path, data=shown_in((await office.web.get(path)).text))).status_code == 303
    assert len(await accepted_by(place, added.id)) == 1, "the first sign-in accepts, and no other"
    stranger = await place.staff("office", place.second)
    assert "A. Dded" not in (await stranger.web.get("/lists/accounts")).text
    doctor = await place.staff("clinician")
    assert (await doctor.web.get("/lists/accounts")).status_code == 404


async def accepted_by(place: Deployment, account_id: UUID) -> list[Event]:
    return await place.ledgered(kind="people:terms:accepted", actor=account_id)
