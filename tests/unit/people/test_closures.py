"""Closing an account of staff: who it was is destroyed, what they did stays, and a kill in between loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.common.arrivals import come_in
from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADDRESS, Happened, Outbox, permit_for
from troth.kit.db import Row
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.ledger import RowsAltered
from troth.people import AccountClosing, InvitationOver, Organisation, People, User, UserNotFound
from troth.people import closures_store as store
from troth.people.room import Account
from troth.policy import Actor, Permit
from troth.vault import KeyDestroyed, KeyRef, Keyring


class Killed(Exception):
    """The process ended here."""


async def row_of(database: ServedDatabase, account_id: UUID) -> Row | None:
    async with database.transaction(None) as connection:
        found = await connection.execute("select * from account where id = %s", (account_id,))
        return await found.fetchone()


async def member(people: People, place: Organisation, email: str, role: str = "clinician") -> User:
    return await people.add_user(permit_for(place.id), place.id, email, "Dr Unmistakable", role)


async def test_who_it_was_goes_and_what_they_did_stays(
    people: People, hospital: Organisation, database: ServedDatabase, keyring: Keyring, new_email: str,
    happened: Happened,
) -> None:  # fmt: skip
    permit = permit_for(hospital.id)
    user = await member(people, hospital, new_email)
    here = await come_in(people, (await people.issue_sign_in_link(permit, user.id)).rpartition("/")[2], ADDRESS)
    held = await row_of(database, user.id)
    assert held is not None
    assert keyring.unseal(KeyRef(held["key"]), held["email_sealed"], b"account:" + user.id.bytes).decode() == new_email
    ending = permit_for(hospital.id, "end_access")
    assert await people.close_member(ending, user.id)
    with pytest.raises(KeyDestroyed):
        keyring.unseal(KeyRef(held["key"]), held["email_sealed"], b"account:" + user.id.bytes)
    assert await row_of(database, user.id) is None
    assert await people.actor_of_session(here.token) is None
    closed = await people.user(permit, user.id)
    assert (closed.name, closed.email, closed.is_active) == ("A former colleague", "", False)
    found = [each for each in await happened(hospital) if (each.payload or {}).get("user") == str(user.id)]
    assert [each.kind for each in found][-2:] == ["people:member:ended", "people:account:closed"]
    with pytest.raises(UserNotFound):
        await people.close_member(ending, user.id)
    again = await member(people, hospital, new_email)
    assert (again.id != user.id, again.name) == (True, "Dr Unmistakable"), "whoever comes back is somebody new"


async def test_who_stands_elsewhere_loses_their_name_here_alone(
    people: People, hospital: Organisation, practice: Organisation, database: ServedDatabase, new_email: str
) -> None:
    user = await member(people, hospital, new_email)
    await member(people, practice, new_email)
    await people.end_user(permit_for(hospital.id, "end_access"), user.id)
    assert (await people.user(permit_for(hospital.id), user.id)).name == "Dr Unmistakable"
    assert not await people.close_member(permit_for(hospital.id, "end_access"), user.id)
    assert (await people.user(permit_for(hospital.id), user.id)).name == "A former colleague"
    there = await people.user(permit_for(practice.id), user.id)
    assert (there.name, there.email, there.is_active) == ("Dr Unmistakable", new_email, True)
    assert await people.resume_closures() == 0
    assert await row_of(database, user.id) is not None


@pytest.mark.parametrize("when", ["before the key", "before the row"])
async def test_what_a_kill_left_over_is_finished_later(
    people: People, hospital: Organisation, database: ServedDatabase, keyring: Keyring, new_email: str,
    monkeypatch: pytest.MonkeyPatch, when: str,
) -> None:  # fmt: skip
    async def killed(*_: object) -> None:
        raise Killed

    permit = permit_for(hospital.id)
    user = await member(people, hospital, new_email)
    with monkeypatch.context() as patch:
        place, name = (people, "_destroy") if when == "before the key" else (store, "delete_accounts")
        patch.setattr(place, name, killed)
        with pytest.raises(Killed):
            await people.close_member(permit_for(hospital.id, "end_access"), user.id)
    held = await row_of(database, user.id)
    assert held is not None
    assert (await people.user(permit, user.id)).name == "A former colleague"
    assert await people.resume_closures() == 1
    assert await row_of(database, user.id) is None
    with pytest.raises(KeyDestroyed):
        keyring.unseal(KeyRef(held["key"]), held["email_sealed"], b"account:" + user.id.bytes)


async def test_who_comes_back_before_it_is_finished_is_somebody_new(
    people: People, hospital: Organisation, new_email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> None:
        raise Killed

    user = await member(people, hospital, new_email)
    with monkeypatch.context() as patch:
        patch.setattr(people, "_destroy", killed)
        with pytest.raises(Killed):
            await people.close_member(permit_for(hospital.id, "end_access"), user.id)
    again = await member(people, hospital, new_email)
    assert again.id != user.id
    assert (await people.user(permit_for(hospital.id), user.id)).name == "A former colleague"


async def test_strangers_close_nothing(
    people: People, practice: Organisation, hospital: Organisation, new_email: str
) -> None:
    user = await member(people, hospital, new_email)
    for stranger in (permit_for(practice.id, "end_access"), permit_for(None, "end_access")):
        with pytest.raises(UserNotFound):
            await people.close_member(stranger, user.id)
    assert (await people.user(permit_for(hospital.id), user.id)).is_active


async def test_a_permit_for_something_else_ends_nothing(people: People, hospital: Organisation, new_email: str) -> None:
    user, other = await member(people, hospital, new_email), await member(people, hospital, f"other-{new_email}")
    own = replace(permit_for(hospital.id, "choose"), actor=Actor("user", other.id, hospital.id, other.role))
    asker = Actor("user", other.id, hospital.id, other.role)
    asked = await people.ask_reset(replace(permit_for(hospital.id, "end_access"), actor=asker), user.id)
    for permit in (permit_for(hospital.id), permit_for(hospital.id, "see_request"), own):
        for attempt in (
            people.close_member(permit, user.id), people.end_user(permit, user.id), people.ask_reset(permit, user.id),
            people.agree_reset(permit, asked.id), people.drop_reset(permit, asked.id),
        ):  # fmt: skip
            with pytest.raises(UserNotFound):
                await attempt
    assert (await people.user(permit_for(hospital.id), user.id)).is_active
    assert [each.id for each in await people.resets(permit_for(hospital.id)) if each.user_id == user.id] == [asked.id]
    assert await people.close_member(own, other.id), "one's own"


async def alter(postgres: EmbeddedServer, database: ServedDatabase, statement: str, *values: object) -> None:
    """As the superuser of the database, past every trigger."""
    async with database.transaction(None) as connection:
        row = await (await connection.execute("select current_database() as name")).fetchone()
    assert row is not None
    with psycopg.connect(postgres.dsn(SUPERUSER, row["name"]), autocommit=True) as past:
        past.execute("set session_replication_role = replica")
        assert past.execute(statement.encode(), values).rowcount == 1


@pytest.fixture
async def killed_closing(people: People, monkeypatch: pytest.MonkeyPatch) -> Callable[[Permit, UUID], Awaitable[None]]:
    """Close somebody's account by a process that is killed before the key goes."""

    async def killed(*_: object) -> None:
        raise Killed

    async def close(permit: Permit, user_id: UUID) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(people, "_destroy", killed)
            with pytest.raises(Killed):
                await people.close_member(permit, user_id)

    return close


