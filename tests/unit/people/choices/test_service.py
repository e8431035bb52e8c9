"""Choices without doors: expiry, ages, channels, receipts, proposals, and who may not."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.common.deployment import Deployment, OpenDeployment, Person
from troth.kit import clock
from troth.people import ChoiceNotFound, FieldMalformed, PersonNeeded, Said, SubjectNotFound, message_to
from troth.people.choices import ChoiceFacts
from troth.policy import FactSet, Permit, Target


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


def own(person: Person) -> Target:
    assert person.user is not None
    return Target("subject", person.user.id, person.user.tenant, person.user.id)


async def permit_of(place: Deployment, person: Person) -> Permit:
    return await place.rooms.policy.require(person.actor, "choose", own(person), "own_access")


async def facts_of(place: Deployment, person: Person, target: Target | None = None) -> FactSet:
    class Band:
        key, from_years, below_years = "child", 0, 18

    facts = ChoiceFacts(place.rooms.database, place.rooms.keyring, (Band(),))
    return await facts.about(person.actor, target or own(person))


async def test_a_consent_for_a_time_runs_out_by_itself(place: Deployment) -> None:
    person = await place.staff("clinician")
    permit = await permit_of(place, person)
    choices, holder = place.rooms.choices, permit.target.id
    assert holder is not None
    made = await choices.answer_consent(permit, holder, "news", "given", lasts=timedelta(days=1))
    assert "consent:news" in (await facts_of(place, person)).claims
    with clock.moved(timedelta(days=2)):
        assert "consent:news" not in (await facts_of(place, person)).claims
        [held] = await choices.of_holder(permit, holder)
        assert held.state == "expired"
    await choices.answer_consent(permit, holder, "news", "withdrawn")
    assert [each.state for each in await choices.of_holder(permit, holder, history=True)] == ["withdrawn", "given"]
    with pytest.raises(ChoiceNotFound):
        await choices.answer_consent(permit, holder, "news", "withdrawn")
    with pytest.raises(ChoiceNotFound):
        await choices.answer_consent(permit, holder, "unheard_of", "given")
    receipt = await choices.receipt(permit, made.id)
    assert receipt.choice.reference.startswith("C-")


async def test_channels_and_ages_are_facts(place: Deployment) -> None:
    person = await place.staff("clinician")
    permit = await permit_of(place, person)
    choices, holder = place.rooms.choices, permit.target.id
    assert holder is not None
    await choices.choose_channel(permit, holder, "sms", is_wanted=False)
    await choices.choose_channel(permit, holder, "email", Said(), is_wanted=False, topic="events")
    about_events = message_to(permit.tenant, holder, "email", "events")
    assert {"stopped:sms", "stopped:email:events"} <= (await facts_of(place, person)).claims
    assert "stopped:email" not in (await facts_of(place, person)).claims
    assert {"stopped:email", "channel:email"} <= (await facts_of(place, person, about_events)).claims
    await choices.choose_channel(permit, holder, "sms", is_wanted=True)
    assert "stopped:sms" not in (await facts_of(place, person)).claims

    await choices.state_age(permit, holder, date(2012, 1, 1))
    assert "age:child" in (await facts_of(place, person)).claims
    with clock.moved(timedelta(days=366 * 10)):
        assert "age:child" not in (await facts_of(place, person)).claims
    for wrong in (lambda: choices.choose_channel(permit, holder, "pigeon", is_wanted=True),
                  lambda: choices.state_age(permit, holder, clock.today() + timedelta(days=1))):  # fmt: skip
        with pytest.raises(FieldMalformed):
            await wrong()


async def test_nobody_chooses_or_reads_for_somebody_else(place: Deployment) -> None:
    person, other = await place.staff("clinician"), await place.staff("clinician")
    permit, theirs = await permit_of(place, person), await permit_of(place, other)
    assert theirs.target.id is not None
    made = await place.rooms.choices.object_to(theirs, theirs.target.id, "training")
    with pytest.raises(SubjectNotFound):
        await place.rooms.choices.of_holder(permit, theirs.target.id)
    with pytest.raises(ChoiceNotFound):
        await place.rooms.choices.receipt(permit, made.id)
    assert (await facts_of(place, other)).claims == {"objection:training"}
    assert (await facts_of(place, person)).claims == frozenset()
    assert await facts_of(place, person, Target("platform")) == FactSet()


async def test_what_a_program_proposes_waits_for_a_person(place: Deployment) -> None:
    office, person = await place.staff("office"), await place.staff("clinician")
    house = Target("organisation", place.first.id, place.first.id)
    program = place.set_up_permit("decide_about", house)
    choices = place.rooms.choices
    assert person.user is not None
    made = await choices.propose(program, person.user.id, "account_closure", "Not used for two years")
    assert made.state == "queued"
    assert (await place.rooms.people.actor_of_session(person.web.cookies["troth_session"])) is not None
    deciding = await place.rooms.policy.require(office.actor, "decide_request", house, "rights")
    assert [each.ground for each in await choices.proposals(deciding)] == ["Not used for two years"]
    with pytest.raises(PersonNeeded):
        await choices.decide_proposal(program, made.id, "Because", is_confirmed=True)
    with pytest.raises(PersonNeeded):
        await choices.decide_proposal(deciding, made.id, " ", is_confirmed=True)
    decided = await choices.decide_proposal(deciding, made.id, "Is on leave", is_confirmed=False)
    assert (decided.state, decided.decided_by, decided.reason) == ("dismissed", office.actor.id, "Is on leave")
    assert await choices.proposals(deciding) == []
    with pytest.raises(ChoiceNotFound):
        await choices.decide_proposal(deciding, made.id, "Again", is_confirmed=True)
