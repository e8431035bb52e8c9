"""What the decision is told, a moment after it changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from uuid import uuid4

import pytest

from tests.common.arrivals import come_in
from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADDRESS, permit_for
from troth.kit import clock
from troth.people import Organisation, People, PeopleFacts, Session, Subject
from troth.policy import Actor, Facts, FactSet, Target
from troth.vault import Keyring

NOTHING = FactSet()
LEVEL = frozenset({"level:full"})
ALL_WELL = FactSet(is_member=True, session_alive=True, claims=LEVEL)
TARGET = Target("study")


@pytest.fixture
def facts(database: ServedDatabase, keyring: Keyring) -> Facts:
    return PeopleFacts(database, keyring)


@pytest.fixture
async def session(people: People, hospital: Organisation, new_email: str) -> Session:
    user = await people.add_user(permit_for(hospital.id), hospital.id, new_email, "Grace", "clinician")
    link = await people.issue_sign_in_link(permit_for(hospital.id), user.id)
    return await come_in(people, link.rpartition("/")[2], ADDRESS)


async def test_a_member_with_a_living_session(people: People, facts: Facts, session: Session) -> None:
    assert await facts.about(session.actor, TARGET) == ALL_WELL
    await people.end_session(session.actor)
    assert await facts.about(session.actor, TARGET) == replace(ALL_WELL, session_alive=False)


async def test_idle_is_not_alive(facts: Facts, session: Session) -> None:
    with clock.moved(timedelta(minutes=16)):
        assert await facts.about(session.actor, TARGET) == replace(ALL_WELL, session_alive=False)


async def test_who_was_a_member(people: People, facts: Facts, session: Session, hospital: Organisation) -> None:
    assert session.actor.id is not None
    await people.end_user(permit_for(hospital.id, "end_access"), session.actor.id)
    assert await facts.about(session.actor, TARGET) == FactSet(claims=LEVEL)


async def test_a_role_that_was(people: People, facts: Facts, session: Session, hospital: Organisation) -> None:
    assert session.actor.id is not None
    await people.change_role(permit_for(hospital.id), session.actor.id, "office")
    assert not (await facts.about(session.actor, TARGET)).is_member
    assert await facts.about(replace(session.actor, role="office"), TARGET) == ALL_WELL


async def test_an_actor_that_was_made_up(facts: Facts, session: Session, practice: Organisation) -> None:
    for made_up in (
        replace(session.actor, role="admin"),
        replace(session.actor, id=uuid4()),
        replace(session.actor, kind="patient"),
        replace(session.actor, subject_id=uuid4()),
    ):
        assert not (await facts.about(made_up, TARGET)).is_member
    for made_up in (
        replace(session.actor, tenant=practice.id),
        replace(session.actor, tenant=None),
        replace(session.actor, session_id=uuid4()),
        replace(session.actor, session_id=None),
        Actor("user"),
    ):
        assert await facts.about(made_up, TARGET) == NOTHING


async def test_a_patient_while_the_subject_is_there(
    people: People, facts: Facts, ada: Subject, database: ServedDatabase, new_email: str
) -> None:
    made = await people.invite_subject(permit_for(ada.tenant, "invite"), ada.id, new_email)
    session = await people.register_subject(
        made.secret, "Ada Lovelace", date(1815, 12, 10), made.code, new_email, ADDRESS
    )
    by_portal = replace(ALL_WELL, claims=LEVEL | {"via:portal"})
    actor = await people.actor_of_session(session.token)
    assert actor is not None
    assert await facts.about(actor, TARGET) == by_portal
    async with database.transaction(ada) as connection:
        await connection.execute("delete from subject_account where subject_id = %s", (ada.id,))
    assert await facts.about(actor, TARGET) == replace(by_portal, is_member=False)
    assert await people.actor_of_session(session.token) is None
    async with database.transaction(ada) as connection:
        await connection.execute("delete from subject where id = %s", (ada.id,))
    assert await facts.about(session.actor, TARGET) == NOTHING


async def test_a_peer_while_it_is_registered(people: People, facts: Facts, hospital: Organisation) -> None:
    peer = await people.add_peer(permit_for(hospital.id), hospital.id, "FACTS", "192.0.2.60", 104)
    actor = await people.actor_of_peer("FACTS", "TROTH", "192.0.2.60")
    assert actor is not None
    assert await facts.about(actor, TARGET) == replace(ALL_WELL, claims=LEVEL | {"via:dimse"})
    assert await facts.about(replace(actor, tenant=uuid4()), TARGET) == NOTHING
    await people.end_peer(permit_for(hospital.id), peer.id)
    assert await facts.about(actor, TARGET) == NOTHING


@pytest.mark.parametrize("role", ["clinician", "peer"])
async def test_a_bearer_token_while_it_lasts(people: People, facts: Facts, hospital: Organisation, role: str) -> None:
    token = await people.issue_token(permit_for(hospital.id), hospital.id, role, "care", timedelta(hours=1))
    actor = await people.actor_of_token(token)
    assert actor is not None
    assert await facts.about(actor, TARGET) == ALL_WELL
    with clock.moved(timedelta(hours=2)):
        assert not (await facts.about(actor, TARGET)).session_alive


async def test_the_system_and_nobody_are_not_asked_about(facts: Facts) -> None:
    assert await facts.about(Actor("system"), TARGET) == NOTHING
    assert await facts.about(Actor("anonymous"), TARGET) == NOTHING