@pytest.mark.parametrize("when", ["while they are here", "after they left", "while nobody says that they are here"])
async def test_closed_by_hand_destroys_nothing(
    people: People, hospital: Organisation, database: ServedDatabase, keyring: Keyring, new_email: str,
    postgres: EmbeddedServer, when: str,
) -> None:  # fmt: skip
    user = await member(people, hospital, new_email)
    if when == "after they left":
        await people.end_user(permit_for(hospital.id, "end_access"), user.id)
    if when == "while nobody says that they are here":
        await alter(postgres, database, "delete from standing where account_id = %s", user.id)
    await alter(postgres, database, "update account set closed_at = now() where id = %s", user.id)
    held = await row_of(database, user.id)
    assert held is not None
    if when == "while they are here":
        assert await people.resume_closures([user.id]) == 0
        with pytest.raises(AccountClosing):
            await member(people, hospital, new_email)
    else:
        for attempt in (people.resume_closures([user.id]), member(people, hospital, new_email)):
            with pytest.raises(RowsAltered):
                await attempt
    assert keyring.unseal(KeyRef(held["key"]), held["email_sealed"], b"account:" + user.id.bytes).decode() == new_email
    assert await row_of(database, user.id) is not None
    await alter(postgres, database, "update account set closed_at = null where id = %s", user.id)


