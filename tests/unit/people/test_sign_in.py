"""One-time links."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.common.arrivals import come_in
from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADDRESS, Outbox, permit_for
from troth.kit import clock, ids
from troth.kit.mail import MailNotSent
from troth.people import (
    EmailMalformed,
    Organisation,
    People,
    SignInLinkOver,
    StandingNeeded,
    StandingNotFound,
    User,
    sign_in,
)
from troth.people.sign_in import network_of


@pytest.fixture
async def grace(people: People, hospital: Organisation, new_email: str) -> User:
    return await people.add_user(permit_for(hospital.id), hospital.id, new_email, "Grace Hopper", "clinician")


def new_address() -> str:
    """An address of a network of its own."""
    number = uuid4().hex
    return f"2001:db8:{number[:4]}:{number[4:8]}::1"


async def mailed_secret(people: People, outbox: Outbox, email: str) -> str:
    await people.start_sign_in(email, new_address())
    await people.settled()
    return outbox.secret_to(email)


async def test_a_mailed_link_signs_in_once(people: People, outbox: Outbox, grace: User, hospital: Organisation) -> None:
    secret = await mailed_secret(people, outbox, grace.email)
    session = await come_in(people, secret, ADDRESS)
    actor = session.actor
    assert (actor.kind, actor.id, actor.tenant, actor.role) == ("user", grace.id, hospital.id, "clinician")
    assert (actor.name, actor.organisation) == ("Grace Hopper", "Northern Hospital")
    assert await people.actor_of_session(session.token) == actor
    with pytest.raises(SignInLinkOver):
        await come_in(people, secret, ADDRESS)
    assert await people.actor_of_session(session.token) == actor


@pytest.mark.asvs("V2.3.4")
async def test_many_at_once_with_one_link(people: People, outbox: Outbox, grace: User) -> None:
    secret = await mailed_secret(people, outbox, grace.email)
    outcomes = await asyncio.gather(*(come_in(people, secret, ADDRESS) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(outcome, SignInLinkOver) for outcome in outcomes) == 5


@pytest.mark.asvs("V6.4.1", "V6.5.5")
async def test_a_link_lasts_a_quarter_of_an_hour(people: People, outbox: Outbox, grace: User) -> None:
    late, early = await mailed_secret(people, outbox, grace.email), await mailed_secret(people, outbox, grace.email)
    with clock.moved(timedelta(minutes=14, seconds=55)):
        await come_in(people, early, ADDRESS)
    with clock.moved(timedelta(minutes=15, seconds=5)):
        with pytest.raises(SignInLinkOver):
            await come_in(people, late, ADDRESS)


async def test_what_was_never_made_is_over(people: People) -> None:
    for secret in (ids.secret(32), "", "x" * 10_000, "é"):
        with pytest.raises(SignInLinkOver):
            await come_in(people, secret, ADDRESS)


async def test_who_is_unknown_gets_the_same_answer_and_no_mail(people: People, outbox: Outbox, grace: User) -> None:
    unknown = f"nobody-{uuid4().hex[:6]}@example.org"
    await people.start_sign_in(unknown, new_address())
    await people.start_sign_in(grace.email, new_address())
    await people.settled()
    assert outbox.to(unknown) == []
    assert len(outbox.to(grace.email)) == 1


async def test_the_answer_does_not_wait_for_the_mail(people: People, outbox: Outbox, grace: User) -> None:
    await people.start_sign_in(grace.email, new_address())
    assert outbox.to(grace.email) == []
    await people.settled()
    assert len(outbox.to(grace.email)) == 1


async def test_who_asks_too_often_is_sent_no_more_and_nobody_is_kept_out(
    people: People, outbox: Outbox, grace: User, caplog: pytest.LogCaptureFixture
) -> None:
    from_there, elsewhere = new_address(), new_address()
    for number in range(8):
        await people.start_sign_in(grace.email if number % 2 else f" {grace.email.upper()} ", from_there)
    await people.settled()
    assert len(outbox.to(grace.email)) == 5, "answered alike, and no mail beyond the limit"
    open_link = outbox.secret_to(grace.email)
    assert (await come_in(people, open_link, ADDRESS)).actor.id == grace.id, "open links go on working"
    await people.start_sign_in(grace.email, elsewhere)
    await people.settled()
    assert len(outbox.to(grace.email)) == 6, "the limit is of who asks, not of whom is asked for"
    with clock.moved(timedelta(minutes=16)):
        await people.start_sign_in(grace.email, from_there)
        await people.settled()
    assert len(outbox.to(grace.email)) == 7
    [told] = [record.getMessage() for record in caplog.records if "no more links" in record.getMessage()]
    assert grace.email not in told
    assert from_there not in told


@pytest.mark.asvs("V2.4.1")
async def test_a_mailbox_is_not_flooded_from_many_networks(people: People, outbox: Outbox, grace: User) -> None:
    for _ in range(25):
        await people.start_sign_in(grace.email, new_address())
    await people.settled()
    assert len(outbox.to(grace.email)) == 20


async def test_a_house_behind_one_address_has_a_link_for_each_of_its_people(
    people: People, outbox: Outbox, grace: User, hospital: Organisation
) -> None:
    house = new_address()
    for _ in range(40):
        await people.start_sign_in(f"nobody-{uuid4().hex}@example.org", house)
    await people.start_sign_in(grace.email, house)
    await people.start_sign_in(grace.email, house)
    await people.settled()
    assert len(outbox.to(grace.email)) == 1


async def test_what_is_kept_of_who_asks_is_bounded(
    people: People, database: ServedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, buckets = new_address(), 1 << 28
    monkeypatch.setattr(sign_in, "BUCKETS", buckets)  # of 300 in the usual number, two are often in one

    async def kept() -> tuple[int, int]:
        asked = "select (select count(*) from sign_in_ask) as n, (select max(bucket) from attempt) as most"
        async with database.transaction(None) as connection:
            row = await (await connection.execute(asked.encode())).fetchone()
        assert row is not None
        return row["n"], row["most"]

    asked_before, _ = await kept()
    for _ in range(300):
        await people.start_sign_in(f"nobody-{uuid4().hex}@example.org", house)
    before, most = await kept()
    for _ in range(50):
        await people.start_sign_in(f"nobody-{uuid4().hex}@example.org", house)
    assert before == asked_before + 300
    assert (await kept())[0] == before, "from then on each new address typed is no new question"
    assert most < 3 * buckets, "and attempts are counted in as many rows as there are buckets"


@pytest.mark.asvs("V4.1.3")
@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_a_network_is_what_one_line_has(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_no_address_no_attempt(people: People) -> None:
    with pytest.raises(EmailMalformed):
        await people.start_sign_in("not an address", new_address())


async def test_mail_that_fails_is_told_without_the_address(
    people: People, grace: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(*_: object) -> str:
        raise MailNotSent

    monkeypatch.setattr(people._mail, "send", refuse)
    await people.start_sign_in(grace.email, new_address())
    await people.settled()
    assert "mail-not-sent" in caplog.text
    assert grace.email not in caplog.text


async def test_a_mail_holds_no_name_and_its_subject_nothing_personal(
    people: People, outbox: Outbox, grace: User
) -> None:
    await mailed_secret(people, outbox, grace.email)
    assert "Grace" not in outbox.to(grace.email)[-1]


@pytest.mark.asvs("V6.5.2")
async def test_only_digests_are_kept(people: People, outbox: Outbox, grace: User, database: ServedDatabase) -> None:
    secret = await mailed_secret(people, outbox, grace.email)
    session = await come_in(people, secret, ADDRESS)
    async with database.transaction(session.actor) as connection:
        cursor = await connection.execute(
            "select string_agg(t::text, '') || (select string_agg(s::text, '') from session s) as held "
            "from sign_in_link t"
        )
        row = await cursor.fetchone()
    assert row is not None
    for kept in (secret, session.token, session.token[32:]):
        assert kept not in row["held"]
        assert kept.encode().hex() not in row["held"]


async def test_staff_of_two_organisations_moves_between_them(
    people: People, outbox: Outbox, grace: User, practice: Organisation
) -> None:
    await people.add_user(permit_for(practice.id), practice.id, grace.email, "G. Hopper", "admin")
    secret = await mailed_secret(people, outbox, grace.email)
    found = {one.organisation: one for one in await people.people_at(secret)}
    assert {name: one.name for name, one in found.items()} == {
        "Northern Hospital": "Grace Hopper",
        "Southern Practice": "G. Hopper",
    }
    with pytest.raises(StandingNeeded):
        await people.sign_in(secret, ADDRESS)
    with pytest.raises(StandingNotFound):
        await people.sign_in(secret, ADDRESS, "user-nobody")
    second = await come_in(people, secret, ADDRESS, found["Southern Practice"].key)
    assert (second.actor.tenant, second.actor.role, second.actor.name) == (practice.id, "admin", "G. Hopper")
    assert await people.actor_of_session(second.token) == second.actor


async def test_a_link_from_an_administrator_leads_nowhere_else(
    people: People, grace: User, hospital: Organisation, practice: Organisation
) -> None:
    await people.add_user(permit_for(practice.id), practice.id, grace.email, "G. Hopper", "admin")
    link = await people.issue_sign_in_link(permit_for(practice.id), grace.id)
    secret = link.rpartition("/")[2]
    assert [one.organisation_id for one in await people.people_at(secret)] == [practice.id]
    session = await come_in(people, secret, ADDRESS)
    assert session.actor.tenant == practice.id
    assert await people.actor_of_session(session.token) == session.actor
