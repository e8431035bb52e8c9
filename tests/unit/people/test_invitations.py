"""Invitations: the only way from a mailbox to a patient's images."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.common.arrivals import come_in, complete
from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADA, ADDRESS, Happened, Outbox, permit_for
from troth.kit import clock
from troth.kit.passwords import SUPERUSER
from troth.ledger import Event
from troth.people import (
    EmailMalformed,
    FieldMalformed,
    Invitation,
    InvitationOver,
    MatchFailed,
    Organisation,
    PatientKey,
    People,
    Subject,
    SubjectNotFound,
    TooManyTries,
)
from troth.people.model import new_secret

Events = Callable[[Subject], Awaitable[list[Event]]]
NAME, BIRTH_DATE = "Ada Lovelace", date(1815, 12, 10)


@pytest.fixture
async def invitation(people: People, ada: Subject, new_email: str) -> Invitation:
    return await people.invite_subject(permit_for(ada.tenant, "invite"), ada.id, new_email)


def other(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


async def test_all_four_agree(
    people: People, ada: Subject, invitation: Invitation, outbox: Outbox, new_email: str, events_of: Events
) -> None:
    assert outbox.secret_to(new_email) == invitation.secret
    assert invitation.code not in outbox.to(new_email)[-1]
    assert "lovelace" not in outbox.to(new_email)[-1].lower()
    shown = await people.open_invitation(invitation.secret)
    assert (shown.organisation, shown.kind) == ("Northern Hospital", "patient")

    code = f" {invitation.code[:3]} {invitation.code[3:]} "
    session = await people.register_subject(invitation.secret, "lovelace, ada", BIRTH_DATE, code, new_email, ADDRESS)
    actor = session.actor
    assert (actor.kind, actor.tenant, actor.role, actor.subject_id) == ("patient", ada.tenant, "patient", ada.id)
    assert actor.name == "ADA KING LOVELACE"
    assert await people.actor_of_session(session.token) == actor
    events = await events_of(ada)
    assert {event.kind for event in events} == {
        "people:invitation:made",
        "people:invitation:used",
        "people:subject:matched",
        "people:session:started",
    }
    assert {event.outcome for event in events} == {"done"}
    [made] = [event for event in events if event.kind == "people:invitation:made"]
    assert made.payload
    assert made.payload["email"] == new_email


@pytest.mark.parametrize("wrong", ["name", "birth_date", "no_birth_date", "code", "no_code", "email", "all"])
async def test_one_answer_for_every_wrong_field(
    people: People, ada: Subject, invitation: Invitation, new_email: str, events_of: Events, wrong: str
) -> None:
    typed: dict[str, Any] = {"name": NAME, "birth_date": BIRTH_DATE, "code": invitation.code, "email": new_email}
    if wrong in ("name", "all"):
        typed["name"] = "Ada Byron"
    if wrong in ("birth_date", "all"):
        typed["birth_date"] = date(1815, 12, 11)
    if wrong == "no_birth_date":
        typed["birth_date"] = None
    if wrong in ("code", "all"):
        typed["code"] = other(invitation.code)
    if wrong == "no_code":
        typed["code"] = ""
    if wrong in ("email", "all"):
        typed["email"] = "eve@example.org"
    with pytest.raises(MatchFailed) as caught:
        await people.register_subject(invitation.secret, **typed, address=ADDRESS)
    assert (caught.value.detail, caught.value.hint) == (MatchFailed.title, "")
    [failed] = [event for event in await events_of(ada) if event.kind == "people:match:failed"]
    assert failed.outcome == "refused"
    assert failed.counts == {"tries": 1, "most": 5}
    assert failed.payload == {"address": ADDRESS}
    session = await people.register_subject(invitation.secret, NAME, BIRTH_DATE, invitation.code, "", ADDRESS)
    assert session.actor.subject_id == ada.id


async def test_five_wrong_tries_close_it_even_for_the_right_one(
    people: People, ada: Subject, invitation: Invitation, events_of: Events, new_email: str
) -> None:
    wrong = other(invitation.code)
    for _ in range(4):
        with pytest.raises(MatchFailed):
            await people.register_subject(invitation.secret, NAME, BIRTH_DATE, wrong, "", ADDRESS)
    for code in (wrong, invitation.code):
        with pytest.raises(TooManyTries):
            await people.register_subject(invitation.secret, NAME, BIRTH_DATE, code, "", ADDRESS)
    with pytest.raises(TooManyTries):
        await people.open_invitation(invitation.secret)
    assert sum(event.kind == "people:match:failed" for event in await events_of(ada)) == 5
    anew = await people.invite_subject(permit_for(ada.tenant, "invite"), ada.id, new_email)
    assert await people.register_subject(anew.secret, NAME, BIRTH_DATE, anew.code, "", ADDRESS)


@pytest.mark.asvs("V6.3.1")
async def test_many_tries_at_once_are_no_more_than_five(people: People, ada: Subject, invitation: Invitation) -> None:
    codes = [f"{(int(invitation.code) + 1 + n) % 1_000_000:06d}" for n in range(20)]
    outcomes = await asyncio.gather(
        *(people.register_subject(invitation.secret, NAME, BIRTH_DATE, code, "", ADDRESS) for code in codes),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, MatchFailed) for outcome in outcomes) == 4
    assert sum(isinstance(outcome, TooManyTries) for outcome in outcomes) == 16


@pytest.mark.asvs("V6.4.1")
async def test_used_once(people: People, ada: Subject, invitation: Invitation, events_of: Events) -> None:
    tries = (
        people.register_subject(invitation.secret, NAME, BIRTH_DATE, invitation.code, "", ADDRESS) for _ in range(4)
    )
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, InvitationOver) for outcome in outcomes) == 3
    with pytest.raises(InvitationOver):
        await people.open_invitation(invitation.secret, ADDRESS)
    assert sum(event.kind == "people:subject:matched" for event in await events_of(ada)) == 1
    refused = [event for event in await events_of(ada) if event.outcome == "refused"]
    assert refused
    assert {event.kind for event in refused} == {"people:invitation:used"}


@pytest.mark.asvs("V2.3.2", "V6.4.1")
async def test_seven_days(people: People, ada: Subject, invitation: Invitation, events_of: Events) -> None:
    with clock.moved(timedelta(days=6, hours=23)):
        await people.open_invitation(invitation.secret)
    with clock.moved(timedelta(days=7, seconds=5)):
        with pytest.raises(InvitationOver):
            await people.register_subject(invitation.secret, NAME, BIRTH_DATE, invitation.code, "", ADDRESS)
    assert (await events_of(ada))[0].outcome == "refused"


async def test_a_new_invitation_ends_the_earlier_one(
    people: People, ada: Subject, invitation: Invitation, new_email: str
) -> None:
    anew = await people.invite_subject(permit_for(ada.tenant, "invite"), ada.id, new_email)
    with pytest.raises(InvitationOver):
        await people.open_invitation(invitation.secret)
    await people.open_invitation(anew.secret)


async def test_what_was_never_made_is_over(
    people: People, invitation: Invitation, hospital: Organisation, practice: Organisation
) -> None:
    elsewhere = practice.id.hex + invitation.secret[32:]
    for secret in ("", "x" * 75, new_secret(uuid4()), new_secret(hospital.id), elsewhere):
        with pytest.raises(InvitationOver):
            await people.open_invitation(secret)
        with pytest.raises(InvitationOver):
            await people.register_subject(secret, NAME, BIRTH_DATE, invitation.code, "", ADDRESS)


async def test_who_is_not_there_is_not_invited(
    people: People, ada: Subject, practice: Organisation, outbox: Outbox, new_email: str
) -> None:
    with pytest.raises(SubjectNotFound):
        await people.invite_subject(permit_for(practice.id, "invite"), ada.id, new_email)
    with pytest.raises(EmailMalformed):
        await people.invite_subject(permit_for(ada.tenant, "invite"), ada.id, "nowhere")
    assert outbox.to(new_email) == []


async def test_an_erased_subject_cannot_be_matched(people: People, ada: Subject, invitation: Invitation) -> None:
    session = await people.register_subject(invitation.secret, NAME, BIRTH_DATE, invitation.code, "", ADDRESS)
    again = await people.invite_subject(permit_for(ada.tenant, "invite"), ada.id, "again@example.org")
    people._keyring.destroy([ada.key])
    assert await people.actor_of_session(session.token) is None
    with pytest.raises(InvitationOver):
        await people.register_subject(again.secret, NAME, BIRTH_DATE, again.code, "", ADDRESS)


async def test_one_account_stands_in_several_organisations_one_at_a_time(
    people: People, ada: Subject, practice: Organisation, outbox: Outbox, new_email: str
) -> None:
    there = await people.ensure_subject(practice.id, PatientKey(uuid4().hex), ADA)
    sessions = []
    for subject in (ada, there):
        made = await people.invite_subject(permit_for(subject.tenant, "invite"), subject.id, new_email)
        sessions.append(await people.register_subject(made.secret, NAME, BIRTH_DATE, made.code, "", ADDRESS))
    assert sessions[0].actor.id == sessions[1].actor.id
    assert [one.actor.subject_id for one in sessions] == [ada.id, there.id]
    await people.start_sign_in(new_email, "2001:db8::99")
    await people.settled()
    secret = outbox.secret_to(new_email)
    found = {one.subject_id: one.key for one in await people.people_at(secret)}
    assert set(found) == {ada.id, there.id}
    moved = await come_in(people, secret, ADDRESS, found[there.id])
    assert (moved.actor.tenant, moved.actor.subject_id) == (practice.id, there.id)
    with clock.moved(timedelta(minutes=29)):
        assert await people.actor_of_session(moved.token) == moved.actor
    with clock.moved(timedelta(minutes=61)):
        assert await people.actor_of_session(moved.token) is None


async def test_nothing_personal_and_no_code_is_in_the_clear(
    people: People, ada: Subject, invitation: Invitation, database: ServedDatabase, new_email: str
) -> None:
    async with database.transaction(ada) as connection:
        cursor = await connection.execute(
            "select invitation::text as held from invitation where id = %s", (invitation.id,)
        )
        row = await cursor.fetchone()
    assert row is not None
    for secret in (new_email, invitation.code, invitation.secret, "LOVELACE"):
        assert secret not in row["held"]
        assert secret.encode().hex() not in row["held"]


async def test_staff_joins_by_invitation(
    people: People, hospital: Organisation, outbox: Outbox, new_email: str
) -> None:
    permit = permit_for(hospital.id)
    made = await people.invite_user(permit, hospital.id, new_email, "Grace Hopper", "office")
    assert made.code == ""
    with pytest.raises(InvitationOver):
        await people.register_subject(made.secret, NAME, BIRTH_DATE, "", "", ADDRESS)
    assert (await people.open_invitation(outbox.secret_to(new_email))).kind == "user"
    challenge = await people.accept_invitation(made.secret, ADDRESS)
    assert (challenge.needs, await people.actor_of_session(challenge.token)) == ("enrolment", None)
    session = await complete(people, challenge)
    assert (session.actor.kind, session.actor.role, session.actor.name) == ("user", "office", "Grace Hopper")
    with pytest.raises(InvitationOver):
        await people.accept_invitation(made.secret, ADDRESS)
    with pytest.raises(FieldMalformed):
        await people.invite_user(permit, hospital.id, new_email, "Grace Hopper", "patient")


async def test_a_subject_does_not_become_staff_by_accepting(people: People, invitation: Invitation) -> None:
    with pytest.raises(InvitationOver):
        await people.accept_invitation(invitation.secret, ADDRESS)
    await people.open_invitation(invitation.secret)


async def test_an_invitation_of_a_colleague_is_listed_sent_again_and_withdrawn(
    people: People, hospital: Organisation, practice: Organisation, new_email: str, outbox: Outbox, happened: Happened
) -> None:
    permit = permit_for(hospital.id)
    made = await people.invite_user(permit, hospital.id, new_email, "New Colleague", "referrer")
    [listed] = [each for each in await people.invitations(permit) if each.id == made.id]
    assert (listed.email, listed.name, listed.role, listed.is_over) == (new_email, "New Colleague", "referrer", False)
    assert await people.invitations(permit_for(practice.id)) == []
    with clock.moved(timedelta(days=8)):
        await people.sweep()
        [over] = [each for each in await people.invitations(permit) if each.id == made.id]
        assert over.is_over
        again = await people.resend_invitation(permit, made.id)
        assert outbox.secret_to(new_email) == again.secret
        with pytest.raises(InvitationOver):
            await people.open_invitation(made.secret)
        assert (await people.open_invitation(again.secret)).kind == "user"
        ending = permit_for(hospital.id, "end_access")
        for attempt in (
            people.withdraw_invitation(permit_for(practice.id, "end_access"), made.id),
            people.resend_invitation(permit_for(practice.id), made.id), people.withdraw_invitation(permit, made.id),
        ):  # fmt: skip
            with pytest.raises(InvitationOver):
                await attempt
        await people.withdraw_invitation(ending, made.id)
        for over_now in (
            people.open_invitation(again.secret), people.accept_invitation(again.secret, ADDRESS),
            people.withdraw_invitation(ending, made.id), people.resend_invitation(permit, made.id),
        ):  # fmt: skip
            with pytest.raises(InvitationOver):
                await over_now
    found = [each for each in await happened(hospital) if (each.payload or {}).get("invitation") == str(made.id)]
    told = [each.kind.rpartition(":")[2] for each in found if each.outcome == "done"]
    assert told == ["made", "made", "withdrawn"]


async def test_an_invitation_that_is_over_names_nobody_and_the_log_never_did(
    people: People, hospital: Organisation, ada: Subject, new_email: str, outbox: Outbox, database: ServedDatabase,
    happened: Happened,
) -> None:  # fmt: skip
    permit, ending, inviting = permit_for(hospital.id), permit_for(hospital.id, "end_access"), f"ada-{new_email}"
    used = await people.invite_user(permit, hospital.id, new_email, "New Colleague", "referrer")
    await people.resend_invitation(permit, used.id)
    await people.accept_invitation(outbox.secret_to(new_email), ADDRESS)
    withdrawn = await people.invite_user(permit, hospital.id, new_email, "New Colleague", "referrer")
    await people.withdraw_invitation(ending, withdrawn.id)
    replaced = await people.invite_subject(permit_for(hospital.id, "invite"), ada.id, inviting)
    waits = await people.invite_subject(permit_for(hospital.id, "invite"), ada.id, inviting)
    async with database.transaction(hospital) as connection:
        cursor = await connection.execute("select id, invitee_sealed <> '' as is_held from invitation")
        held = {row["id"]: row["is_held"] for row in await cursor.fetchall()}
    assert [held[each.id] for each in (used, withdrawn, replaced, waits)] == [False, False, False, True]
    for over in (used, withdrawn, replaced):
        with pytest.raises(InvitationOver):
            await people.open_invitation(over.secret, ADDRESS)
    assert (await people.open_invitation(waits.secret)).kind == "patient"
    said = [str(each.payload) for each in await happened(hospital) if each.subject_id is None]
    assert said
    assert not [each for each in said if new_email in each or "New Colleague" in each]


LIES = (
    "role = 'admin'",
    "let_in_by = array[gen_random_uuid()]",
    "expires_at = expires_at + interval '1 year'",
)


@pytest.mark.parametrize("lie", LIES)
async def test_an_invitation_that_was_changed_past_the_platform_lets_nobody_in(
    people: People, hospital: Organisation, database: ServedDatabase, new_email: str, lie: str
) -> None:
    made = await people.invite_user(permit_for(hospital.id), hospital.id, new_email, "Grace Hopper", "referrer")
    assert (await people.open_invitation(made.secret)).kind == "user"
    past(database, lie, made)
    for answer in (people.open_invitation(made.secret), people.accept_invitation(made.secret, ADDRESS)):
        with pytest.raises(InvitationOver):
            await answer
    with pytest.raises(InvitationOver):
        await people.resend_invitation(permit_for(hospital.id, "invite"), made.id)


async def test_the_secret_and_the_code_of_an_invitation_are_not_replaced(
    people: People, ada: Subject, hospital: Organisation, database: ServedDatabase, new_email: str
) -> None:
    made = await people.invite_user(permit_for(hospital.id), hospital.id, new_email, "Grace Hopper", "referrer")
    own = new_secret(hospital.id)
    past(database, "digest = sha256(convert_to(%(own)s, 'utf8'))", made, own=own)
    with pytest.raises(InvitationOver):
        await people.accept_invitation(own, ADDRESS)
    first = await people.invite_subject(permit_for(ada.tenant, "invite"), ada.id, new_email)
    past(database, "code_digest = sha256('guessed')", first)
    with pytest.raises(InvitationOver):
        await people.register_subject(first.secret, NAME, BIRTH_DATE, first.code, "", ADDRESS)


async def test_an_invitation_that_is_sent_again_is_as_good_as_the_first(
    people: People, hospital: Organisation, new_email: str
) -> None:
    made = await people.invite_user(permit_for(hospital.id), hospital.id, new_email, "Grace Hopper", "referrer")
    again = await people.resend_invitation(permit_for(hospital.id, "invite"), made.id)
    with pytest.raises(InvitationOver):
        await people.open_invitation(made.secret)
    assert (await people.open_invitation(again.secret)).kind == "user"


def past(database: ServedDatabase, change: str, made: Invitation, **values: str) -> None:
    """As the superuser of the database."""
    with psycopg.connect(database.dsn(SUPERUSER), autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        done = connection.execute(
            f"update invitation set {change} where id = %(id)s".encode(), {**values, "id": made.id}
        )
        assert done.rowcount == 1
