"""Sweeping and rechecking: what a killed process leaves goes, what is named stays, what is broken is seen."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Any

import pytest

from tests.common.servers import ServedDatabase
from tests.unit.archive.rooms import MINUTE, Rooms, open_rooms
from tests.unit.archive.rooms import instance as ct
from troth.archive import Choice, StoredBytesBroken, UpkeepRunning
from troth.kit import clock, ids
from troth.people import Demographics, PatientKey
from troth.policy import Actor, Permit, Target
from troth.vault import Keyring, Packs
from troth.vault.segments import Place

NONE = timedelta(0)


def may_administer(tenant: object = None) -> Permit:
    """As `main` gets it for the operator."""
    now = clock.now()
    system = Actor("system", ids.uuid7(), tenant, "operator")  # type: ignore[arg-type]
    kind = "organisation" if tenant else "platform"
    target = Target(kind, tenant, tenant)  # type: ignore[arg-type]
    return Permit(system, "administer", target, "administration", ("4.5",), "", "test", ids.uuid7(), now, now + MINUTE)


@pytest.fixture(scope="module")
async def rooms(database: ServedDatabase, tmp_path_factory: pytest.TempPathFactory) -> Rooms:
    """With a keyring of their own: of the common one, other tests' databases name the keys."""
    folder = tmp_path_factory.mktemp("upkeep")
    return await open_rooms(database, Keyring.open(folder / "keys", create=True), folder)


async def test_what_nobody_names_goes_and_what_is_named_stays(rooms: Rooms) -> None:
    keyring = rooms.keyring
    await rooms.store(ct(PatientID="SWEEP-1"))
    before = await rooms.archive.upkeep.sweep(may_administer(), grace=NONE, key_grace=NONE)
    assert before.pieces == 0, "the pack of a living process is left alone"
    # A process dies: bytes without a row, a key without a row, a subject without a study.
    dead = Packs(rooms.packs.folder.path)
    writer = dead.writer()
    writer.feed(os.urandom(700_000))
    writer.finish()
    await dead.sync()
    dead.close()
    orphan_key = keyring.create(rooms.hospital.key)
    subject = await rooms.people.ensure_subject(rooms.hospital.id, PatientKey("LONE-1", "X"), Demographics("L^One"))
    dry = await rooms.archive.upkeep.sweep(may_administer(), grace=NONE, key_grace=NONE, is_dry=True)
    assert (dry.pieces, dry.bytes > 700_000, dry.subjects) == (1, True, 1)
    assert dry.keys >= 1

    swept = await rooms.archive.upkeep.sweep(may_administer(), grace=NONE, key_grace=NONE)
    assert (swept.pieces, swept.subjects) == (1, 1)
    assert not keyring.is_alive(orphan_key)
    assert not keyring.is_alive(subject.key)
    assert not keyring.is_alive(subject.audit_key)
    again = await rooms.archive.upkeep.sweep(may_administer(), grace=NONE, key_grace=NONE, is_thorough=True)
    assert again.is_clean
    rechecked = await rooms.archive.upkeep.recheck(may_administer(rooms.hospital.id))
    assert rechecked.broken == []
    assert rechecked.instances >= 1
    for house in (rooms.hospital, rooms.other):
        assert keyring.is_alive(house.key)
    freed = [event async for event in _platform_events(rooms, "archive:leftovers:freed")]
    assert freed[0].counts["pieces"] == 1


async def _platform_events(rooms: Rooms, kind: str):  # type: ignore[no-untyped-def]
    async with rooms.database.transaction(None) as connection:
        for event in await rooms.ledger.latest(connection, kinds=[kind], limit=10):
            yield event


async def test_what_is_young_is_left_alone(rooms: Rooms) -> None:
    keyring = rooms.keyring
    dead = Packs(rooms.packs.folder.path)
    writer = dead.writer()
    writer.feed(b"x" * 5000)
    writer.finish()
    dead.close()
    key = keyring.create(rooms.hospital.key)
    subject = await rooms.people.ensure_subject(rooms.hospital.id, PatientKey("YOUNG", "X"), Demographics("Y^Oung"))
    swept = await rooms.archive.upkeep.sweep(may_administer())
    assert swept.is_clean
    assert keyring.is_alive(key)
    assert keyring.is_alive(subject.key)
    await rooms.archive.upkeep.sweep(may_administer(), grace=NONE, key_grace=NONE)


async def test_a_subject_that_goes_meanwhile_makes_the_batch_look_again(rooms: Rooms) -> None:
    storing = [rooms.store(ct(PatientID=f"RACE-{number}")) for number in range(6)]
    sweeping = [rooms.archive.upkeep.sweep(may_administer(), grace=NONE) for _ in range(1)]
    done = await asyncio.gather(*storing, *sweeping)
    assert all(outcome.state == "stored" for outcomes in done[:6] for outcome in outcomes)  # type: ignore[union-attr]
    rechecked = await rooms.archive.upkeep.recheck(may_administer(rooms.hospital.id))
    assert rechecked.broken == []


async def test_only_one_sweeps(rooms: Rooms) -> None:
    upkeep = rooms.archive.upkeep
    async with upkeep.alone():
        with pytest.raises(UpkeepRunning):
            await upkeep.sweep(may_administer())


