"""A person decides: what is kept apart comes in as new, or in place of what is held."""

from __future__ import annotations

import asyncio
import os
from io import BytesIO
from typing import Any

import pydicom
import pytest

from tests.unit.archive.conflicts import (
    administering,
    groups,
    in_conflict,
    on_held,
    resolver,
    study_id,
    whole,
)
from tests.unit.archive.rooms import Rooms, instance
from troth.archive import CannotResolve, Choice, QuarantineGone, Query
from troth.archive import quarantine as room
from troth.archive import store as archive_store
from troth.vault.segments import Place


async def test_of_another_patient_it_becomes_a_study_of_its_own(rooms: Rooms) -> None:
    _first, others, study = await in_conflict(rooms, "other-patient", 2)
    await rooms.store(*others)
    [group] = await groups(rooms, study)
    resolved = await rooms.archive.quarantine.keep_as_new(await resolver(rooms), group.newest_id, is_whole_group=True)
    assert (resolved.done, resolved.left, resolved.more) == (2, 0, 0)
    assert await groups(rooms, study) == []
    [found] = [
        each
        for each in (await rooms.archive.query(await rooms.may_query(), Query(limit=1000))).found
        if each.study.patient_id == f"B-{study}"
    ]
    taken = await whole(rooms, found.study.study_uid)
    sent = [pydicom.dcmread(BytesIO(other)) for other in others]
    assert len(taken) == 2
    for one, was in zip(taken, sent, strict=True):
        assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID != was.SOPInstanceUID
        assert one.StudyInstanceUID == found.study.study_uid != study
        assert one.SeriesInstanceUID == taken[0].SeriesInstanceUID != was.SeriesInstanceUID
        assert all(uid.startswith("2.25.") for uid in (one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID))
        [history] = one.OriginalAttributesSequence
        [modified] = history.ModifiedAttributesSequence
        assert (modified.StudyInstanceUID, modified.SOPInstanceUID) == (study, was.SOPInstanceUID)
        assert (history.ReasonForTheAttributeModification, history.ModifyingSystem) == ("COERCE", "TROTH")
        assert (one.PixelData, one.PatientID) == (was.PixelData, was.PatientID)
    [held] = await whole(rooms, study)
    assert held.PatientID == f"A-{study}"
    events = [each for each in await rooms.events("archive:instance:released") if each.payload["study_uid"] == study]
    assert [each.counts["instances"] for each in events] == [2]
    # Whoever is taken in another day comes to the same study.
    later = instance(StudyInstanceUID=study, SeriesInstanceUID=sent[0].SeriesInstanceUID, PatientID=f"B-{study}")
    [outcome] = await rooms.store(later)
    assert outcome.is_kept
    [group] = await groups(rooms, study)
    assert (
        await rooms.archive.quarantine.keep_as_new(await resolver(rooms), group.newest_id, is_whole_group=False)
    ).done == 1
    assert len(await whole(rooms, found.study.study_uid)) == 3


async def test_of_another_study_it_gets_a_series_of_its_own(rooms: Rooms) -> None:
    _first, [other], study = await in_conflict(rooms, "other-study")
    await rooms.store(other)
    [group] = await groups(rooms, study)
    await rooms.archive.quarantine.keep_as_new(await resolver(rooms), group.newest_id, is_whole_group=True)
    [taken] = await whole(rooms, study)
    was = pydicom.dcmread(BytesIO(other))
    assert (taken.SOPInstanceUID, taken.StudyInstanceUID) == (was.SOPInstanceUID, study)
    assert taken.SeriesInstanceUID != was.SeriesInstanceUID
    assert taken.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].SeriesInstanceUID == was.SeriesInstanceUID


async def test_of_the_same_number_it_gets_a_number_of_its_own(rooms: Rooms) -> None:
    first, others, study = await in_conflict(rooms, "duplicate-differs", 2)
    await rooms.store(*others)
    [group] = await groups(rooms, study)
    resolved = await rooms.archive.quarantine.keep_as_new(await resolver(rooms), group.newest_id, is_whole_group=True)
    assert (resolved.done, resolved.left) == (2, 0)
    uids = {one.SOPInstanceUID for one in await whole(rooms, study)}
    was = pydicom.dcmread(BytesIO(first)).SOPInstanceUID
    assert len(uids) == 3
    assert was in uids
    assert len({one.SeriesInstanceUID for one in await whole(rooms, study)}) == 1


