"""What contradicts what is held is kept apart, once, for a while, within limits, and ends with the person it is of."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import psycopg
import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.unit.archive.rooms import MINUTE, Rooms, instance
from troth.archive import Archive, CannotResolve, Choice, Outcome, QuarantineGone, QuarantineLimits, Query, WasErased
from troth.archive import quarantine as room
from troth.archive import store as archive_store
from troth.archive.quarantine import store as quarantine_store
from troth.kit import clock, ids
from troth.kit.errors import PermitDenied, Unavailable
from troth.policy import Actor, Permit, Target
from troth.vault import KeyRef
from troth.vault.segments import Place

GRACE = timedelta(seconds=0)


async def resolver(rooms: Rooms, actor: Actor | None = None) -> Permit:
    who = actor or rooms.actor("clinician")
    return await rooms.policy.require(who, "resolve", Target("organisation", who.tenant, who.tenant), "care")


async def on_held(rooms: Rooms, permit: Permit, quarantined_id: UUID) -> Permit:
    against = await rooms.archive.quarantine.against(permit, quarantined_id)
    return await rooms.policy.require(permit.actor, "resolve", against.target, "care")


def administering(rooms: Rooms, organisation: UUID | None = None) -> Permit:
    house, now = organisation or rooms.hospital.id, clock.now()
    system = Actor("system", None, house, "operator", name="Troth")
    target = Target("organisation", house, house)
    return Permit(system, "administer", target, "administration", ("4.5",), "", "t", ids.uuid7(), now, now + MINUTE)


async def rows(rooms: Rooms) -> list[dict[str, Any]]:
    async with rooms.database.transaction(rooms.hospital) as connection:
        return list(await (await connection.execute("select * from quarantined order by id")).fetchall())


async def groups(rooms: Rooms, study_uid: str) -> list[Any]:
    found = await rooms.archive.quarantine.groups(await resolver(rooms))
    return [group for group in found if group.study_uid == study_uid]


async def whole(rooms: Rooms, study_uid: str) -> list[pydicom.Dataset]:
    """Every instance of a study, as files read by pydicom."""
    viewing = await rooms.archive.open_study(await rooms.may_open(study_uid), study_uid)
    found = []
    for one in await viewing.instances():
        octets = b"".join([bytes(chunk) async for chunk in viewing.part10(one)])
        found.append(pydicom.dcmread(BytesIO(octets)))
    return found


async def in_conflict(rooms: Rooms, kind: str, count: int = 1) -> tuple[bytes, list[bytes], str]:
    """A study that is held, and instances that contradict it; and the study UID that those say."""
    study, series = generate_uid(), generate_uid()
    first = instance(StudyInstanceUID=study, SeriesInstanceUID=series, PatientID=f"A-{study}")
    assert [outcome.state for outcome in await rooms.store(first)] == ["stored"]
    uid = pydicom.dcmread(BytesIO(first)).SOPInstanceUID
    said: dict[str, Any] = {
        "duplicate-differs": {
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "PatientID": f"A-{study}",
            "SOPInstanceUID": uid,
        },
        "other-patient": {"StudyInstanceUID": study, "SeriesInstanceUID": series, "PatientID": f"B-{study}"},
        "other-study": {
            "StudyInstanceUID": generate_uid(),
            "SeriesInstanceUID": series,
            "PatientID": f"A-{study}",
        },
    }[kind]
    others = [instance(**said, ContentTime=f"10{number:02d}00", InstanceNumber=number) for number in range(count)]
    return first, others, said["StudyInstanceUID"]


KINDS = ["duplicate-differs", "other-patient", "other-study"]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_contradicts_what_is_held_is_refused_and_kept_apart_once(rooms: Rooms, kind: str) -> None:
    _, [other], study = await in_conflict(rooms, kind)
    good = instance(PatientID="GOOD")
    outcomes = await rooms.store(other, good)
    assert [(outcome.state, outcome.is_kept) for outcome in outcomes] == [("refused", True), ("stored", False)]
    assert outcomes[0].error is not None
    assert outcomes[0].error.slug == kind
    [event] = [
        each for each in await rooms.events("archive:instance:quarantined") if each.payload["study_uid"] == study
    ]
    assert (event.outcome, event.payload["reason"], event.counts["instances"]) == ("refused", kind, 1)
    again = await rooms.store(other)
    assert [(outcome.state, outcome.is_kept) for outcome in again] == [("refused", True)]
    [group] = await groups(rooms, study)
    assert (group.reason, group.instances, group.sender, group.modalities) == (kind, 1, "A peer", ("CT",))
    assert (await rooms.events("archive:instance:refused"))[0].payload["study_uid"] == study


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_kept_apart_is_used_for_nothing(rooms: Rooms, kind: str) -> None:
    _, [other], study = await in_conflict(rooms, kind)
    await rooms.store(other)
    found = await rooms.find(Query())
    if kind == "other-study":
        assert study not in found
    else:
        assert len(await whole(rooms, study)) == 1
    assert f"B-{study}" not in str([each.payload for each in await rooms.events("archive:instance:quarantined")])
    assert f"B-{study}".encode() not in b"".join(
        path.read_bytes() for path in rooms.packs.folder.path.iterdir() if path.is_file()
    )


async def test_the_same_conflict_twice_at_once_is_kept_once(rooms: Rooms) -> None:
    _, others, study = await in_conflict(rooms, "other-patient", 3)
    rivals = [
        Archive(rooms.database, rooms.keyring, rooms.packs, rooms.people, rooms.ledger, rooms.policy) for _ in range(4)
    ]
    permit = await rooms.may_store()

    async def send(archive: Archive) -> list[Outcome]:
        received = []
        for content in others:
            receiver = archive.receiver(None)
            receiver.feed(content)
            received.append(receiver.finish())
        return await archive.store(permit, received)

    for outcomes in await asyncio.gather(*(send(rival) for rival in rivals)):
        assert [(outcome.state, outcome.is_kept) for outcome in outcomes] == [("refused", True)] * 3
    [group] = await groups(rooms, study)
    assert group.instances == 3
    comparison = await rooms.archive.quarantine.compare(await resolver(rooms), group.newest_id, None)
    assert comparison.kept.values[0x00100020] == f"B-{study}"  # its bytes are still there, though others were freed


async def test_beyond_the_limits_it_is_refused_and_not_kept(rooms: Rooms) -> None:
    _, others, study = await in_conflict(rooms, "duplicate-differs", 3)
    held = len(await rows(rooms))
    narrow = Archive(
        rooms.database, rooms.keyring, rooms.packs, rooms.people, rooms.ledger, rooms.policy,
        QuarantineLimits(instances=held + 2),
    )  # fmt: skip
    rooms = replace(rooms, archive=narrow)
    outcomes = await rooms.store(*others)
    assert [(outcome.state, outcome.is_kept) for outcome in outcomes] == [
        ("refused", True), ("refused", True), ("refused", False),
    ]  # fmt: skip
    refused = [each for each in await rooms.events("archive:instance:refused") if each.payload["study_uid"] == study]
    assert [each.counts["instances"] for each in refused] == [1]
    none = Archive(
        rooms.database, rooms.keyring, rooms.packs, rooms.people, rooms.ledger, rooms.policy,
        QuarantineLimits(length_bytes=1000),
    )  # fmt: skip
    [outcome] = await replace(rooms, archive=none).store(others[2])
    assert (outcome.state, outcome.is_kept) == ("refused", False)


async def test_who_may_not_resolve_sees_and_changes_nothing(rooms: Rooms) -> None:
    _, [other], study = await in_conflict(rooms, "duplicate-differs")
    await rooms.store(other)
    [group] = await groups(rooms, study)
    for role in ("admin", "office", "referrer", "peer", "patient"):
        with pytest.raises(PermitDenied):
            await resolver(rooms, rooms.actor(role))
    stranger = rooms.actor("clinician", rooms.other)
    theirs = await resolver(rooms, stranger)
    quarantine = rooms.archive.quarantine
    assert await quarantine.groups(theirs) == []
    for attempt in (
        quarantine.compare(theirs, group.newest_id, None),
        quarantine.against(theirs, group.newest_id),
        quarantine.picture(theirs, group.newest_id, None, "kept", (64, 64)),
        quarantine.discard(theirs, group.newest_id, is_whole_group=True),
        quarantine.keep_as_new(theirs, group.newest_id, is_whole_group=True),
        quarantine.replace(theirs, theirs, group.newest_id, "mine"),
    ):
        with pytest.raises(QuarantineGone):
            await attempt
    with pytest.raises(PermitDenied):
        await quarantine.groups(await rooms.may_query())
    assert [each.instances for each in await groups(rooms, study)] == [1]


@pytest.mark.parametrize("kind", KINDS)
async def test_it_stands_beside_what_it_contradicts_and_both_looks_are_told(rooms: Rooms, kind: str) -> None:
    _, others, study = await in_conflict(rooms, kind, 2)
    await rooms.store(*others)
    [group] = await groups(rooms, study)
    permit = await resolver(rooms)
    seen = len(await rooms.events("archive:quarantine:compared"))
    comparison = await rooms.archive.quarantine.compare(
        permit, group.newest_id, await on_held(rooms, permit, group.newest_id)
    )
    assert (comparison.place, comparison.before_id, comparison.group.instances) == (1, None, 2)
    assert comparison.held is not None
    assert comparison.are_pixels_same is True
    assert "ContentTime" in comparison.differing
    assert ("PatientID" in comparison.differing) is (kind == "other-patient")
    assert comparison.can_replace is (kind == "duplicate-differs")
    events = await rooms.events("archive:quarantine:compared")
    assert len(events) == seen + 2
    assert sum(event.subject_id is not None for event in events[:2]) == 1  # of whom is held, reads of it
    on = await on_held(rooms, permit, group.newest_id)
    for which in ("kept", "held"):
        picture = await rooms.archive.quarantine.picture(permit, group.newest_id, on, which, (64, 64))  # type: ignore[arg-type]
        assert picture.startswith(b"\xff\xd8")
    assert len(await rooms.events("archive:quarantine:compared")) == seen + 2  # covered by the page's own entry
    with pytest.raises(QuarantineGone):
        await rooms.archive.quarantine.picture(permit, group.newest_id, None, "held", (64, 64))


async def test_discarding_destroys_and_is_told(rooms: Rooms) -> None:
    _, others, study = await in_conflict(rooms, "other-patient", 3)
    await rooms.store(*others)
    mine = [row for row in await rows(rooms) if row["study_uid"] == study]
    [group] = await groups(rooms, study)
    permit = await resolver(rooms)
    assert await rooms.archive.quarantine.discard(permit, group.newest_id, is_whole_group=False) == 1
    [group] = await groups(rooms, study)
    assert await rooms.archive.quarantine.discard(permit, group.newest_id, is_whole_group=True) == 2
    with pytest.raises(QuarantineGone):
        await rooms.archive.quarantine.discard(permit, group.newest_id, is_whole_group=True)
    assert not any(rooms.keyring.is_alive(KeyRef(bytes(row["key"]))) for row in mine)
    assert [row for row in await rows(rooms) if row["study_uid"] == study] == []
    events = [each for each in await rooms.events("archive:instance:discarded") if each.payload["study_uid"] == study]
    assert [(each.payload["reason"], each.counts["instances"]) for each in events] == [
        ("discarded", 2),
        ("discarded", 1),
    ]


async def test_nobody_resolves_it_in_time_and_it_is_destroyed(rooms: Rooms) -> None:
    _, [other], study = await in_conflict(rooms, "duplicate-differs")
    await rooms.store(other)
    await rooms.archive.quarantine.expire(administering(rooms))
    assert len(await groups(rooms, study)) == 1
    with clock.moved(timedelta(days=30, minutes=1)):
        assert await rooms.archive.quarantine.expire(administering(rooms)) >= 1
    assert await groups(rooms, study) == []
    [event] = [each for each in await rooms.events("archive:instance:discarded") if each.payload["study_uid"] == study]
    assert event.payload["reason"] == "out-of-time"


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


async def test_erasing_a_study_ends_what_bears_its_number(rooms: Rooms) -> None:
    _, [other], study = await in_conflict(rooms, "duplicate-differs")
    _, [stays], another = await in_conflict(rooms, "duplicate-differs")
    await rooms.store(other, stays)
    [row] = [row for row in await rows(rooms) if row["study_uid"] == study]
    target = await rooms.archive.target(rooms.actor("worker"), study)
    assert target.id is not None
    assert target.subject_id is not None
    await rooms.archive.erase_study(rooms.may_erase(target.id, target.subject_id), target.id)
    assert not rooms.keyring.is_alive(KeyRef(bytes(row["key"])))
    assert [row for row in await rows(rooms) if row["study_uid"] == study] == []
    [outcome] = await rooms.store(other)
    assert (outcome.is_kept, isinstance(outcome.error, WasErased)) == (False, True)
    assert len(await groups(rooms, another)) == 1


async def test_erasing_a_person_ends_what_is_kept_apart_under_their_number(rooms: Rooms) -> None:
    _, [other], study = await in_conflict(rooms, "other-patient")  # says that it is of B-…
    own = instance(PatientID=f"B-{study}")
    await rooms.store(other, own)
    [row] = [row for row in await rows(rooms) if row["study_uid"] == study]
    own_study = pydicom.dcmread(BytesIO(own)).StudyInstanceUID
    target = await rooms.archive.target(rooms.actor("worker"), own_study)
    assert target.subject_id is not None
    await rooms.archive.erase_subject(rooms.may_erase(None, target.subject_id), target.subject_id)
    assert not rooms.keyring.is_alive(KeyRef(bytes(row["key"])))
    assert [row for row in await rows(rooms) if row["study_uid"] == study] == []
    [event] = [each for each in await rooms.events("archive:instance:discarded") if each.payload["study_uid"] == study]
    assert event.payload["reason"] == "erased"
    [outcome] = await rooms.store(other)
    assert (outcome.is_kept, isinstance(outcome.error, WasErased)) == (False, True)
    assert len(await whole(rooms, study)) == 1  # of the other patient, who stays


async def test_a_person_of_whom_nothing_is_held_is_erased_from_quarantine_too(rooms: Rooms) -> None:
    _, [other], study = await in_conflict(rooms, "other-patient")
    own = instance(PatientID=f"B-{study}")
    await rooms.store(own)
    target = await rooms.archive.target(rooms.actor("worker"), pydicom.dcmread(BytesIO(own)).StudyInstanceUID)
    assert target.id is not None
    assert target.subject_id is not None
    await rooms.archive.erase_study(rooms.may_erase(target.id, target.subject_id), target.id)
    await rooms.store(other)
    assert len(await groups(rooms, study)) == 1
    await rooms.archive.erase_subject(rooms.may_erase(None, target.subject_id), target.subject_id)
    assert await groups(rooms, study) == []


async def test_the_last_study_of_a_person_takes_along_what_is_kept_apart(rooms: Rooms) -> None:
    _, [other], study = await in_conflict(rooms, "other-patient")
    files = [instance(PatientID=f"B-{study}") for _ in range(2)]
    await rooms.store(other, *files)
    for number, content in enumerate(files):
        uid = pydicom.dcmread(BytesIO(content)).StudyInstanceUID
        target = await rooms.archive.target(rooms.actor("worker"), uid)
        assert target.id is not None
        assert target.subject_id is not None
        await rooms.archive.erase_study(rooms.may_erase(target.id, target.subject_id), target.id)
        assert len(await groups(rooms, study)) == 1 - number


async def test_what_a_backup_brings_back_without_its_key_goes(rooms: Rooms) -> None:
    _, [other], study = await in_conflict(rooms, "other-patient")
    await rooms.store(other)
    [row] = [row for row in await rows(rooms) if row["study_uid"] == study]
    rooms.keyring.destroy([KeyRef(bytes(row["key"]))])
    await rooms.archive.replay_erasures(administering(rooms))
    assert await groups(rooms, study) == []
    [outcome] = await rooms.store(other)
    assert outcome.is_kept  # it may have been resolved, and is not barred by this


async def test_an_end_that_was_cut_short_is_ended_later(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    _, [other], study = await in_conflict(rooms, "other-patient")
    await rooms.store(other)
    [row] = [row for row in await rows(rooms) if row["study_uid"] == study]
    [group] = await groups(rooms, study)
    with monkeypatch.context() as patched:

        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        patched.setattr(rooms.keyring, "destroy", killed)
        with pytest.raises(KeyboardInterrupt):
            await rooms.archive.quarantine.discard(await resolver(rooms), group.newest_id, is_whole_group=True)
    assert await groups(rooms, study) == []  # out of every answer at once
    assert rooms.keyring.is_alive(KeyRef(bytes(row["key"])))
    await rooms.archive.resume_erasures(administering(rooms))
    assert not rooms.keyring.is_alive(KeyRef(bytes(row["key"])))
    assert [row for row in await rows(rooms) if row["study_uid"] == study] == []


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


async def test_a_failing_database_acknowledges_nothing(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    _, [other], study = await in_conflict(rooms, "other-patient")
    with monkeypatch.context() as patched:

        async def broken(*_: Any) -> None:
            raise psycopg.OperationalError("gone")

        patched.setattr(quarantine_store, "put", broken)
        with pytest.raises(Unavailable):
            await rooms.store(other)
    assert await groups(rooms, study) == []
    [outcome] = await rooms.store(other)
    assert outcome.is_kept


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


async def study_id(rooms: Rooms, study: str) -> UUID:
    target = await rooms.archive.target(rooms.actor("office"), study)
    assert target.id is not None
    return target.id


async def test_the_sweeper_leaves_it_alone(rooms: Rooms) -> None:
    _, [other], study = await in_conflict(rooms, "other-patient")
    await rooms.store(other)
    now = clock.now()
    system = Actor("system", role="operator")
    permit = Permit(
        system, "administer", Target("platform"), "administration", ("4.5",), "", "t", ids.uuid7(), now, now + MINUTE
    )
    for _ in range(2):
        await rooms.archive.upkeep.sweep(permit, grace=GRACE, key_grace=GRACE, is_thorough=True)
    [group] = await groups(rooms, study)
    assert (
        await rooms.archive.quarantine.compare(await resolver(rooms), group.newest_id, None)
    ).kept.study_uid == study
