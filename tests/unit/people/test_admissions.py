"""Letting somebody into a role by two people, and who counts as the second."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.common.arrivals import come_in, complete
from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADDRESS, Happened, Outbox, permit_for
from troth.kit import clock
from troth.people import (
    AdmissionOver,
    LastAdministrator,
    Organisation,
    People,
    PeopleFacts,
    SecondPersonNeeded,
    User,
    UserExists,
    UserNotFound,
    agreeing,
    letting,
)
from troth.policy import Actor, Permit
from troth.vault import Keyring


def email() -> str:
    return f"p-{uuid4().hex[:8]}@example.org"


@pytest.fixture
async def house(people: People) -> Organisation:
    return await people.add_organisation(permit_for(None), f"House {uuid4().hex[:8]}")


@pytest.fixture
async def pair(people: People, house: Organisation) -> tuple[User, User]:
    """The founding pair."""
    permit = permit_for(house.id)
    first = await people.add_user(permit, house.id, email(), "First", "admin")
    return first, await people.add_user(permit, house.id, email(), "Second", "admin")


def permit_of(user: User, action: str, role: str = "", admission: object = None) -> Permit:
    """A permit of a member, as the policy would make it."""
    actor = Actor("user", user.id, user.tenant, user.role)
    target = letting(actor, role) if role else letting(actor, "")
    if admission is not None:
        target = agreeing(actor, admission)  # type: ignore[arg-type]
    return replace(permit_for(user.tenant), actor=actor, action=action, target=target)


async def let_in(people: People, outbox: Outbox, by: User, role: str) -> User:
    """One person alone lets somebody into a role, who comes in."""
    address = email()
    await people.invite_user(permit_of(by, "let_in", role), by.tenant, address, "New", role)
    session = await complete(people, await people.accept_invitation(outbox.secret_to(address), ADDRESS))
    assert session.actor.id is not None
    return await people.user(permit_for(by.tenant), session.actor.id)


async def test_nobody_takes_a_factor_away_with_the_hand_of_one_they_let_in(
    people: People, pair: tuple[User, User], outbox: Outbox
) -> None:
    lost = await let_in(people, outbox, pair[0], "clinician")
    puppet = await let_in(people, outbox, pair[0], "admin")
    asked = await people.ask_reset(permit_of(puppet, "end_access"), lost.id)
    with pytest.raises(SecondPersonNeeded):
        await people.agree_reset(permit_of(pair[0], "end_access"), asked.id)
    await people.agree_reset(permit_of(pair[1], "end_access"), asked.id)
    assert await people.resets(permit_of(pair[1], "administer")) == []


async def test_two_propose_and_agree_and_both_are_named(
    people: People, house: Organisation, pair: tuple[User, User], outbox: Outbox, happened: Happened
) -> None:
    address = email()
    waits = await people.propose_invitation(permit_of(pair[0], "invite"), address, "Dr New", "clinician")
    assert [each.id for each in await people.admissions(permit_of(pair[1], "administer"))] == [waits.id]
    assert outbox.to(address) == []
    made = await people.agree_admission(permit_of(pair[1], "let_in", admission=waits), waits.id)
    assert made is not None
    [text] = outbox.to(address)
    assert f"{house.name} invites you to its imaging platform, as a clinician." in text
    session = await complete(people, await people.accept_invitation(outbox.secret_to(address), ADDRESS))
    assert session.actor.role == "clinician"
    [joined] = [
        each for each in await happened(house)
        if each.kind == "people:member:joined" and (each.payload or {})["user"] == str(session.actor.id)
    ]  # fmt: skip
    assert (joined.payload or {})["let_in_by"].split() == [str(pair[0].id), str(pair[1].id)]
    assert await people.are_independent(house.id, pair[0].id, session.actor.id or uuid4())
    with pytest.raises(AdmissionOver):
        await people.agree_admission(permit_of(pair[1], "let_in", admission=waits), waits.id)


@pytest.mark.asvs("V2.3.1")
async def test_neither_oneself_nor_whom_one_let_in_is_the_second(
    people: People,
    house: Organisation,
    pair: tuple[User, User],
    outbox: Outbox,
    database: ServedDatabase,
    keyring: Keyring,
) -> None:
    puppet = await let_in(people, outbox, pair[0], "admin")
    waits = await people.propose_invitation(permit_of(pair[0], "invite"), email(), "Dr New", "clinician")
    facts = PeopleFacts(database, keyring)
    for second in (pair[0], puppet):
        with pytest.raises(SecondPersonNeeded):
            await people.agree_admission(permit_of(second, "let_in", admission=waits), waits.id)
        link = await people.issue_sign_in_link(permit_for(house.id), second.id)
        actor = (await come_in(people, link.rpartition("/")[2], ADDRESS)).actor
        assert "seconded" not in (await facts.about(actor, agreeing(actor, waits))).claims
        assert "letting:clinician" in (await facts.about(actor, agreeing(actor, waits))).claims
    link = await people.issue_sign_in_link(permit_for(house.id), pair[1].id)
    actor = (await come_in(people, link.rpartition("/")[2], ADDRESS)).actor
    assert "seconded" in (await facts.about(actor, agreeing(actor, waits))).claims


async def test_a_permit_for_one_role_lets_into_no_other(people: People, pair: tuple[User, User]) -> None:
    alone = permit_of(pair[0], "let_in", "admin")
    with pytest.raises(SecondPersonNeeded):
        await people.invite_user(alone, pair[0].tenant, email(), "Dr New", "clinician")
    with pytest.raises(SecondPersonNeeded):
        await people.change_role(alone, pair[1].id, "office")
    waits = await people.propose_role(permit_of(pair[0], "change_role"), pair[1].id, "office")
    with pytest.raises(SecondPersonNeeded):
        await people.agree_admission(permit_of(pair[1], "let_in", "clinician"), waits.id)


async def test_a_role_is_given_by_two_and_refused_or_lapsed_by_none(
    people: People, house: Organisation, pair: tuple[User, User]
) -> None:
    permit = permit_for(house.id)
    third = await people.add_user(permit, house.id, email(), "Third", "referrer")
    with pytest.raises(UserExists):
        await people.propose_role(permit_of(pair[0], "change_role"), third.id, "referrer")
    refused = await people.propose_role(permit_of(pair[0], "change_role"), third.id, "office")
    await people.refuse_admission(permit_of(pair[1], "invite"), refused.id)
    for over in (people.refuse_admission(permit_of(pair[1], "invite"), refused.id),
                 people.agree_admission(permit_of(pair[1], "let_in", admission=refused), refused.id)):  # fmt: skip
        with pytest.raises(AdmissionOver):
            await over
    waits = await people.propose_role(permit_of(pair[0], "change_role"), third.id, "office")
    with clock.moved(timedelta(days=8)):
        with pytest.raises(AdmissionOver):
            await people.agree_admission(permit_of(pair[1], "let_in", admission=waits), waits.id)
        assert await people.admissions(permit) == []
    assert await people.agree_admission(permit_of(pair[1], "let_in", admission=waits), waits.id) is None
    assert (await people.user(permit, third.id)).role == "office"
    with clock.moved(timedelta(days=10)):
        assert await people.sweep() >= 2
    stranger = replace(permit_of(pair[0], "change_role"), target=letting(Actor("user", tenant=house.id), ""))
    with pytest.raises(UserNotFound):
        await people.propose_role(stranger, uuid4(), "office")


async def test_the_last_administrator_stays_until_another_one_is_there(
    people: People, house: Organisation, pair: tuple[User, User]
) -> None:
    first, second = pair
    await people.end_user(permit_of(first, "end_access"), second.id)
    alone = permit_of(first, "end_access")
    with pytest.raises(LastAdministrator):
        await people.end_user(alone, first.id)
    with pytest.raises(LastAdministrator):
        await people.change_role(permit_of(first, "let_in", "office"), first.id, "office")
    assert (await people.user(permit_for(house.id), first.id)).role == "admin"
    await people.add_user(permit_for(house.id), house.id, email(), "Third", "admin")
    await people.end_user(alone, first.id)