async def test_the_one_that_is_held_is_replaced_and_destroyed(rooms: Rooms) -> None:
    _first, [other], study = await in_conflict(rooms, "duplicate-differs")
    await rooms.store(other)
    [group] = await groups(rooms, study)
    permit = await resolver(rooms)
    on = await on_held(rooms, permit, group.newest_id)
    async with rooms.database.transaction(rooms.hospital) as connection:
        [old] = await (
            await connection.execute(
                "select head_locator, bulk_locator from instance i join series r on r.tenant = i.tenant"
                " and r.id = i.series_id join study s on s.id = r.study_id where s.study_uid = %s",
                (study,),
            )
        ).fetchall()
    await rooms.archive.quarantine.replace(permit, on, group.newest_id, "The first had the wrong time")
    [held] = await whole(rooms, study)
    assert held.ContentTime == pydicom.dcmread(BytesIO(other)).ContentTime
    assert (await rooms.events("archive:instance:replaced"))[0].payload["reason"] == "The first had the wrong time"
    for name in ("head_locator", "bulk_locator"):
        for extent in Place.decode(bytes(old[name])).extents:
            pack = rooms.packs.folder.find(extent.pack_id)
            assert os.pread(pack.fd, extent.length, extent.offset) == bytes(extent.length)
    with pytest.raises(QuarantineGone):
        await rooms.archive.quarantine.replace(permit, on, group.newest_id, "again")
    viewing = await rooms.archive.open_study(await rooms.may_open(study), study)
    [record] = await viewing.instances()
    await viewing.verify(record)
    assert viewing.study.length_bytes == record.length_bytes


@pytest.mark.parametrize("kind", ["other-patient", "other-study"])
async def test_what_is_of_somebody_else_replaces_nothing(rooms: Rooms, kind: str) -> None:
    _, [other], study = await in_conflict(rooms, kind)
    await rooms.store(other)
    [group] = await groups(rooms, study)
    permit = await resolver(rooms)
    with pytest.raises(CannotResolve):
        await rooms.archive.quarantine.replace(
            permit, await on_held(rooms, permit, group.newest_id), group.newest_id, "x"
        )
    assert len(await groups(rooms, study)) == 1


async def test_the_same_resolution_twice_at_once_is_made_once(rooms: Rooms) -> None:
    _, others, study = await in_conflict(rooms, "other-patient", 4)
    await rooms.store(*others)
    [group] = await groups(rooms, study)
    permit = await resolver(rooms)
    quarantine = rooms.archive.quarantine
    results = await asyncio.gather(
        *(quarantine.keep_as_new(permit, group.newest_id, is_whole_group=True) for _ in range(3)),
        return_exceptions=True,
    )
    done = [one.done for one in results if isinstance(one, room.Resolved)]
    assert sum(done) == 4, results
    assert all(isinstance(one, room.Resolved | QuarantineGone) for one in results)
    assert await groups(rooms, study) == []