@pytest.mark.parametrize("tagged", ["by hand", "by a row of our own"])
async def test_a_key_that_was_swapped_is_not_destroyed(
    people: People, hospital: Organisation, database: ServedDatabase, keyring: Keyring, new_email: str,
    postgres: EmbeddedServer, killed_closing: Callable[[Permit, UUID], Awaitable[None]], tagged: str,
) -> None:  # fmt: skip
    user, victim = await member(people, hospital, new_email), await member(people, hospital, f"victim-{new_email}")
    other = await member(people, hospital, f"other-{new_email}")
    ending = permit_for(hospital.id, "end_access")
    theirs = await row_of(database, victim.id)
    assert theirs is not None
    await killed_closing(ending, user.id)
    columns = "key" if tagged == "by hand" else "key, email_sealed, turn, tag, made_at"
    await alter(
        postgres, database, f"update account set ({columns}) = (select {columns} from account where id = %s)"
        " where id = %s", victim.id, user.id,
    )  # fmt: skip
    await killed_closing(ending, other.id)
    with pytest.raises(RowsAltered):
        await people.resume_closures([user.id, other.id])
    assert await row_of(database, other.id) is None, "what is as it was goes all the same"
    assert await row_of(database, user.id) is not None
    sealed = keyring.unseal(KeyRef(theirs["key"]), theirs["email_sealed"], b"account:" + victim.id.bytes)
    assert sealed.decode() == victim.email
    await alter(postgres, database, "delete from account where id = %s", user.id)


async def test_a_key_that_was_swapped_before_is_not_marked(
    people: People, hospital: Organisation, database: ServedDatabase, new_email: str, postgres: EmbeddedServer
) -> None:
    user, victim = await member(people, hospital, new_email), await member(people, hospital, f"victim-{new_email}")
    held = await row_of(database, user.id)
    assert held is not None
    swap = "update account set key = %s where id = %s"
    theirs = await row_of(database, victim.id)
    assert theirs is not None
    await alter(postgres, database, swap, theirs["key"], user.id)
    with pytest.raises(RowsAltered):
        await people.close_member(permit_for(hospital.id, "end_access"), user.id)
    await alter(postgres, database, swap, held["key"], user.id)
    assert (await people.user(permit_for(hospital.id), user.id)).is_active
    assert (await people.user(permit_for(hospital.id), victim.id)).name == "Dr Unmistakable"


async def test_where_it_was_taken_out_that_they_stand_elsewhere_nothing_is_destroyed(
    people: People, hospital: Organisation, practice: Organisation, database: ServedDatabase, new_email: str,
    postgres: EmbeddedServer,
) -> None:  # fmt: skip
    user = await member(people, hospital, new_email)
    await people.end_user(permit_for(hospital.id, "end_access"), user.id)
    await member(people, hospital, new_email)
    await member(people, practice, new_email)
    taken = "delete from standing where account_id = %s and organisation_id = %s"
    await alter(postgres, database, taken, user.id, hospital.id)
    with pytest.raises(RowsAltered):
        await people.close_member(permit_for(practice.id, "end_access"), user.id)
    held = await row_of(database, user.id)
    assert held is not None
    assert (await people.user(permit_for(hospital.id), user.id)).name != ""
    await alter(postgres, database, "delete from account where id = %s", user.id)


