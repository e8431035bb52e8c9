"""What a legal hold is on stays in quarantine: nobody destroys it, and it does not run out of time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from uuid import UUID

import pydicom
import pytest

from tests.unit.archive.conflicts import (
    administering,
    groups,
    in_conflict,
    on_held,
    resolver,
    rows,
    study_id,
    whole,
)
from tests.unit.archive.rooms import MINUTE, Rooms, instance
from troth.archive import CannotResolve
from troth.kit import clock, ids
from troth.policy import Permit, Target
from troth.vault import KeyRef


@pytest.fixture
def holds(rooms: Rooms) -> Iterator[list[tuple[str, UUID]]]:
    """Legal holds in force, as the room that knows them would say."""
    found: list[tuple[str, UUID]] = []

    async def standing(_: object) -> list[tuple[str, UUID]]:
        return found

    rooms.archive.quarantine.heed(standing)
    yield found
    found.clear()


async def subject_of(rooms: Rooms, study: str) -> UUID:
    target = await rooms.archive.target(rooms.actor("worker"), study)
    assert target.subject_id is not None
    return target.subject_id


async def out_of_time(rooms: Rooms) -> None:
    with clock.moved(timedelta(days=31)):
        await rooms.archive.quarantine.expire(administering(rooms))


@pytest.mark.parametrize("on", ["claimed", "borne", "study", "organisation"])
async def test_what_a_legal_hold_is_on_is_not_destroyed_until_it_is_released(
    rooms: Rooms, holds: list[tuple[str, UUID]], on: str
) -> None:
    _, others, study = await in_conflict(rooms, "other-patient", 2)  # bears the number of A's study, claims to be of B
    own = instance(PatientID=f"B-{study}")
    await rooms.store(*others, own)
    own_study = pydicom.dcmread(BytesIO(own)).StudyInstanceUID
    holds.append(
        {
            "claimed": ("subject", await subject_of(rooms, own_study)),
            "borne": ("subject", await subject_of(rooms, study)),
            "study": ("study", await study_id(rooms, study)),
            "organisation": ("organisation", rooms.hospital.id),
        }[on]
    )
    [group] = await groups(rooms, study)
    assert (group.is_held, group.instances) == (True, 2)
    for is_whole in (True, False):
        with pytest.raises(CannotResolve, match="legal hold"):
            await rooms.archive.quarantine.discard(await resolver(rooms), group.newest_id, is_whole_group=is_whole)
    await out_of_time(rooms)
    mine = [row for row in await rows(rooms) if row["study_uid"] == study]
    assert [row["state"] for row in mine] == ["kept", "kept"]
    assert all(rooms.keyring.is_alive(KeyRef(bytes(row["key"]))) for row in mine)
    comparison = await rooms.archive.quarantine.compare(await resolver(rooms), group.newest_id, None)
    assert comparison.kept.values[0x00100020] == f"B-{study}"
    holds.clear()
    [group] = await groups(rooms, study)
    assert group.is_held is False
    await out_of_time(rooms)
    assert await groups(rooms, study) == []
    assert not any(rooms.keyring.is_alive(KeyRef(bytes(row["key"]))) for row in mine)


async def test_a_hold_on_one_person_keeps_nothing_of_another(rooms: Rooms, holds: list[tuple[str, UUID]]) -> None:
    _, [other], study = await in_conflict(rooms, "other-patient")
    _, [stays], held = await in_conflict(rooms, "duplicate-differs")
    await rooms.store(other, stays)
    holds.append(("subject", await subject_of(rooms, held)))
    await out_of_time(rooms)
    assert await groups(rooms, study) == []
    assert len(await groups(rooms, held)) == 1


async def test_a_hold_covers_an_identifier_that_was_merged_or_corrected(
    rooms: Rooms, holds: list[tuple[str, UUID]]
) -> None:
    first, second = instance(PatientID=ids.code()), instance(PatientID=ids.code())
    await rooms.store(first, second)
    one, two = (pydicom.dcmread(BytesIO(content)) for content in (first, second))
    _, [mine], study = await in_conflict(rooms, "other-patient")
    claims = pydicom.dcmread(BytesIO(mine))
    claims.PatientID = two.PatientID
    buffer = BytesIO()
    claims.save_as(buffer)
    await rooms.store(buffer.getvalue())
    survivor, merged = await subject_of(rooms, one.StudyInstanceUID), await subject_of(rooms, two.StudyInstanceUID)
    now, place = clock.now(), Target("organisation", rooms.hospital.id, rooms.hospital.id)
    office = rooms.actor("office")
    permit = Permit(office, "merge", place, "rights", ("4.5",), "", "t", ids.uuid7(), now, now + MINUTE)
    await rooms.archive.merging.merge(permit, merged, survivor, "One person.")
    holds.append(("subject", survivor))
    await out_of_time(rooms)
    assert len(await groups(rooms, study)) == 1

    renamed = ids.code()
    target = await study_id(rooms, one.StudyInstanceUID)
    await rooms.archive.correct(await rooms.may_rectify(target), target, {0x00100020: renamed}, reason="CORRECT")
    _, [later], another = await in_conflict(rooms, "other-patient")
    claims = pydicom.dcmread(BytesIO(later))
    claims.PatientID = renamed
    buffer = BytesIO()
    claims.save_as(buffer)
    await rooms.store(buffer.getvalue())
    await out_of_time(rooms)
    assert len(await groups(rooms, another)) == 1


async def test_erasing_somebody_else_leaves_what_a_hold_is_on(rooms: Rooms, holds: list[tuple[str, UUID]]) -> None:
    _, [other], study = await in_conflict(rooms, "other-patient")  # bears the number of A's study, claims to be of B
    own = instance(PatientID=f"B-{study}")
    await rooms.store(other, own)
    holds.append(("subject", await subject_of(rooms, pydicom.dcmread(BytesIO(own)).StudyInstanceUID)))
    erased = await subject_of(rooms, study)
    await rooms.archive.erase_subject(rooms.may_erase(None, erased), erased)
    [group] = await groups(rooms, study)
    assert group.instances == 1
    holds.clear()
    await out_of_time(rooms)
    assert await groups(rooms, study) == []


async def test_a_hold_keeps_the_instance_that_would_be_replaced(rooms: Rooms, holds: list[tuple[str, UUID]]) -> None:
    _, [other], study = await in_conflict(rooms, "duplicate-differs")
    await rooms.store(other)
    [group] = await groups(rooms, study)
    permit = await resolver(rooms)
    on = await on_held(rooms, permit, group.newest_id)
    holds.append(("study", await study_id(rooms, study)))
    assert (await rooms.archive.quarantine.compare(permit, group.newest_id, on)).can_replace is False
    with pytest.raises(CannotResolve, match="legal hold"):
        await rooms.archive.quarantine.replace(permit, on, group.newest_id, "The newer one")
    assert (await rooms.archive.quarantine.keep_as_new(permit, group.newest_id, is_whole_group=True)).done == 1
    assert len(await whole(rooms, study)) == 2