async def test_a_broken_instance_is_found_told_and_never_served_as_whole(rooms: Rooms) -> None:
    [outcome] = await rooms.store(ct(PatientID="BROKEN-1"))
    async with rooms.database.transaction(rooms.hospital) as connection:
        cursor = await connection.execute(
            "select id, bulk_locator from instance where instance_uid = %s", (outcome.instance_uid,)
        )
        (row,) = await cursor.fetchall()
    _flip(rooms, bytes(row["bulk_locator"]))
    rechecked = await rooms.archive.upkeep.recheck(may_administer(rooms.hospital.id))
    assert [(one.instance_id, one.what) for one in rechecked.broken] == [(row["id"], "seal-broken")]
    [event] = await rooms.events("archive:instance:found_broken")
    assert event.outcome == "failed"

    permit = await rooms.may_open(outcome.study_uid)
    viewing = await rooms.archive.open_study(permit, outcome.study_uid)
    [instance] = await viewing.instances()
    with pytest.raises(StoredBytesBroken):
        [chunk async for chunk in viewing.part10(instance)]
    with pytest.raises(StoredBytesBroken):
        await viewing.frame(instance, 1)
    assert len(await rooms.archive.upkeep.known_broken(may_administer(rooms.hospital.id))) == 1
    assert len(await rooms.events("archive:instance:found_broken")) == 1, "it is told once"

    _flip(rooms, bytes(row["bulk_locator"]))  # the disk was mended
    again = await rooms.archive.upkeep.recheck(may_administer(rooms.hospital.id))
    assert (again.broken, again.mended) == ([], 1)
    assert await rooms.archive.upkeep.known_broken(may_administer(rooms.hospital.id)) == []


async def test_a_broken_instance_that_is_sent_again_is_whole_again(rooms: Rooms) -> None:
    file = ct(PatientID="HEAL")
    [stored] = await rooms.store(file)
    permit = may_administer(rooms.hospital.id)
    row = await _row(rooms, stored.instance_uid)
    _flip(rooms, bytes(row["head_locator"]))
    [again] = await rooms.store(file)
    assert again.state == "already_held"  # nobody has found out: it is as good as it was
    assert (await _row(rooms, stored.instance_uid))["head_locator"] == row["head_locator"]
    await rooms.archive.upkeep.recheck(permit)
    assert [one.instance_id for one in await rooms.archive.upkeep.known_broken(permit)] == [row["id"]]
    outcomes = await asyncio.gather(rooms.store(file), rooms.store(file), rooms.store(ct(PatientID="HEAL")))
    assert [one.state for [one] in outcomes] == ["already_held", "already_held", "stored"]
    assert await rooms.archive.upkeep.known_broken(permit) == []
    [event] = await rooms.events("archive:instance:mended")
    assert (event.subject_id is not None, event.counts["instances"]) == (True, 1)
    rechecked = await rooms.archive.upkeep.recheck(permit, Choice(study_id=row["study_id"]))
    assert (rechecked.instances, rechecked.broken) == (1, [])
    assert (await _row(rooms, stored.instance_uid))["length_bytes"] == row["length_bytes"]


async def test_other_bytes_mend_nothing(rooms: Rooms) -> None:
    file = ct(PatientID="HURT")
    [stored] = await rooms.store(file)
    row = await _row(rooms, stored.instance_uid)
    _flip(rooms, bytes(row["bulk_locator"]))
    await rooms.archive.upkeep.recheck(may_administer(rooms.hospital.id))
    [other] = await rooms.store(file.replace(b"CT Chest with contrast", b"CT Chest NO-- contrast"))
    assert (other.state, other.is_kept) == ("refused", True)
    assert len(await rooms.archive.upkeep.known_broken(may_administer(rooms.hospital.id))) == 1
    _flip(rooms, bytes(row["bulk_locator"]))
    await rooms.archive.upkeep.recheck(may_administer(rooms.hospital.id))


async def test_a_row_whose_seal_is_broken_is_a_conflict_and_no_fault_of_ours(rooms: Rooms) -> None:
    file = ct(PatientID="TORN-SEAL")
    [stored] = await rooms.store(file)
    async with rooms.database.transaction(rooms.hospital) as connection:
        await connection.execute(
            "update instance set sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) where instance_uid = %s",
            (stored.instance_uid,),
        )
    [again] = await rooms.store(file)
    assert (again.state, again.is_kept) == ("refused", True)
    async with rooms.database.transaction(rooms.hospital) as connection:
        await connection.execute(
            "update instance set sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) where instance_uid = %s",
            (stored.instance_uid,),
        )


async def _row(rooms: Rooms, instance_uid: str) -> dict[str, Any]:
    async with rooms.database.transaction(rooms.hospital) as connection:
        [row] = await (
            await connection.execute(
                "select i.id, i.head_locator, i.bulk_locator, s.id as study_id, s.length_bytes from instance i"
                " join series r on r.tenant = i.tenant and r.id = i.series_id"
                " join study s on s.tenant = r.tenant and s.id = r.study_id where i.instance_uid = %s",
                (instance_uid,),
            )
        ).fetchall()
    return row


async def test_a_row_that_says_another_instance_is_found(rooms: Rooms) -> None:
    [outcome] = await rooms.store(ct(PatientID="SWAPPED-1"))
    async with rooms.database.transaction(rooms.hospital) as connection:
        await connection.execute(
            "update instance set sop_class = '1.2.840.10008.5.1.4.1.1.4' where instance_uid = %s",
            (outcome.instance_uid,),
        )
    rechecked = await rooms.archive.upkeep.recheck(may_administer(rooms.hospital.id))
    assert [one.what for one in rechecked.broken] == ["row-differs"]
    only = await rooms.archive.upkeep.recheck(may_administer(rooms.other.id), Choice())
    assert (only.instances, only.broken) == (0, [])


def _flip(rooms: Rooms, locator: bytes) -> None:
    extent = Place.decode(locator).extents[0]
    with (rooms.packs.folder.path / f"{extent.pack_id.hex()}.pack").open("r+b") as pack:
        pack.seek(extent.offset + extent.length // 2)
        byte = pack.read(1)[0]
        pack.seek(-1, os.SEEK_CUR)
        pack.write(bytes([byte ^ 1]))