async def test_who_joins_while_their_account_is_closed_is_told_and_comes_in_the_next_time(
    people: People, hospital: Organisation, practice: Organisation, database: ServedDatabase, new_email: str,
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    user = await member(people, hospital, new_email)
    made = await people.invite_user(permit_for(practice.id), practice.id, new_email, "Dr Unmistakable", "referrer")
    account_for = people._account_for

    async def meanwhile(email: str) -> Account:
        found = await account_for(email)
        if await row_of(database, user.id) is not None:
            assert await people.close_member(permit_for(hospital.id, "end_access"), user.id)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(people, "_account_for", meanwhile)
        with pytest.raises(AccountClosing):
            await people.accept_invitation(outbox.secret_to(new_email), ADDRESS)
    assert await row_of(database, user.id) is None, "nothing is left that no key opens"
    await people.accept_invitation(made.secret, ADDRESS)
    here = [each for each in await people.users(permit_for(practice.id)) if each.email == new_email]
    assert [(each.is_active, each.id == user.id) for each in here] == [(True, False)]


async def test_whose_account_is_closed_while_they_join_elsewhere_keeps_it(
    people: People, hospital: Organisation, practice: Organisation, database: ServedDatabase, new_email: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    user = await member(people, hospital, new_email)
    join, closing = people._join, []

    async def slowly(*given: Any) -> bool:
        joined = await join(*given)
        if not closing:
            ending = permit_for(hospital.id, "end_access")
            closing.append(asyncio.create_task(people.close_member(ending, user.id)))
            await asyncio.sleep(0.3)
            assert not closing[0].done(), "it waits for whoever holds the account"
        return joined

    monkeypatch.setattr(people, "_join", slowly)
    there = await member(people, practice, new_email)
    assert await closing[0] is False
    assert there.id == user.id
    assert (await people.user(permit_for(practice.id), user.id)).email == new_email
    assert await row_of(database, user.id) is not None


async def test_closing_and_joining_many_times_at_once_leaves_nobody_half_there(
    people: People, hospital: Organisation, practice: Organisation, database: ServedDatabase, new_email: str
) -> None:
    for turn in range(5):
        email = f"{turn}-{new_email}"
        user = await member(people, hospital, email)
        ending = permit_for(hospital.id, "end_access")
        async with asyncio.timeout(20):
            went, joined = await asyncio.gather(
                people.close_member(ending, user.id), member(people, practice, email), return_exceptions=True
            )
        assert isinstance(went, bool)
        assert isinstance(joined, User | AccountClosing)
        again = joined if isinstance(joined, User) else await member(people, practice, email)
        assert (await people.user(permit_for(practice.id), again.id)).email == email
        assert (await row_of(database, user.id) is None) is went


async def test_no_address_of_a_closed_colleague_stays_readable(
    people: People, hospital: Organisation, database: ServedDatabase, new_email: str, outbox: Outbox,
    happened: Happened,
) -> None:  # fmt: skip
    permit = permit_for(hospital.id)
    await people.invite_user(permit, hospital.id, new_email, "Dr Unmistakable", "referrer")
    first = outbox.secret_to(new_email)
    twice = await people.invite_user(permit, hospital.id, new_email, "Dr Unmistakable", "referrer")
    stays = await people.invite_user(permit, hospital.id, f"other-{new_email}", "Dr Other", "referrer")
    await people.accept_invitation(first, ADDRESS)
    [user] = [each for each in await people.users(permit) if each.email == new_email]
    assert await people.close_member(permit_for(hospital.id, "end_access"), user.id)
    pending = {each.id: each.email for each in await people.invitations(permit)}
    assert new_email not in pending.values()
    assert stays.id in pending
    with pytest.raises(InvitationOver):
        await people.accept_invitation(twice.secret, ADDRESS)
    async with database.transaction(hospital) as connection:
        cursor = await connection.execute(
            "select id from invitation where kind = 'user' and invitee_sealed <> ''"
            " and used_at is null and withdrawn_at is null"
        )
        left = {row["id"] for row in await cursor.fetchall()}
        cursor = await connection.execute(
            "select count(*) as number from invitation where invitee_sealed <> '' and kind = 'user'"
        )
        row = await cursor.fetchone()
    assert (left, row) == (set(pending), {"number": len(pending)})
    assert not [(each.kind, each.payload) for each in await happened(hospital) if new_email in str(each.payload)]
