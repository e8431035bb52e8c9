"""A commitment is a promise about bytes that were read back; a request for one outlives the process that took it."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.common.servers import ServedDatabase
from tests.unit.archive.rooms import Rooms, open_rooms
from tests.unit.archive.rooms import instance as ct
from troth.archive import WrongPermit
from troth.archive.committing import CANNOT_BE_READ, CLASS_DIFFERS, NO_SUCH_INSTANCE
from troth.kit import clock
from troth.policy import Actor
from troth.vault import Keyring
from troth.vault.segments import Place

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(scope="module")
async def rooms(database: ServedDatabase, tmp_path_factory: pytest.TempPathFactory) -> Rooms:
    folder = tmp_path_factory.mktemp("committing")
    return await open_rooms(database, Keyring.open(folder / "keys", create=True), folder)


async def flip(rooms: Rooms, instance_uid: str, column: str) -> None:
    """One bit on the disk turns round."""
    async with rooms.database.transaction(rooms.hospital) as connection:
        cursor = await connection.execute(
            "select head_locator, bulk_locator from instance where instance_uid = %s", (instance_uid,)
        )
        (row,) = await cursor.fetchall()
    extent = Place.decode(bytes(row[column])).extents[0]
    with (rooms.packs.folder.path / f"{extent.pack_id.hex()}.pack").open("r+b") as pack:
        pack.seek(extent.offset + extent.length // 2)
        byte = pack.read(1)[0]
        pack.seek(-1, os.SEEK_CUR)
        pack.write(bytes([byte ^ 1]))


@pytest.mark.conformance("N-EVENT-REPORT *", "commitment failure reasons")
async def test_only_what_is_read_back_and_right_is_committed_to(rooms: Rooms) -> None:
    stored = [(await rooms.store(ct()))[0].instance_uid for _ in range(3)]
    (foreign,) = await rooms.store(ct(), organisation=rooms.other)
    await flip(rooms, stored[1], "head_locator")
    await flip(rooms, stored[2], "bulk_locator")
    asked = [(CT, uid) for uid in stored] + [("1.2.3", stored[0]), (CT, "1.2.3.4"), (CT, foreign.instance_uid)]
    verdict = await rooms.archive.commitments.verify(await rooms.may_store(), asked)
    assert verdict.held == ((CT, stored[0]),)
    assert verdict.failed == (
        (CT, stored[1], CANNOT_BE_READ),
        (CT, stored[2], CANNOT_BE_READ),
        ("1.2.3", stored[0], CLASS_DIFFERS),
        (CT, "1.2.3.4", NO_SUCH_INSTANCE),
        (CT, foreign.instance_uid, NO_SUCH_INSTANCE),
    )


async def test_what_was_erased_is_not_committed_to(rooms: Rooms) -> None:
    (outcome,) = await rooms.store(ct())
    commitments, permit = rooms.archive.commitments, await rooms.may_store()
    wanted = [(CT, outcome.instance_uid)]
    assert (await commitments.verify(permit, wanted)).failed == ()
    target = await rooms.archive.target(rooms.actor("clinician"), outcome.study_uid)
    assert target.id is not None
    assert target.subject_id is not None
    await rooms.archive.erase_study(rooms.may_erase(target.id, target.subject_id), target.id)
    assert (await commitments.verify(permit, wanted)).failed == ((CT, outcome.instance_uid, NO_SUCH_INSTANCE),)


async def test_a_request_is_durable_taken_by_one_and_told_once(rooms: Rooms) -> None:
    commitments, permit = rooms.archive.commitments, await rooms.may_store()
    system = Actor(kind="system", tenant=rooms.hospital.id)
    made = await commitments.ask(permit, "1.2.3", "TROTH", [(CT, "1.2.3.4")])
    assert await commitments.take_due(system) == [], "whoever took it answers first"
    assert await commitments.take_due(Actor(kind="system", tenant=rooms.other.id)) == []
    with clock.moved(timedelta(minutes=1)):
        (due,) = await commitments.take_due(system)
        assert (due.id, due.items, due.tries) == (made.id, made.items, 1)
        assert await commitments.take_due(system) == [], "nobody else takes it meanwhile"
        await commitments.put_off(due)
    with clock.moved(timedelta(minutes=10)):
        (due,) = await commitments.take_due(system)
        permit = await rooms.may_store()
        await commitments.told(permit, due, await commitments.verify(permit, due.items))
    with clock.moved(timedelta(hours=2)):
        assert await commitments.take_due(system) == []
    (event,) = await rooms.events("archive:commitment:answered")
    assert event.counts == {"instances": 1, "failed": 1}


async def test_asked_again_it_is_answered_again_and_after_three_days_not_any_more(rooms: Rooms) -> None:
    commitments, permit = rooms.archive.commitments, await rooms.may_store()
    system = Actor(kind="system", tenant=rooms.hospital.id)
    first = await commitments.ask(permit, "1.2.4", "TROTH", [(CT, "1.2.3.4")])
    again = await commitments.ask(permit, "1.2.4", "TROTH", [(CT, "1.2.3.5")])
    assert again.id == first.id
    with clock.moved(timedelta(minutes=1)):
        (due,) = await commitments.take_due(system)
        assert due.items == ((CT, "1.2.3.5"),)
    with clock.moved(timedelta(days=4)):
        await commitments.put_off(due)
        assert await commitments.take_due(system) == []


async def test_a_permit_for_something_else_is_none(rooms: Rooms) -> None:
    permit = replace(await rooms.may_store(), action="query")
    with pytest.raises(WrongPermit):
        await rooms.archive.commitments.verify(permit, [])
    with pytest.raises(WrongPermit):
        await rooms.archive.commitments.ask(permit, "1.2.5", "TROTH", [])
