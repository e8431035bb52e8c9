"""Sessions and bearer tokens."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.common.arrivals import come_in
from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADDRESS, Happened, Outbox, permit_for
from troth.kit import clock
from troth.ledger import Ledger
from troth.people import FieldMalformed, Organisation, OrganisationNotFound, People, Session, SignInLinkOver, Subject
from troth.people.model import new_secret
from troth.policy import Actor


@pytest.fixture
async def session(people: People, hospital: Organisation, new_email: str) -> Session:
    permit = permit_for(hospital.id)
    user = await people.add_user(permit, hospital.id, new_email, "Grace Hopper", "clinician")
    return await come_in(people, (await people.issue_sign_in_link(permit, user.id)).rpartition("/")[2], ADDRESS)


async def seen_at(database: ServedDatabase, session: Session) -> object:
    async with database.transaction(session.actor) as connection:
        cursor = await connection.execute(
            "select seen_at, xmin::text from session where id = %s", (session.actor.session_id,)
        )
        return await cursor.fetchone()


@pytest.mark.asvs("V7.2.1")
async def test_what_is_no_session_is_nobody(people: People, session: Session, practice: Organisation) -> None:
    token = session.token
    elsewhere = practice.id.hex + token[32:]
    other_end = token[:-1] + ("A" if token[-1] != "A" else "B")
    for wrong in ("", "x", token[:-1], other_end, token + "x", elsewhere, token.upper(), new_secret(uuid4())):
        assert await people.actor_of_session(wrong) is None
    assert await people.actor_of_session(token) == session.actor


@pytest.mark.asvs("V7.3.1")
async def test_staff_is_out_after_a_quarter_of_an_hour_of_nothing(people: People, session: Session) -> None:
    with clock.moved(timedelta(minutes=14, seconds=55)):
        assert await people.actor_of_session(session.token) is not None
    with clock.moved(timedelta(minutes=29, seconds=50)):
        assert await people.actor_of_session(session.token) is not None
    with clock.moved(timedelta(minutes=45)):
        assert await people.actor_of_session(session.token) is None
    assert await people.actor_of_session(session.token) is not None


@pytest.mark.asvs("V7.3.2")
async def test_twelve_hours_are_the_end_however_busy(people: People, session: Session) -> None:
    for minutes in range(14, 12 * 60, 14):
        with clock.moved(timedelta(minutes=minutes)):
            assert await people.actor_of_session(session.token) is not None
    with clock.moved(timedelta(hours=12, seconds=1)):
        assert await people.actor_of_session(session.token) is None


async def test_reading_writes_at_most_once_a_minute(people: People, session: Session, database: ServedDatabase) -> None:
    before = await seen_at(database, session)
    with clock.moved(timedelta(seconds=55)):
        await people.actor_of_session(session.token)
    assert await seen_at(database, session) == before
    with clock.moved(timedelta(seconds=65)):
        await people.actor_of_session(session.token)
        touched = await seen_at(database, session)
        assert touched != before
        await people.actor_of_session(session.token)
    assert await seen_at(database, session) == touched


async def test_resolving_is_one_statement(people: People, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[object] = []
    execute = psycopg.AsyncConnection.execute

    async def recording(*arguments: Any, **more: Any) -> Any:
        statements.append(arguments[1])
        return await execute(*arguments, **more)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", recording)
    assert await people.actor_of_session(session.token) == session.actor
    assert len(statements) == 3  # begin, this one, commit


@pytest.mark.asvs("V7.4.1")
async def test_signing_out_ends_it_and_is_written_once(
    people: People, session: Session, database: ServedDatabase, ledger: Ledger
) -> None:
    await people.end_session(session.actor)
    await people.end_session(session.actor)
    assert await people.actor_of_session(session.token) is None
    async with database.transaction(session.actor) as connection:
        events = [event for event in await ledger.latest(connection, limit=50) if event.actor_id == session.actor.id]
    kinds = sorted(event.kind for event in events if event.kind.startswith("people:session"))
    assert kinds == ["people:session:ended", "people:session:started"]
    assert [event.payload["address"] for event in events if event.kind == "people:session:started"] == [ADDRESS]


@pytest.mark.asvs("V16.3.1")
async def test_a_patient_signs_out_and_it_is_in_their_ledger(
    people: People, ada: Subject, database: ServedDatabase, ledger: Ledger, new_email: str
) -> None:
    made = await people.invite_subject(permit_for(ada.tenant, "invite"), ada.id, new_email)
    begun = await people.register_subject(made.secret, "Ada Lovelace", date(1815, 12, 10), made.code, "", ADDRESS)
    await people.end_session(begun.actor)
    assert await people.actor_of_session(begun.token) is None
    async with database.transaction(ada) as connection:
        [newest] = await ledger.of_subject(connection, ada.id, limit=1)
    assert (newest.kind, newest.purpose) == ("people:session:ended", "own_access")


async def test_nobody_has_nothing_to_end(people: People, session: Session) -> None:
    await people.end_session(Actor("anonymous"))
    assert session.actor.session_id is not None
    assert not await people.end_session_by_id(permit_for(None, "end_access"), session.actor.session_id)
    assert await people.actor_of_session(session.token) is not None


async def test_an_account_without_subject_or_with_an_erased_one_does_not_get_in(
    people: People, ada: Subject, database: ServedDatabase, outbox: Outbox, new_email: str
) -> None:
    made = await people.invite_subject(permit_for(ada.tenant, "invite"), ada.id, new_email)
    await people.register_subject(made.secret, "Ada Lovelace", date(1815, 12, 10), made.code, "", ADDRESS)
    for number, erase in enumerate(("key", "row")):
        await people.start_sign_in(new_email, f"2001:db8:1::{number}")
        await people.settled()
        if erase == "key":
            people._keyring.destroy([ada.key])
        else:
            async with database.transaction(ada) as connection:
                await connection.execute("delete from subject where id = %s", (ada.id,))
        with pytest.raises(SignInLinkOver):
            await come_in(people, outbox.secret_to(new_email), ADDRESS)


@pytest.mark.asvs("V7.4.5")
async def test_an_administrator_ends_a_session_of_their_own_organisation_only(
    people: People, session: Session, hospital: Organisation, practice: Organisation
) -> None:
    assert session.actor.session_id is not None
    assert not await people.end_session_by_id(permit_for(practice.id, "end_access"), session.actor.session_id)
    assert await people.actor_of_session(session.token) is not None
    assert await people.end_session_by_id(permit_for(hospital.id, "end_access"), session.actor.session_id)
    assert await people.actor_of_session(session.token) is None


@pytest.mark.asvs("V7.2.2", "V9.2.1")
async def test_a_bearer_token_acts_in_its_role_for_its_time(people: People, hospital: Organisation) -> None:
    token = await people.issue_token(permit_for(hospital.id), hospital.id, "clinician", "care", timedelta(hours=1))
    bearer = await people.bearer_of_token(token)
    assert bearer is not None
    assert bearer.purpose == "care"
    actor = bearer.actor
    assert (actor.kind, actor.role, actor.tenant) == ("user", "clinician", hospital.id)
    assert actor.organisation == "Northern Hospital"
    assert actor.id == actor.session_id
    with clock.moved(timedelta(minutes=59)):
        assert await people.actor_of_token(token) == actor
    with clock.moved(timedelta(minutes=61)):
        assert await people.actor_of_token(token) is None
    assert actor.session_id is not None
    assert await people.end_session_by_id(permit_for(hospital.id, "end_access"), actor.session_id)
    assert await people.actor_of_token(token) is None


@pytest.mark.asvs("V6.3.4", "V9.2.2")
async def test_a_cookie_is_no_bearer_token_nor_the_reverse(
    people: People, session: Session, hospital: Organisation
) -> None:
    token = await people.issue_token(permit_for(hospital.id), hospital.id, "peer", "care", timedelta(hours=1))
    assert await people.actor_of_session(token) is None
    assert await people.actor_of_token(session.token) is None
    actor = await people.actor_of_token(token)
    assert actor is not None
    assert (actor.kind, actor.role) == ("peer", "peer")


@pytest.mark.asvs("V7.2.2")
@pytest.mark.parametrize(
    ("role", "lifetime"),
    [
        ("superuser", timedelta(hours=1)),
        ("patient", timedelta(hours=1)),
        ("clinician", timedelta(days=32)),
        ("clinician", timedelta(0)),
        ("clinician", timedelta(hours=-1)),
    ],
)
async def test_tokens_that_are_not_issued(
    people: People, hospital: Organisation, role: str, lifetime: timedelta
) -> None:
    with pytest.raises(FieldMalformed):
        await people.issue_token(permit_for(hospital.id), hospital.id, role, "care", lifetime)


async def test_a_token_for_another_organisation_is_not_issued(
    people: People, hospital: Organisation, practice: Organisation
) -> None:
    with pytest.raises(OrganisationNotFound):
        await people.issue_token(permit_for(practice.id), hospital.id, "clinician", "care", timedelta(hours=1))


async def test_sweeping_takes_only_what_is_over(people: People, session: Session, hospital: Organisation) -> None:
    over = await people.issue_token(permit_for(hospital.id), hospital.id, "clinician", "care", timedelta(hours=1))
    kept = await people.issue_token(permit_for(hospital.id), hospital.id, "clinician", "care", timedelta(days=30))
    with clock.moved(timedelta(days=2)):
        assert await people.sweep() >= 2
        assert await people.actor_of_token(kept) is not None
    assert await people.actor_of_token(over) is None


@pytest.mark.asvs("V7.5.2")
async def test_sessions_and_tokens_are_listed_while_they_live(
    people: People, session: Session, hospital: Organisation, practice: Organisation, happened: Happened
) -> None:
    permit = permit_for(hospital.id)
    token = await people.issue_token(permit, hospital.id, "peer", "care", timedelta(hours=1))
    bearer = await people.bearer_of_token(token)
    assert bearer is not None
    assert session.actor.session_id in {each.id for each in await people.sessions(permit)}
    newest = (await people.tokens(permit))[0]
    assert (newest.id, newest.role, newest.purpose) == (bearer.actor.id, "peer", "care")
    assert await people.sessions(permit_for(practice.id)) == await people.tokens(permit_for(practice.id)) == []
    assert bearer.actor.id is not None
    assert await people.end_session_by_id(permit_for(hospital.id, "end_access"), bearer.actor.id)
    assert bearer.actor.id not in {each.id for each in await people.tokens(permit)}
    mine = [each.kind for each in await happened(hospital) if (each.payload or {}).get("token") == str(bearer.actor.id)]
    assert mine == ["people:token:issued", "people:token:ended"]


@pytest.mark.asvs("V7.5.2")
async def test_one_ends_ones_own_sessions_and_no_others(
    people: People, session: Session, hospital: Organisation
) -> None:
    permit = permit_for(hospital.id)
    other = await people.add_user(permit, hospital.id, f"o-{uuid4().hex[:8]}@example.org", "Other", "clinician")
    here = await come_in(people, (await people.issue_sign_in_link(permit, other.id)).rpartition("/")[2], ADDRESS)
    there = await come_in(people, (await people.issue_sign_in_link(permit, other.id)).rpartition("/")[2], ADDRESS)
    ids = [each.id for each in await people.own_sessions(here.actor)]
    assert ids == [there.actor.session_id, here.actor.session_id]
    assert session.actor.session_id is not None
    assert not await people.end_own_session(here.actor, session.actor.session_id)
    assert await people.actor_of_session(session.token) is not None
    assert there.actor.session_id is not None
    assert await people.end_own_session(here.actor, there.actor.session_id)
    assert await people.actor_of_session(there.token) is None
    assert await people.actor_of_session(here.token) is not None
