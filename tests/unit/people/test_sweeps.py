"""What is over goes, in pieces, of each organisation by itself; when somebody was here last stays."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from tests.common.arrivals import come_in
from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADDRESS, permit_for
from troth.kit import clock
from troth.kit.db import Connection
from troth.kit.errors import TrothError
from troth.people import Organisation, People, sweeps, sweeps_store

LATER = timedelta(days=3)


async def sessions(database: ServedDatabase, house: Organisation) -> set[UUID]:
    async with database.transaction(house) as connection:
        return {row["id"] for row in await (await connection.execute("select id from session")).fetchall()}


async def token(people: People, house: Organisation, lifetime: timedelta = timedelta(hours=1)) -> UUID:
    bearer = await people.bearer_of_token(
        await people.issue_token(permit_for(house.id), house.id, "clinician", "care", lifetime)
    )
    assert bearer is not None
    assert bearer.actor.id is not None
    return bearer.actor.id


async def test_it_goes_in_pieces_and_what_is_not_over_stays(
    people: People, hospital: Organisation, database: ServedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = {await token(people, hospital) for _ in range(7)}
    kept = await token(people, hospital, timedelta(days=30))
    delete, went = sweeps_store.delete_over, []

    async def counted(connection: Connection, table: str, *given: object) -> int:
        some = await delete(connection, table, *given)  # type: ignore[arg-type]
        went.append((table, some))
        return some

    monkeypatch.setattr(sweeps, "MOST", 3)
    monkeypatch.setattr(sweeps_store, "delete_over", counted)
    assert await people.sweep() == 0 or not over - await sessions(database, hospital)
    with clock.moved(LATER):
        assert await people.sweep() >= len(over)
    there = await sessions(database, hospital)
    assert (there & over, kept in there) == (set(), True)
    assert max(some for _, some in went) == 3
    assert [some for table, some in went if table == "session"].count(3) >= 2


async def test_when_a_member_was_here_last_is_kept(
    people: People, hospital: Organisation, database: ServedDatabase, new_email: str
) -> None:
    permit = permit_for(hospital.id)
    user = await people.add_user(permit, hospital.id, new_email, "Grace Hopper", "clinician")
    link = await people.issue_sign_in_link(permit, user.id)
    session = await come_in(people, link.rpartition("/")[2], ADDRESS)
    before = (await people.last_here(permit))[user.id]
    with clock.moved(LATER):
        await people.sweep()
    assert session.actor.session_id not in await sessions(database, hospital)
    assert (await people.last_here(permit))[user.id] == before


async def test_what_one_organisation_meets_keeps_no_other_back(
    people: People, hospital: Organisation, practice: Organisation, database: ServedDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    note = sweeps_store.note_last_here
    for broken, other in ((hospital, practice), (practice, hospital)):
        stays, goes = await token(people, broken), await token(people, other)

        async def noted(connection: Connection, *given: object, house: Organisation = broken) -> None:
            row = await (await connection.execute("select current_setting('app.tenant') as tenant")).fetchone()
            if row is not None and row["tenant"] == str(house.id):
                raise TrothError
            await note(connection, *given)  # type: ignore[arg-type]

        monkeypatch.setattr(sweeps_store, "note_last_here", noted)
        with clock.moved(LATER), pytest.raises(TrothError):
            await people.sweep()
        assert goes not in await sessions(database, other)
        assert stays in await sessions(database, broken)


async def test_the_sessions_that_are_over_have_an_index_by_what_is_asked(database: ServedDatabase) -> None:
    async with database.transaction(None) as connection:
        cursor = await connection.execute("select indexdef from pg_indexes where indexname = 'session_over'")
        row = await cursor.fetchone()
    assert row is not None
    asked = sweeps_store.OF_TENANT["session"].partition(" < ")[0]
    assert row["indexdef"].lower().endswith(f"(tenant, {asked})")
