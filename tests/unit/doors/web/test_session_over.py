"""A session that ends loses nothing typed; acts that weigh need a fresh one."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.common.arrivals import come_in, show_factor, shown_in
from tests.common.deployment import Deployment, OpenDeployment, Person
from troth.doors.web.declared import ACTS, FORMS, FRESH
from troth.kit import clock
from troth.policy import Target

TYPED = {
    "about": "patient", "patient": "P-1", "issuer": "", "reason": "Letter of <counsel> & court, “3 March”",
    "document": "Order 7", "review_on": "2027-03-01", "ends_on": "",
}  # fmt: skip


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


async def hold_sent_late(person: Person, later: timedelta) -> str:
    """Fill a hold in, and send it when the session may be over; where that leads."""
    token = await person.token("/office/holds")
    with clock.moved(later):
        sent = await person.web.post("/office/holds", data={"token": token, "here": "/office/holds", **TYPED})
    assert sent.status_code == 303
    return sent.headers["location"]


async def test_what_was_typed_comes_back_after_signing_in_again(place: Deployment) -> None:
    office = await place.staff("office")
    assert office.user is not None
    page = (await office.web.get("/office/holds")).text
    assert "Without activity you are signed out at" in page, "it is said beforehand"
    assert 'name="here" value="/office/holds"' in page
    assert await hold_sent_late(office, timedelta(minutes=16)) == "/sign-in?over=kept"
    assert await place.ledgered(kind="lifecycle:hold:placed", house=place.first) == []
    with clock.moved(timedelta(minutes=20)):
        assert "it is kept for 30 minutes" in (await office.web.get("/sign-in?over=kept")).text
        inside = place.set_up_permit("administer", Target("organisation", place.first.id, place.first.id))
        link = await place.rooms.people.issue_sign_in_link(inside, office.user.id)
        path = "/sign-in/" + link.rpartition("/")[2]
        office.web.cookies.clear()
        begun = await office.web.post(path, data=shown_in((await office.web.get(path)).text))
        assert begun.headers["location"] == "/second-step"
        entered = await show_factor(place.rooms.people, office.web)
        assert entered.headers["location"] == "/office/holds?kept=1"
        page = (await office.web.get("/office/holds?kept=1")).text
        assert "What you had typed is in the form again" in page
        assert "Letter of &lt;counsel&gt; &amp; court, “3 March”" in page
        assert re.search(r'name="patient"[^>]* value="P-1"', page)
        assert re.search(r'name="review_on"[^>]* value="2027-03-01"', page)


async def test_it_comes_back_to_nobody_else_and_not_for_ever(place: Deployment) -> None:
    office, other = await place.staff("office"), await place.staff("office")
    assert await hold_sent_late(office, timedelta(minutes=16)) == "/sign-in?over=kept"
    assert "Order 7" not in (await other.web.get("/office/holds?kept=1")).text
    with clock.moved(timedelta(minutes=47)):
        again = await place.sign_in_again(office)
        assert "Order 7" not in (await again.web.get("/office/holds?kept=1")).text
    async with place.rooms.database.transaction(place.first) as connection:
        rows = await (await connection.execute("select d::text as held from draft d")).fetchall()
    assert rows
    assert all("Order 7" not in row["held"] and b"Order 7".hex() not in row["held"] for row in rows)


async def test_a_session_that_was_ended_on_purpose_keeps_nothing(place: Deployment) -> None:
    office = await place.staff("office")
    token = await office.token("/office/holds")
    await place.rooms.people.end_session(office.actor)
    sent = await office.web.post("/office/holds", data={"token": token, "here": "/office/holds", **TYPED})
    assert sent.headers["location"] == "/sign-in?over=1"
    forged = await office.web.post("/office/holds", data={"token": "0" * 80, **TYPED})
    assert forged.headers["location"] == "/sign-in?over=1"
    assert await place.rooms.people.draft(office.actor) is None


_people: dict[str, Person] = {}


async def of_role(place: Deployment, role: str) -> Person:
    """One of each role, for all of the walk, signed in now."""
    if role not in _people:
        _people[role] = await place.patient(await place.study()) if role == "patient" else await place.staff(role)
    return _people[role]


@pytest.mark.parametrize("name", sorted(FRESH))
async def test_acts_that_weigh_need_a_sign_in_of_the_last_five_minutes(place: Deployment, name: str) -> None:
    path = re.sub(r"\{(\w+)(:\w+)?\}", lambda _: str(place.first.id), FORMS[name].path)
    fields = {"act": ACTS[name][0]} if name in ACTS else {}
    fields |= {field: values[0] for field, values in FRESH[name].items()}
    answers = {}
    for role in ("office", "admin", "clinician", "patient"):
        person = await of_role(place, role)
        token = await person.token("/account")
        with clock.moved(timedelta(minutes=6)):
            answer = await person.web.post(path, data={"token": token, "here": "/account", **fields})
        answers[role] = answer.headers.get("location", "") or answer.status_code
    refused = {role for role, told in answers.items() if told == 404}
    asked = {role for role, told in answers.items() if told == "/second-step"}
    assert asked or answers["patient"] == "/sign-in?fresh=1" or refused == set(answers), answers
    assert asked | refused | ({"patient"} if answers["patient"] == "/sign-in?fresh=1" else set()) == set(answers)


async def test_a_copy_is_taken_with_a_fresh_sign_in_only(place: Deployment) -> None:
    patient = await place.patient(await place.study())
    asked = await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    await place.fulfil()
    copy = asked.headers["location"] + "/copy"
    assert (await patient.web.get(copy)).status_code == 200
    with clock.moved(timedelta(minutes=6)):
        late = await patient.web.get(copy)
        assert (late.status_code, "Show that it is you" in late.text) == (401, True)
        token = re.search(r'action="/second-step/again"><input type="hidden" name="token" value="(\w+)"', late.text)
        assert token is not None
        again = await patient.web.post("/second-step/again", data={"token": token[1], "here": copy})
        assert again.headers["location"] == "/sign-in?fresh=1", "a patient without a factor signs in by mail again"
        assert "Sign in once more" in (await patient.web.get("/sign-in?fresh=1")).text
        await place.rooms.people.start_sign_in(patient.email, "192.0.2.9")
        await place.rooms.people.settled()
        session = await come_in(place.rooms.people, re.findall(r"\S+/sign-in/(\S+)", place.mails()[-1])[-1])
        patient.web.cookies.clear()
        patient.web.cookies.set("troth_session", session.token)
        assert (await patient.web.get(copy)).status_code == 200
        kept = await place.rooms.people.draft(session.actor)
        assert kept is not None
        assert kept.page == copy
