"""What comes for a study that was corrected: again, later, and from a process that has not heard of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydicom.uid import generate_uid

from tests.unit.archive.corrections import (
    NAME,
    PATIENT_ID,
    correct,
    datasets,
    opened,
)
from tests.unit.archive.rooms import Rooms, instance
from troth.archive import (
    CannotCoerce,
    DuplicateDiffers,
    OtherPatient,
    Outcome,
)
from troth.kit import ids


async def test_what_is_sent_again_is_held_already_and_the_corrected_one_too(rooms: Rooms) -> None:
    study, series, uid, wrong, right = generate_uid(), generate_uid(), generate_uid(), ids.code(), ids.code()
    same = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": uid}
    sent = instance(**same, PatientID=wrong)
    await rooms.store(sent)
    await correct(rooms, study, {PATIENT_ID: right, NAME: "Brook^Ada"})
    (again,) = await rooms.store(sent)
    assert (again.state, again.is_coerced) == ("already_held", True)
    viewing = await opened(rooms, study)
    record = await viewing.instance(uid)
    given = b"".join([chunk async for chunk in viewing.part10(record)])
    (back,) = await rooms.store(given)
    assert (back.state, back.is_coerced) == ("already_held", False)
    (other,) = await rooms.store(instance(**same, PatientID=wrong, InstanceNumber=7))
    assert isinstance(other.error, DuplicateDiffers)
    await correct(rooms, study, {NAME: "Brook^Ada^M"})
    assert [one.state for one in await rooms.store(sent)] == ["already_held"]


async def test_what_comes_later_is_coerced(rooms: Rooms) -> None:
    study, series, wrong, right = generate_uid(), generate_uid(), ids.code(), ids.code()
    same = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    await rooms.store(instance(**same, PatientID=wrong, PatientName="Wrung^A"))
    await correct(rooms, study, {PATIENT_ID: right, NAME: "Right^A"})
    late = instance(**same, PatientID=wrong, PatientName="Wrung^A", InstanceNumber=2)
    derived = instance(StudyInstanceUID=study, PatientID=right, PatientName="Right^A", InstanceNumber=3)
    stranger = instance(StudyInstanceUID=study, PatientID=ids.code(), InstanceNumber=4)
    # Another process that has not heard of the correction.
    outcomes = await rooms.store(late, derived, stranger)
    assert [one.state for one in outcomes] == ["stored", "stored", "refused"]
    assert [one.is_coerced for one in outcomes] == [True, False, False]
    assert isinstance(outcomes[2].error, OtherPatient)
    viewing = await opened(rooms, study)
    found = {one.InstanceNumber: one for one in await datasets(viewing)}
    assert {str(one.PatientName) for one in found.values()} == {"Right^A"}
    assert found[2].OriginalAttributesSequence[0].ReasonForTheAttributeModification == "COERCE"
    assert "OriginalAttributesSequence" not in found[3]
    again = await rooms.store(late, derived)
    assert [(one.state, one.is_coerced) for one in again] == [("already_held", True), ("already_held", False)]
    stored = await rooms.events("archive:instances:stored")
    assert [event.counts.get("coerced") for event in stored if event.study_id == viewing.study.id] == [1, None]
    assert viewing.study.length_bytes == sum(one.length_bytes for one in await viewing.instances())


@pytest.mark.parametrize("says", ["what was wrong", "what is right"])
async def test_a_process_that_has_not_heard_of_it(rooms: Rooms, says: str) -> None:
    study, wrong, right = generate_uid(), ids.code(), ids.code()
    same = {"StudyInstanceUID": study, "SeriesInstanceUID": generate_uid()}
    rival = type(rooms.archive)(rooms.database, rooms.keyring, rooms.packs, rooms.people, rooms.ledger, rooms.policy)

    async def store(number: int, patient_id: str) -> Outcome:
        receiver = rival.receiver(None)
        receiver.feed(instance(**same, PatientID=patient_id, InstanceNumber=number))
        (outcome,) = await rival.store(await rooms.may_store(), [receiver.finish()])
        return outcome

    assert (await store(1, wrong)).state == "stored"  # it remembers the study from now on
    await correct(rooms, study, {PATIENT_ID: right})
    assert (await store(2, wrong if says == "what was wrong" else right)).state == "stored"
    assert {one.PatientID for one in await datasets(await opened(rooms, study))} == {right}


@pytest.mark.conformance("C-STORE C114", "reason C114")
async def test_an_instance_that_cannot_be_coerced_is_refused_alone(rooms: Rooms) -> None:
    study, number = generate_uid(), ids.code()
    await rooms.store(instance(StudyInstanceUID=study, PatientID=number))
    await correct(rooms, study, {NAME: "山田^太郎"})
    same = {"StudyInstanceUID": study, "PatientID": number, "SpecificCharacterSet": "ISO_IR 100"}
    outcomes = await rooms.store(
        instance(**same, StudyDescription="Schädel", InstanceNumber=2),
        instance(**same, InstanceNumber=3),
        instance(PatientID=ids.code()),
    )
    assert [one.state for one in outcomes] == ["refused", "stored", "stored"]
    assert isinstance(outcomes[0].error, CannotCoerce)
    viewing = await opened(rooms, study)
    assert {str(one.PatientName) for one in await datasets(viewing)} == {"山田^太郎"}
    assert (viewing.study.series_count, viewing.study.instance_count) == (2, 2)


async def test_correcting_while_instances_come(rooms: Rooms) -> None:
    study, series, wrong, right = generate_uid(), generate_uid(), ids.code(), ids.code()
    same = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "PatientName": "Wrung^A"}
    await rooms.store(instance(**same, PatientID=wrong))
    rival = type(rooms.archive)(rooms.database, rooms.keyring, rooms.packs, rooms.people, rooms.ledger, rooms.policy)
    states: list[str] = []

    async def send(number: int, archive: Any) -> None:
        receiver = archive.receiver(None)
        receiver.feed(instance(**same, PatientID=wrong, InstanceNumber=number + 2))
        (outcome,) = await archive.store(await rooms.may_store(), [receiver.finish()])
        states.append(outcome.state)

    async def keep_sending(archive: Any, first: int) -> None:
        for number in range(25):
            await send(first + number, archive)

    async def keep_correcting() -> None:
        for number in range(4):
            await correct(rooms, study, {PATIENT_ID: right, NAME: f"Right^{number}"})

    await asyncio.gather(keep_sending(rooms.archive, 0), keep_sending(rival, 100), keep_correcting())
    assert states == ["stored"] * 50
    viewing = await opened(rooms, study)
    all_of_it = await datasets(viewing)
    assert len(all_of_it) == 51
    assert {(str(one.PatientName), one.PatientID) for one in all_of_it} == {("Right^3", right)}
    for record in await viewing.instances():
        await viewing.verify(record)
    assert viewing.study.length_bytes == sum(one.length_bytes for one in await viewing.instances())
