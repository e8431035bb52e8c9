"""Closing an account of staff: who it was is destroyed, what they did stays, and a kill in between loses nothing."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from tests.common.arrivals import come_in
from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADDRESS, Happened, permit_for
from troth.kit.db import Row
from troth.people import Organisation, People, User, UserNotFound
from troth.people import closures_store as store
from troth.policy import Actor
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
