"""What is kept apart ends: discarded, out of time, with the person it is of, and however it is cut short."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any

import pydicom
import pytest

from tests.unit.archive.conflicts import (
    administering,
    groups,
    in_conflict,
    resolver,
    rows,
    whole,
)
from tests.unit.archive.rooms import MINUTE, Rooms, instance
from troth.archive import QuarantineGone, WasErased
from troth.kit import clock, ids
from troth.policy import Actor, Permit, Target
from troth.vault import KeyRef

GRACE = timedelta(seconds=0)


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