async def test_what_is_destroyed_meanwhile_does_not_come_in(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    _, others, study = await in_conflict(rooms, "other-patient", 2)
    await rooms.store(*others)
    [group] = await groups(rooms, study)
    permit, look, looks = await resolver(rooms), archive_store.held, 0

    async def meanwhile(*arguments: Any, **wanted: Any) -> archive_store.Held:
        nonlocal looks
        looks += 1
        if looks == 1:
            await rooms.archive.quarantine.discard(permit, group.newest_id, is_whole_group=True)
        return await look(*arguments, **wanted)

    monkeypatch.setattr(archive_store, "held", meanwhile)
    resolved = await rooms.archive.quarantine.keep_as_new(permit, group.newest_id, is_whole_group=True)
    assert (resolved.done, looks > 0) == (0, True)
    page = await rooms.archive.query(await rooms.may_query(), Query(limit=1000))
    assert [each for each in page.found if each.study.patient_id == f"B-{study}"] == []


async def test_a_killed_release_leaves_it_kept_apart(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    _, others, study = await in_conflict(rooms, "other-patient", 2)
    await rooms.store(*others)
    [group] = await groups(rooms, study)
    with monkeypatch.context() as patched:

        async def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        patched.setattr(archive_store, "take_within", killed)
        with pytest.raises(KeyboardInterrupt):
            await rooms.archive.quarantine.keep_as_new(await resolver(rooms), group.newest_id, is_whole_group=True)
    [group] = await groups(rooms, study)
    assert group.instances == 2
    resolved = await rooms.archive.quarantine.keep_as_new(await resolver(rooms), group.newest_id, is_whole_group=True)
    assert resolved.done == 2


async def corrected(rooms: Rooms, study: str) -> None:
    """Correct the name in a study that is held."""
    target = await rooms.archive.target(rooms.actor("office"), study)
    assert target.id is not None
    permit = await rooms.may_rectify(target.id)
    await rooms.archive.correct(permit, target.id, {0x00100010: "Right^Ann"}, reason="CORRECT")


@pytest.mark.parametrize("way", ["keep", "replace"])
async def test_a_study_that_was_corrected_stays_so(rooms: Rooms, way: str) -> None:
    _, [other], study = await in_conflict(rooms, "duplicate-differs")
    await rooms.store(other)
    await corrected(rooms, study)
    [group] = await groups(rooms, study)
    permit = await resolver(rooms)
    if way == "keep":
        assert (await rooms.archive.quarantine.keep_as_new(permit, group.newest_id, is_whole_group=True)).done == 1
    else:
        on = await on_held(rooms, permit, group.newest_id)
        await rooms.archive.quarantine.replace(permit, on, group.newest_id, "The newer one")
    taken = await whole(rooms, study)
    assert [str(one.PatientName) for one in taken] == ["Right^Ann"] * (2 if way == "keep" else 1)
    newest = pydicom.dcmread(BytesIO(other))
    [mine] = [one for one in taken if one.get("ContentTime") == newest.ContentTime]
    names = [
        str(item.ModifiedAttributesSequence[0].PatientName)
        for item in mine.OriginalAttributesSequence
        if "PatientName" in item.ModifiedAttributesSequence[0]
    ]
    assert (names, mine.PixelData) == (["Miller^James"], newest.PixelData)
    rechecked = await rooms.archive.upkeep.recheck(administering(rooms), Choice(study_id=await study_id(rooms, study)))
    assert rechecked.broken == []


async def test_a_damaged_instance_of_a_corrected_study_is_whole_and_corrected_again(rooms: Rooms) -> None:
    first, _, study = await in_conflict(rooms, "duplicate-differs")
    await corrected(rooms, study)
    held = await study_id(rooms, study)
    async with rooms.database.transaction(rooms.hospital) as connection:
        await connection.execute(
            "insert into broken_instance (tenant, instance_id, study_id, what, found_at) select i.tenant, i.id, %s,"
            " 'seal-broken', now() from instance i join series r on r.id = i.series_id where r.study_id = %s",
            (held, held),
        )
    [again] = await rooms.store(first)
    assert again.state == "already_held"
    assert await rooms.archive.upkeep.known_broken(administering(rooms)) == []
    [one] = await whole(rooms, study)
    assert str(one.PatientName) == "Right^Ann"
    [last] = await rooms.store(first)
    assert last.state == "already_held"


async def test_nothing_is_replaced_while_a_backup_names_it(rooms: Rooms) -> None:
    _, [other], study = await in_conflict(rooms, "duplicate-differs")
    await rooms.store(other)
    [group] = await groups(rooms, study)
    permit = await resolver(rooms)
    on = await on_held(rooms, permit, group.newest_id)
    async with rooms.archive.releasing.holding():
        with pytest.raises(CannotResolve, match="backup"):
            await rooms.archive.quarantine.replace(permit, on, group.newest_id, "now")
    await rooms.archive.quarantine.replace(permit, on, group.newest_id, "later")
    assert await groups(rooms, study) == []
