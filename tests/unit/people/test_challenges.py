"""The second factor of staff: owed before there is a session, shown once, tried five times."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.common.arrivals import code_now, come_in, complete, secret_of
from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADDRESS, Outbox, permit_for
from troth.kit import clock
from troth.kit.db import Space
from troth.ledger import Event, Ledger
from troth.people import (
    Challenge,
    ChallengeOver,
    FactorNotFound,
    FactorRefused,
    LastFactor,
    Organisation,
    OwnAssignment,
    People,
    ResetWaits,
    Session,
    Subject,
    TooManyCodes,
    User,
)
from troth.policy import Permit


@pytest.fixture
async def grace(people: People, hospital: Organisation, new_email: str) -> User:
    return await people.add_user(permit_for(hospital.id), hospital.id, new_email, "Grace Hopper", "clinician")


async def begin(people: People, user: User) -> Challenge:
    """Press a one-time link: the first proof."""
    link = await people.issue_sign_in_link(permit_for(user.tenant), user.id)
    begun = await people.sign_in(link.rpartition("/")[2], ADDRESS)
    assert isinstance(begun, Challenge)
    return begun


async def enrol(people: People, user: User) -> tuple[bytes, str, tuple[str, ...]]:
    """Set an app up; its key, the session, the recovery codes."""
    challenge = await begin(people, user)
    owed = await people.owed(challenge.token)
    assert owed is not None
    secret = secret_of(owed.secret)
    enrolled = await people.enrol_app(challenge.token, code_now(secret), ADDRESS)
    return secret, enrolled.token, enrolled.codes


async def entries(database: ServedDatabase, ledger: Ledger, user: User) -> list[Event]:
    async with database.transaction(Space(user.tenant)) as connection:
        found = [event for event in await ledger.latest(connection, limit=300) if event.actor_id == user.id]
    return [event for event in found if ":factor:" in event.kind or ":recovery:" in event.kind]


@pytest.mark.asvs("V2.3.1", "V6.3.3")
async def test_a_link_alone_is_no_session(people: People, grace: User) -> None:
    challenge = await begin(people, grace)
    assert challenge.needs == "enrolment"
    assert await people.actor_of_session(challenge.token) is None
    assert await people.actor_of_token(challenge.token) is None
    owed = await people.owed(challenge.token)
    assert owed is not None
    assert (owed.organisation, owed.name, owed.forms) == ("Northern Hospital", "Grace Hopper", frozenset())
    for wrong in ("000000", "", "abcdef"):
        with pytest.raises(FactorRefused):
            await people.enrol_app(challenge.token, wrong, ADDRESS)
    enrolled = await people.enrol_app(challenge.token, code_now(secret_of(owed.secret)), ADDRESS)
    actor = await people.actor_of_session(enrolled.token)
    assert actor is not None
    assert (actor.id, actor.role, len(enrolled.codes)) == (grace.id, "clinician", 10)
    with pytest.raises(ChallengeOver):
        await people.enrol_app(challenge.token, code_now(secret_of(owed.secret)), ADDRESS)


@pytest.mark.asvs("V6.5.1")
async def test_a_code_counts_once_and_the_next_one_later(
    people: People, grace: User, database: ServedDatabase, ledger: Ledger
) -> None:
    secret, _, _ = await enrol(people, grace)
    challenge = await begin(people, grace)
    assert challenge.needs == "factor"
    with pytest.raises(FactorRefused):
        await people.show_code(challenge.token, code_now(secret), ADDRESS)  # the one that set it up
    with clock.moved(timedelta(seconds=31)):
        session = await people.show_code(challenge.token, code_now(secret), ADDRESS)
        assert await people.actor_of_session(session.token) == session.actor
        again = await begin(people, grace)
        with pytest.raises(FactorRefused):
            await people.show_code(again.token, code_now(secret), ADDRESS)
    kinds = [(event.kind, event.outcome) for event in await entries(database, ledger, grace)]
    assert kinds.count(("people:factor:refused", "refused")) == 2
    assert ("people:factor:enrolled", "done") in kinds
    assert ("people:recovery:made", "done") in kinds


@pytest.mark.asvs("V6.3.4", "V6.6.2")
async def test_the_second_factor_of_somebody_else_is_none(people: People, hospital: Organisation, grace: User) -> None:
    other = await people.add_user(
        permit_for(hospital.id), hospital.id, f"other-{grace.id.hex[-8:]}@x.example", "O. Ther", "office"
    )
    secret, _, codes = await enrol(people, other)
    await enrol(people, grace)
    challenge = await begin(people, grace)
    with clock.moved(timedelta(seconds=31)):
        for typed in (code_now(secret), codes[0]):
            with pytest.raises(FactorRefused):
                await people.show_code(challenge.token, typed, ADDRESS)


@pytest.mark.asvs("V6.3.1", "V6.6.3")
async def test_five_wrong_codes_close_this_sign_in_and_no_other(people: People, grace: User) -> None:
    secret, session, _ = await enrol(people, grace)
    challenge, beside = await begin(people, grace), await begin(people, grace)
    right = code_now(secret, 1)
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    for _ in range(4):
        with pytest.raises(FactorRefused):
            await people.show_code(challenge.token, wrong, ADDRESS)
    with pytest.raises(TooManyCodes):
        await people.show_code(challenge.token, wrong, ADDRESS)
    with pytest.raises(ChallengeOver):
        await people.show_code(challenge.token, right, ADDRESS)
    assert await people.actor_of_session(session) is not None, "who asks is slowed, and nobody who is asked"
    assert (await people.show_code(beside.token, right, ADDRESS)).actor.id == grace.id


@pytest.mark.asvs("V6.5.5")
async def test_it_lasts_ten_minutes(people: People, grace: User) -> None:
    secret, _, _ = await enrol(people, grace)
    challenge = await begin(people, grace)
    with clock.moved(timedelta(minutes=10, seconds=1)):
        assert await people.owed(challenge.token) is None
        with pytest.raises(ChallengeOver):
            await people.show_code(challenge.token, code_now(secret), ADDRESS)
    for token in ("", "x", challenge.token[:-1]):
        assert await people.owed(token) is None
        with pytest.raises(ChallengeOver):
            await people.show_code(token, "123456", ADDRESS)


@pytest.mark.asvs("V6.4.3", "V6.5.1", "V7.4.3")
async def test_a_recovery_code_lets_in_once_ends_other_sessions_and_is_told(
    people: People, grace: User, outbox: Outbox, database: ServedDatabase, ledger: Ledger
) -> None:
    _, before, codes = await enrol(people, grace)
    session = await people.show_code((await begin(people, grace)).token, f" {codes[3].upper()} ", ADDRESS)
    assert await people.actor_of_session(session.token) is not None
    assert await people.actor_of_session(before) is None
    with pytest.raises(FactorRefused):
        await people.show_code((await begin(people, grace)).token, codes[3], ADDRESS)
    await people.settled()
    assert "one of its recovery codes" in outbox.to(grace.email)[-1]
    assert (await people.factors_of(session.actor))[1] == 9
    [used] = [event for event in await entries(database, ledger, grace) if event.kind == "people:recovery:used"]
    assert (used.payload or {})["address"] == ADDRESS


@pytest.mark.asvs("V6.5.2")
async def test_what_is_kept_tells_nobody_a_code(people: People, grace: User, database: ServedDatabase) -> None:
    secret, _, codes = await enrol(people, grace)
    async with database.transaction(Space(grace.tenant)) as connection:
        told = ""
        for table in ("factor", "recovery_code", "challenge", "session"):
            rows = await (await connection.execute(f"select t::text as held from {table} t".encode())).fetchall()
            told += "".join(row["held"] for row in rows)
    assert len(told) > 500
    for kept in (secret.hex(), *codes, *(code.replace("-", "").encode().hex() for code in codes)):
        assert kept not in told


@pytest.mark.asvs("V7.5.1")
async def test_a_session_is_fresh_for_five_minutes_and_again_by_the_factor(people: People, grace: User) -> None:
    secret, token, _ = await enrol(people, grace)
    actor = await people.actor_of_session(token)
    assert actor is not None
    assert await people.is_fresh(actor)
    with clock.moved(timedelta(minutes=5, seconds=1)):
        assert not await people.is_fresh(actor)
        assert await people.ask_again(token)
        owed = await people.owed(token)
        assert owed is not None
        assert owed.is_again
        renewed = await people.show_code(token, code_now(secret), ADDRESS)
        assert await people.actor_of_session(token) is None, "a fresh sign-in has a secret of its own (ASVS 7.2.4)"
        again = await people.actor_of_session(renewed.token)
        assert again is not None
        assert again.session_id == actor.session_id
        assert await people.is_fresh(again)


@pytest.mark.asvs("V7.5.1")
async def test_who_knows_the_link_alone_adds_no_factor(people: People, grace: User) -> None:
    await enrol(people, grace)
    challenge = await begin(people, grace)
    for asked in (people.enrolling(challenge.token), people.enrol_app(challenge.token, "123456", ADDRESS),
                  people.passkey_creation(challenge.token)):  # fmt: skip
        with pytest.raises(ChallengeOver):
            await asked


async def test_the_last_factor_of_staff_stays(people: People, grace: User) -> None:
    _, token, _ = await enrol(people, grace)
    actor = await people.actor_of_session(token)
    assert actor is not None
    [held], _ = await people.factors_of(actor)
    with pytest.raises(LastFactor):
        await people.remove_factor(actor, held.id, ADDRESS)
    assert await people.begin_enrolment(token)
    key, _ = await people.enrolling(token)
    added = await people.enrol_app(token, code_now(secret_of(key)), ADDRESS)
    assert added.codes == (), "those there are stay"
    assert len((await people.factors_of(actor))[0]) == 2
    await people.remove_factor(actor, held.id, ADDRESS)
    assert held.id not in {each.id for each in (await people.factors_of(actor))[0]}


async def test_a_patient_owes_one_only_where_they_set_it_up(
    people: People, ada: Subject, outbox: Outbox, new_email: str
) -> None:
    made = await people.invite_subject(permit_for(ada.tenant, "invite"), ada.id, new_email)
    begun = await people.register_subject(made.secret, "Ada Lovelace", date(1815, 12, 10), made.code, "", ADDRESS)
    await people.start_sign_in(new_email, "2001:db8:7::1")
    await people.settled()
    assert isinstance(await people.sign_in(outbox.secret_to(new_email), ADDRESS), Session)
    assert await people.begin_enrolment(begun.token)
    key, _ = await people.enrolling(begun.token)
    await people.enrol_app(begun.token, code_now(secret_of(key)), ADDRESS)
    await people.start_sign_in(new_email, "2001:db8:7::2")
    await people.settled()
    challenge = await people.sign_in(outbox.secret_to(new_email), ADDRESS)
    assert isinstance(challenge, Challenge)
    session = await people.show_code(challenge.token, code_now(secret_of(key), 1), ADDRESS)
    assert (session.actor.kind, session.actor.subject_id) == ("patient", ada.id)


@pytest.mark.asvs("V6.4.4")
async def test_two_others_let_back_in_who_lost_it(
    people: People, hospital: Organisation, practice: Organisation, grace: User, outbox: Outbox
) -> None:
    own = await acting(people, grace)
    token, codes = await enrolled_beside(people, own)
    others = [
        await people.add_user(permit_for(hospital.id), hospital.id, f"{n}-{grace.id.hex[-8:]}@x.example", n, "admin")
        for n in ("First", "Second")
    ]
    first, second = [await acting(people, each) for each in others]
    with pytest.raises(OwnAssignment):
        await people.ask_reset(own, grace.id)
    asked = await people.ask_reset(first, grace.id)
    with pytest.raises(ResetWaits):
        await people.ask_reset(second, grace.id)
    assert [each.id for each in await people.resets(second)] == [asked.id]
    assert await people.resets(permit_for(practice.id)) == []
    for nobody in (first, own):
        with pytest.raises(OwnAssignment):
            await people.agree_reset(nobody, asked.id)
    await people.agree_reset(second, asked.id)
    assert await people.actor_of_session(token) is None
    with pytest.raises(FactorNotFound):
        await people.agree_reset(second, asked.id)
    await people.settled()
    assert "First asked for it, and Second agreed" in outbox.to(grace.email)[-1]
    challenge = await begin(people, grace)
    assert challenge.needs == "enrolment"
    with pytest.raises(FactorRefused):
        await people.enrol_app(challenge.token, codes[0], ADDRESS)
    assert (await complete(people, challenge)).actor.id == grace.id


async def enrolled_beside(people: People, permit: Permit) -> tuple[str, tuple[str, ...]]:
    """One more session of a member, and new recovery codes."""
    link = await people.issue_sign_in_link(permit_for(permit.tenant), permit.actor.id)
    session = await come_in(people, link.rpartition("/")[2], ADDRESS)
    return session.token, await people.renew_codes(session.actor, ADDRESS)


async def acting(people: People, user: User) -> Permit:
    """A permit of a member, as the policy would make it."""
    link = await people.issue_sign_in_link(permit_for(user.tenant), user.id)
    session = await come_in(people, link.rpartition("/")[2], ADDRESS)
    return replace(permit_for(user.tenant, "end_access"), actor=session.actor)
