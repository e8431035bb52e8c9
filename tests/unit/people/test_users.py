"""Members of organisations."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from tests.common.arrivals import come_in
from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADDRESS, Happened, Outbox, permit_for
from troth.people import (
    FieldMalformed,
    Organisation,
    OrganisationNotFound,
    People,
    SignInLinkOver,
    UserExists,
    UserNotFound,
)


async def test_a_member_is_known_by_name_to_its_organisation_alone(
    people: People, hospital: Organisation, practice: Organisation, new_email: str
) -> None:
    here = await people.add_user(
        permit_for(hospital.id), hospital.id, new_email.upper(), "Dr Grace Hopper", "clinician"
    )
    there = await people.add_user(permit_for(practice.id), practice.id, new_email, "G. Hopper", "referrer")
    assert here.id == there.id
    assert here in await people.users(permit_for(hospital.id))
    assert here not in await people.users(permit_for(practice.id))
    assert (await people.user(permit_for(practice.id), here.id)).name == "G. Hopper"
    assert here.email == new_email


async def test_mail_goes_to_the_domain_that_was_typed_and_to_no_other(
    people: People, hospital: Organisation, outbox: Outbox
) -> None:
    """`straße` and `strasse` are two names that two may own (RFC 5891; IDNA2003 made one of them)."""
    local = f"anna-{uuid4().hex[:8]}"
    hers = await people.add_user(permit_for(hospital.id), hospital.id, f"{local}@straße.example", "Anna", "clinician")
    other = await people.add_user(permit_for(hospital.id), hospital.id, f"{local}@strasse.example", "Anne", "clinician")
    assert hers.id != other.id
    await people.start_sign_in(f"{local}@Straße.example", "2001:db8:5::1")
    await people.settled()
    assert outbox.to(f"{local}@strasse.example") == []
    session = await come_in(people, outbox.secret_to(f"{local}@xn--strae-oqa.example"), ADDRESS)
    assert session.actor.id == hers.id
    invited = await people.invite_user(
        permit_for(hospital.id, "let_in"), hospital.id, f"new-{local}@straße.example", "Anna", "clinician"
    )
    assert invited.link in outbox.to(f"new-{local}@xn--strae-oqa.example")[0]


async def test_who_is_no_member_is_not_there(
    people: People, hospital: Organisation, practice: Organisation, new_email: str
) -> None:
    user = await people.add_user(permit_for(hospital.id), hospital.id, new_email, "Grace Hopper", "clinician")
    stranger = permit_for(practice.id)
    for attempt in (
        people.user(stranger, user.id),
        people.end_user(permit_for(practice.id, "end_access"), user.id),
        people.change_role(stranger, user.id, "admin"),
        people.issue_sign_in_link(stranger, user.id),
        people.issue_sign_in_link(permit_for(None), user.id),
        people.end_user(permit_for(None, "end_access"), user.id),
    ):
        with pytest.raises(UserNotFound):
            await attempt
    assert await people.user(permit_for(hospital.id), user.id) == user


async def test_a_permit_of_one_organisation_adds_nobody_to_another(
    people: People, hospital: Organisation, practice: Organisation, new_email: str
) -> None:
    with pytest.raises(OrganisationNotFound):
        await people.add_user(permit_for(practice.id), hospital.id, new_email, "Eve", "admin")
    await people.add_user(permit_for(None), hospital.id, new_email, "Grace Hopper", "admin")


async def test_one_address_many_at_once(people: People, hospital: Organisation, new_email: str) -> None:
    attempts = [
        people.add_user(permit_for(hospital.id), hospital.id, new_email, "Grace", "clinician") for _ in range(6)
    ]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(outcome, UserExists) for outcome in outcomes) == 5
    assert [user.email for user in await people.users(permit_for(hospital.id))].count(new_email) == 1


async def test_no_such_role(people: People, hospital: Organisation, new_email: str) -> None:
    with pytest.raises(FieldMalformed):
        await people.add_user(permit_for(hospital.id), hospital.id, new_email, "Grace", "superuser")


async def test_a_role_that_changes_is_felt_by_the_open_session(
    people: People, hospital: Organisation, new_email: str
) -> None:
    permit = permit_for(hospital.id)
    user = await people.add_user(permit, hospital.id, new_email, "Grace", "admin")
    link = await people.issue_sign_in_link(permit, user.id)
    session = await come_in(people, link.rpartition("/")[2], ADDRESS)
    assert session.actor.role == "admin"
    await people.change_role(permit, user.id, "clinician")
    actor = await people.actor_of_session(session.token)
    assert actor is not None
    assert actor.role == "clinician"


@pytest.mark.asvs("V7.4.2")
async def test_who_has_left_is_out_at_once_and_can_come_back(
    people: People, hospital: Organisation, practice: Organisation, new_email: str
) -> None:
    permit = permit_for(hospital.id)
    user = await people.add_user(permit, hospital.id, new_email, "Grace", "admin")
    await people.add_user(permit_for(practice.id), practice.id, new_email, "Grace", "admin")
    here = await come_in(people, (await people.issue_sign_in_link(permit, user.id)).rpartition("/")[2], ADDRESS)
    unused = await people.issue_sign_in_link(permit, user.id)
    link_there = await people.issue_sign_in_link(permit_for(practice.id), user.id)
    there = await come_in(people, link_there.rpartition("/")[2], ADDRESS)
    assert await people.actor_of_session(here.token) == here.actor

    await people.end_user(permit_for(hospital.id, "end_access"), user.id)
    assert await people.actor_of_session(here.token) is None
    assert await people.actor_of_session(there.token) == there.actor
    with pytest.raises(UserNotFound):
        await people.issue_sign_in_link(permit, user.id)
    with pytest.raises(UserNotFound):
        await people.end_user(permit_for(hospital.id, "end_access"), user.id)
    with pytest.raises(SignInLinkOver):
        await come_in(people, unused.rpartition("/")[2], ADDRESS)

    back = await people.add_user(permit, hospital.id, new_email, "Grace H.", "clinician")
    assert back.id == user.id
    assert await people.actor_of_session(here.token) is None


async def test_nothing_personal_is_in_the_clear(
    people: People, hospital: Organisation, database: ServedDatabase, new_email: str
) -> None:
    user = await people.add_user(permit_for(hospital.id), hospital.id, new_email, "Unmistakable Name", "clinician")
    async with database.transaction(hospital) as connection:
        cursor = await connection.execute(
            "select account::text || membership::text as held from account join membership on account_id = id "
            "where id = %s",
            (user.id,),
        )
        row = await cursor.fetchone()
    assert row is not None
    for secret in (new_email, "Unmistakable"):
        assert secret not in row["held"]
        assert secret.encode().hex() not in row["held"]


async def test_each_act_about_a_member_is_written_with_who_did_it(
    people: People, hospital: Organisation, new_email: str, happened: Happened
) -> None:
    permit = permit_for(hospital.id)
    user = await people.add_user(permit, hospital.id, new_email, "Grace", "clinician")
    await people.change_role(permit, user.id, "referrer")
    await people.change_role(permit, user.id, "referrer")  # changes nothing, and says nothing
    await people.end_user(permit_for(hospital.id, "end_access"), user.id)
    found = [each for each in await happened(hospital) if (each.payload or {}).get("user") == str(user.id)]
    assert [each.kind.rpartition(":")[2] for each in found] == ["joined", "changed", "ended"]
    assert [(each.payload or {}).get("role") for each in found] == ["clinician", "referrer", None]
    assert (found[1].payload or {})["before"] == "clinician"
    assert {each.clauses for each in found} == {("2.1",)}


async def test_an_organisation_that_is_added_is_written_on_the_platform(people: People, happened: Happened) -> None:
    made = await people.add_organisation(permit_for(None), f"House {uuid4().hex[:8]}")
    [found] = [each for each in await happened(None) if (each.payload or {}).get("organisation") == str(made.id)]
    assert found.kind == "people:organisation:added"
