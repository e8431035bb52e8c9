"""A corrected study says what is right wherever it is read, and what it was before in each instance only."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any
from uuid import UUID

import psycopg
import pydicom
import pytest
from pydicom.uid import EncapsulatedPDFStorage, generate_uid

from tests.unit.archive.rooms import Rooms, instance, real_files
from troth import dicom
from troth.archive import (
    CannotCoerce,
    CorrectionRefused,
    DuplicateDiffers,
    Match,
    OtherPatient,
    Outcome,
    Query,
    StoredBytesBroken,
    StudyChanged,
    StudyNotFound,
    Viewing,
    WasErased,
    WrongPermit,
)
from troth.archive import attributes as tags
from troth.kit import ids
from troth.policy import PermitDenied

NAME, PATIENT_ID, BIRTH, SEX = tags.PATIENT_NAME, tags.PATIENT_ID, tags.BIRTH_DATE, tags.SEX
PIXELS = 0x7FE00010


def read(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(content), force=True)


async def opened(rooms: Rooms, study_uid: str) -> Viewing:
    return await rooms.archive.open_study(await rooms.may_open(study_uid), study_uid)


async def datasets(viewing: Viewing) -> list[pydicom.Dataset]:
    records = await viewing.instances()
    return [read(b"".join([chunk async for chunk in viewing.part10(one)])) for one in records]


async def study_of(rooms: Rooms, study_uid: str) -> UUID:
    target = await rooms.archive.target(rooms.actor("office"), study_uid)
    assert target.id is not None
    return target.id


async def correct(rooms: Rooms, study_uid: str, values: dict[int, str], **more: Any) -> Any:
    study_id = await study_of(rooms, study_uid)
    permit = await rooms.may_rectify(study_id)
    return await rooms.archive.correct(permit, study_id, values, reason=more.pop("reason", "CORRECT"), **more)


def named(**match: str) -> Query:
    return Query(matches=tuple(Match(getattr(tags, key), value) for key, value in match.items()))


def stored_bytes(rooms: Rooms, locator: bytes) -> bytes:
    """What lies on the disk where an object is or was."""
    from troth.vault.segments import Place

    found = b""
    for pack_id, offset, length in Place.decode(locator).extents:
        with (rooms.packs.folder.path / f"{pack_id.hex()}.pack").open("rb") as file:
            file.seek(offset)
            found += file.read(length)
    return found


async def locators(rooms: Rooms, study_uid: str) -> list[bytes]:
    async with rooms.database.transaction(rooms.hospital) as connection:
        cursor = await connection.execute(
            "select i.head_locator from instance i join series r on r.id = i.series_id"
            " join study s on s.id = r.study_id where s.study_uid = %s",
            (study_uid,),
        )
        return [bytes(row["head_locator"]) for row in await cursor.fetchall()]


async def test_every_instance_says_it_and_what_it_said(rooms: Rooms) -> None:
    study, one, two = generate_uid(), generate_uid(), generate_uid()
    who = {"PatientName": "Wrung^Jame", "PatientID": ids.code(), "AccessionNumber": ids.code()}
    files = [instance(StudyInstanceUID=study, SeriesInstanceUID=uid, InstanceNumber=n, **who)
             for uid in (one, two) for n in range(3)]  # fmt: skip
    await rooms.store(*files)
    old = await locators(rooms, study)
    assert all(any(stored_bytes(rooms, locator)) for locator in old)
    viewing = await opened(rooms, study)
    await (await viewing.description()).tell("http://x")
    corrected = await correct(rooms, study, {NAME: "Right^James", BIRTH: "19700201"}, source="Example Register")
    assert (corrected.instances, corrected.total) == (6, 6)
    after = await opened(rooms, study)
    sent_by_uid = {one.SOPInstanceUID: one for one in map(read, files)}
    for dataset in await datasets(after):
        sent = sent_by_uid[dataset.SOPInstanceUID]
        assert (str(dataset.PatientName), dataset.PatientBirthDate) == ("Right^James", "19700201")
        assert dataset.PixelData == sent.PixelData
        assert dataset.SeriesInstanceUID == sent.SeriesInstanceUID
        [told] = dataset.OriginalAttributesSequence
        assert told.SourceOfPreviousValues == "Example Register"
        assert (told.ReasonForTheAttributeModification, told.ModifyingSystem) == ("CORRECT", "TROTH")
        assert str(told.ModifiedAttributesSequence[0].PatientName) == "Wrung^Jame"
    for record in await after.instances():
        await after.verify(record)
    assert after.study.name == "Right^James"
    assert after.study.length_bytes == sum(one.length_bytes for one in await after.instances())
    lines = b"".join(await (await after.description()).tell("http://x"))
    assert b"Right^James" in lines
    # The same viewing, opened before: what it reads is of now.
    assert {str(one.PatientName) for one in await datasets(viewing)} == {"Right^James"}
    # Where the old heads lay, there is nothing.
    assert not any(any(stored_bytes(rooms, locator)) for locator in old)
    assert len(set(await locators(rooms, study)) & set(old)) == 0
    (event,) = await rooms.events("archive:study:corrected")
    assert event.payload is not None
    assert event.payload["attributes"] == ["PatientName", "PatientBirthDate"]
    assert event.counts == {"instances": 6, "attributes": 2}
    assert "Wrung" not in str(event.payload)
    assert "Right" not in str(event.payload)


async def test_searches_find_what_is_right_and_nothing_else(rooms: Rooms) -> None:
    study, wrong, right = generate_uid(), ids.code(), ids.code()
    await rooms.store(
        instance(StudyInstanceUID=study, PatientName=f"Old{wrong}^A", PatientID=wrong, AccessionNumber=wrong)
    )
    values = {NAME: f"New{right}^B", PATIENT_ID: right, tags.ACCESSION: right, tags.STUDY_DATE: "20200229",
              tags.DESCRIPTION: f"Knee {right}", tags.REFERRER: f"Doc{right}^C"}  # fmt: skip
    assert await rooms.find(named(PATIENT_NAME=f"Old{wrong}*")) == [study]
    await correct(rooms, study, values)
    for query in (
        named(PATIENT_NAME=f"Old{wrong}*"),
        named(PATIENT_ID=wrong),
        named(ACCESSION=wrong),
        named(PATIENT_ID=right, STUDY_DATE="20240506"),
        named(PATIENT_NAME=f"Old{wrong}^A", MODALITIES="CT"),
    ):
        assert await rooms.find(query) == [], query
    for query in (
        named(PATIENT_NAME=f"New{right}*"),
        named(PATIENT_ID=right),
        named(ACCESSION=right),
        named(DESCRIPTION=f"*{right}*"),
        named(REFERRER=f"Doc{right}*"),
        named(PATIENT_NAME=f"New{right}*", STUDY_DATE="20200229", MODALITIES="CT"),
    ):
        assert await rooms.find(query) == [study], query
    async with rooms.database.transaction(rooms.hospital) as connection:
        cursor = await connection.execute(
            "select distinct t.study_date::text as day from study_token t join study s on s.id = t.study_id"
            " where s.study_uid = %s",
            (study,),
        )
        assert [row["day"] for row in await cursor.fetchall()] == ["2020-02-29"]


async def test_what_is_sent_again_is_held_already_and_the_corrected_one_too(rooms: Rooms) -> None:
    study, series, uid, wrong, right = generate_uid(), generate_uid(), generate_uid(), ids.code(), ids.code()
    same = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": uid}
    sent = instance(**same, PatientID=wrong)
    await rooms.store(sent)
    await correct(rooms, study, {PATIENT_ID: right, NAME: "Brook^Ada"})
    (again,) = await rooms.store(sent)
    assert again.state == "already_held"
    viewing = await opened(rooms, study)
    record = await viewing.instance(uid)
    given = b"".join([chunk async for chunk in viewing.part10(record)])
    (back,) = await rooms.store(given)
    assert back.state == "already_held"
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
    assert isinstance(outcomes[2].error, OtherPatient)
    viewing = await opened(rooms, study)
    found = {one.InstanceNumber: one for one in await datasets(viewing)}
    assert {str(one.PatientName) for one in found.values()} == {"Right^A"}
    assert found[2].OriginalAttributesSequence[0].ReasonForTheAttributeModification == "COERCE"
    assert "OriginalAttributesSequence" not in found[3]
    assert [one.state for one in await rooms.store(late, derived)] == ["already_held", "already_held"]
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


async def test_what_was_looked_up_before_is_read_as_it_is_now(rooms: Rooms) -> None:
    study = generate_uid()
    files = [instance(StudyInstanceUID=study, PatientName="Wrung^A", InstanceNumber=number) for number in range(3)]
    outcomes = await rooms.store(*files)
    viewing = await opened(rooms, study)
    records = await viewing.instances()
    remembered = await viewing.instance(outcomes[0].instance_uid)
    await correct(rooms, study, {NAME: "Right^A"})
    for record in (*records, remembered):
        assert str(read(b"".join([chunk async for chunk in viewing.part10(record)])).PatientName) == "Right^A"
        assert dicom.reopen(await viewing.head(record), record.syntax).values[NAME] == "Right^A"
        await viewing.verify(record)
        assert len(await viewing.frames(record, [1])) == 1
    lines = b"".join(await (await viewing.description(None, outcomes[0].instance_uid)).tell("http://x"))
    assert b"Right^A" in lines
    permit = await rooms.may_store()
    verdict = await rooms.archive.commitments.verify(permit, [(one.sop_class, one.instance_uid) for one in outcomes])
    assert len(verdict.held) == 3
    async with rooms.database.transaction(rooms.hospital) as connection:
        cursor = await connection.execute("select count(*) as n from broken_instance")
        assert await cursor.fetchone() == {"n": 0}


async def test_a_document_that_is_being_read_is_asked_for_again(rooms: Rooms) -> None:
    study, pdf = generate_uid(), os.urandom(3_000_000)
    await rooms.store(document(StudyInstanceUID=study, EncapsulatedDocument=pdf))
    viewing = await opened(rooms, study)
    (record,) = await viewing.instances()
    stream = viewing.part10(record)
    await anext(stream)
    await correct(rooms, study, {NAME: "Right^A"})
    with pytest.raises(StudyChanged):
        _ = [chunk async for chunk in stream]
    (after,) = await datasets(viewing)
    assert after.EncapsulatedDocument == pdf


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


async def test_correct_twice(rooms: Rooms) -> None:
    study, wrong = generate_uid(), ids.code()
    await rooms.store(instance(StudyInstanceUID=study, PatientID=wrong, PatientName="One^A"))
    await correct(rooms, study, {NAME: "Two^B"})
    await correct(rooms, study, {NAME: "Three^C", SEX: "F"}, reason="COERCE")
    (dataset,) = await datasets(await opened(rooms, study))
    told = [str(one.ModifiedAttributesSequence[0].PatientName) for one in dataset.OriginalAttributesSequence]
    assert told == ["One^A", "Two^B"]
    study_id = await study_of(rooms, study)
    past = await rooms.archive.corrections(await rooms.may_rectify(study_id), study_id)
    assert [(one.reason, dict(one.values), dict(one.before)) for one in past] == [
        ("COERCE", {NAME: "Three^C", SEX: "F"}, {NAME: ("Two^B",), SEX: ("M",)}),
        ("CORRECT", {NAME: "Two^B"}, {NAME: ("One^A",)}),
    ]
    late = instance(StudyInstanceUID=study, PatientID=wrong, PatientName="One^A", InstanceNumber=5)
    await rooms.store(late)
    assert {(str(one.PatientName), one.PatientSex) for one in await datasets(await opened(rooms, study))} == {
        ("Three^C", "F")
    }


async def test_no_change_is_nothing(rooms: Rooms) -> None:
    study = generate_uid()
    await rooms.store(instance(StudyInstanceUID=study))
    before, events = await locators(rooms, study), await rooms.events("archive:study:corrected")
    corrected = await correct(rooms, study, {NAME: "Miller^James"})
    assert (corrected.id, corrected.instances, corrected.event_id) == (None, 0, None)
    assert await locators(rooms, study) == before
    assert len(await rooms.events("archive:study:corrected")) == len(events)


async def test_the_preview_says_what_would_change(rooms: Rooms) -> None:
    study, series = generate_uid(), generate_uid()
    same = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    await rooms.store(
        instance(**same, PatientName="A^A"), instance(**same, PatientName="A^B"), instance(**same, PatientName="C^C")
    )
    study_id, before = await study_of(rooms, study), await locators(rooms, study)
    permit = await rooms.may_rectify(study_id)
    opened_before = len(await rooms.events("archive:study:opened"))
    seen = await rooms.archive.correctable(permit, study_id)
    seen = await rooms.archive.preview_correction(permit, seen, {NAME: "C^C"})
    assert (seen.instances, seen.total, dict(seen.before[NAME])) == (2, 3, {"A^A": 1, "A^B": 1})
    assert len(await rooms.events("archive:study:opened")) == opened_before + 1
    assert await locators(rooms, study) == before
    corrected = await rooms.archive.correct(permit, study_id, {NAME: "C^C"}, reason="CORRECT")
    assert corrected.instances == 2


@pytest.mark.parametrize(
    "values",
    [
        {},
        {tags.STUDY_UID: "1.2.3"},
        {tags.INSTANCE_UID: "1.2.3"},
        {tags.MODALITY: "MR"},
        {tags.ROWS: "4"},
        {0x00091001: "private"},
        {NAME: ""},
        {PATIENT_ID: " "},
        {NAME: "x" * 65},
        {NAME: "a=b=c=d"},
        {PATIENT_ID: "a\\b"},
        {PATIENT_ID: "a\nb"},
        {BIRTH: "1970-01-01"},
        {BIRTH: "19700231"},
        {tags.STUDY_TIME: "2561"},
        {SEX: "X"},
        {tags.ACCESSION: "x" * 17},
        {0x00101010: "40"},
    ],
)
async def test_what_is_not_corrected(rooms: Rooms, values: dict[int, str]) -> None:
    study = generate_uid()
    await rooms.store(instance(StudyInstanceUID=study))
    before = await locators(rooms, study)
    with pytest.raises(CorrectionRefused) as refused:
        await correct(rooms, study, values)
    assert not any(text and len(text) > 3 and text in refused.value.detail for text in values.values())
    assert await locators(rooms, study) == before


async def test_what_may_be_emptied(rooms: Rooms) -> None:
    study = generate_uid()
    await rooms.store(instance(StudyInstanceUID=study, PatientID=ids.code()))
    await correct(rooms, study, {BIRTH: "", tags.ACCESSION: ""})
    (dataset,) = await datasets(await opened(rooms, study))
    assert (dataset.PatientBirthDate, dataset.AccessionNumber) == ("", "")
    assert dataset.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientBirthDate == "19700102"
    assert (await opened(rooms, study)).study.birth_date == ""


async def test_not_yours_is_not_there_and_no_right_is_refused(rooms: Rooms) -> None:
    study = generate_uid()
    await rooms.store(instance(StudyInstanceUID=study))
    study_id = await study_of(rooms, study)
    before = await locators(rooms, study)
    with pytest.raises(PermitDenied):
        await rooms.may_rectify(study_id, rooms.actor("office", rooms.other))
    for role in ("admin", "peer", "referrer"):
        with pytest.raises(PermitDenied):
            await rooms.may_rectify(study_id, rooms.actor(role))
    (outcome,) = await rooms.store(instance(), organisation=rooms.other)
    elsewhere = await rooms.archive.target(rooms.actor("office", rooms.other), outcome.study_uid)
    permit = await rooms.may_rectify(study_id)
    assert elsewhere.id is not None
    for verb in (rooms.archive.correctable(permit, elsewhere.id),
                 rooms.archive.correct(permit, elsewhere.id, {NAME: "X^Y"}, reason="CORRECT"),
                 rooms.archive.corrections(permit, elsewhere.id),
                 rooms.archive.corrections(permit, ids.uuid7())):  # fmt: skip
        with pytest.raises(StudyNotFound):
            await verb
    number = ids.code()
    mine, same, stranger = await rooms.store(
        instance(PatientID=number), instance(PatientID=number), instance(PatientID=ids.code())
    )
    permit = await rooms.may_rectify(await study_of(rooms, mine.study_uid))
    for other in (same, stranger):
        with pytest.raises(StudyNotFound):
            other_id = await study_of(rooms, other.study_uid)
            await rooms.archive.correct(permit, other_id, {NAME: "X^Y"}, reason="CORRECT")
    with pytest.raises(WrongPermit):
        await rooms.archive.correct(await rooms.may_open(study), study_id, {NAME: "X^Y"}, reason="CORRECT")
    assert await locators(rooms, study) == before


async def test_erasure_leaves_nothing_and_bars_both_keys(rooms: Rooms) -> None:
    study, wrong, right = generate_uid(), ids.code(), ids.code()
    sent = instance(StudyInstanceUID=study, PatientID=wrong)
    await rooms.store(sent)
    viewing = await opened(rooms, study)
    await correct(rooms, study, {PATIENT_ID: right})
    now = await locators(rooms, study)
    permit = rooms.may_erase(viewing.study.id, viewing.study.subject_id)
    erasure = await rooms.archive.erase_study(permit, viewing.study.id)
    assert erasure.counts["instances"] == 1
    assert not any(any(stored_bytes(rooms, locator)) for locator in now)
    outcomes = await rooms.store(sent, instance(StudyInstanceUID=study, PatientID=right))
    assert all(isinstance(one.error, WasErased) for one in outcomes)
    async with rooms.database.transaction(rooms.hospital) as connection:
        cursor = await connection.execute(
            "select count(*) as n from correction where study_id = %s", (viewing.study.id,)
        )
        assert await cursor.fetchone() == {"n": 0}
        cursor = await connection.execute("select count(*) as n from tombstone")
    from troth.archive import intake
    from troth.people import PatientKey

    key = (await rooms.people.organisation(rooms.hospital.id)).key
    digests = {
        digest
        for patient_id in (wrong, right)
        for digest in intake.tombstones(rooms.keyring, key, study, PatientKey(patient_id, ""))
    }
    assert len(digests) == 3
    async with rooms.database.transaction(rooms.hospital) as connection:
        cursor = await connection.execute(
            "select count(*) as n from tombstone where digest = any(%s)", (list(digests),)
        )
        assert await cursor.fetchone() == {"n": 3}


def document(**attributes: Any) -> bytes:
    """A PDF as an instance."""
    dataset = read(
        instance(
            **{"PatientName": "Miller^James", "SOPClassUID": EncapsulatedPDFStorage, **attributes},
            MIMETypeOfEncapsulatedDocument="application/pdf",
        )
    )
    del dataset.PixelData, dataset.Rows, dataset.Columns
    buffer = BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


async def test_a_document_keeps_its_bytes(rooms: Rooms) -> None:
    study, uid = generate_uid(), generate_uid()
    pdf = b"%PDF-1.4 " + os.urandom(200_001)
    sent = document(StudyInstanceUID=study, SOPInstanceUID=uid, EncapsulatedDocument=pdf, PatientID=ids.code())
    await rooms.store(sent)
    await correct(rooms, study, {NAME: "Brook^Ada"})
    viewing = await opened(rooms, study)
    (after,) = await datasets(viewing)
    assert (str(after.PatientName), after.EncapsulatedDocument) == ("Brook^Ada", pdf)
    assert str(after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientName) == "Miller^James"
    (record,) = await viewing.instances()
    await viewing.verify(record)
    await correct(rooms, study, {NAME: "Brook^Ada^M"})
    (after,) = await datasets(await opened(rooms, study))
    assert after.EncapsulatedDocument == pdf
    assert len(after.OriginalAttributesSequence) == 2
    assert [one.state for one in await rooms.store(sent)] == ["already_held"]
    # And one that comes when the study is corrected already.
    dataset = read(sent)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    buffer = BytesIO()
    dataset.save_as(buffer)
    assert [one.state for one in await rooms.store(buffer.getvalue())] == ["stored"]
    both = await datasets(await opened(rooms, study))
    assert [(str(one.PatientName), one.EncapsulatedDocument == pdf) for one in both] == [("Brook^Ada^M", True)] * 2
    assert [one.state for one in await rooms.store(buffer.getvalue())] == ["already_held"]


async def test_every_real_file_is_corrected(rooms: Rooms) -> None:
    done = 0
    for path in real_files():
        receiver = rooms.archive.receiver(None)
        try:
            receiver.feed(path.read_bytes())
            received = receiver.finish()
        except (dicom.Malformed, dicom.SyntaxUnknown):
            receiver.abort()
            continue
        (outcome,) = await rooms.archive.store(await rooms.may_store(rooms.other), [received])
        if outcome.state != "stored":
            continue
        study = await rooms.archive.target(rooms.actor("office", rooms.other), outcome.study_uid)
        assert study.id is not None
        permit = await rooms.may_rectify(study.id, rooms.actor("office", rooms.other))
        await rooms.archive.correct(permit, study.id, {NAME: "Brook^Ada", BIRTH: "19470211"}, reason="CORRECT")
        permit = await rooms.may_open(outcome.study_uid, rooms.actor("clinician", rooms.other))
        viewing = await rooms.archive.open_study(permit, outcome.study_uid)
        record = await viewing.instance(outcome.instance_uid)
        await viewing.verify(record)
        whole = b"".join([chunk async for chunk in viewing.part10(record)])
        header, bulk = dicom.scan(whole)
        assert header.values[NAME] == "Brook^Ada", path.name
        assert len(bulk) - len(header.tail) == received.header.bulk_bytes - len(received.header.tail), path.name
        done += 1
    assert done > 30


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


async def test_two_corrections_at_once(rooms: Rooms) -> None:
    study = generate_uid()
    files = [instance(StudyInstanceUID=study, PatientName="Wrung^A", InstanceNumber=n) for n in range(5)]
    await rooms.store(*files)
    await asyncio.gather(*(correct(rooms, study, {NAME: f"Right^{number}"}) for number in range(4)))
    viewing = await opened(rooms, study)
    said = {str(one.PatientName) for one in await datasets(viewing)}
    assert said == {viewing.study.name}
    assert {len(one.OriginalAttributesSequence) for one in await datasets(viewing)} == {4}
    assert len(await rooms.archive.corrections(await rooms.may_rectify(viewing.study.id), viewing.study.id)) == 4


async def test_a_reader_in_between_sees_all_or_nothing(rooms: Rooms) -> None:
    study, series = generate_uid(), generate_uid()
    files = [instance(StudyInstanceUID=study, SeriesInstanceUID=series, PatientName="Old^0", InstanceNumber=n)
             for n in range(8)]  # fmt: skip
    await rooms.store(*files)
    is_over = False

    async def read_on() -> int:
        rounds = 0
        while not is_over:
            viewing = await opened(rooms, study)
            for record in await viewing.instances():
                dataset = read(b"".join([chunk async for chunk in viewing.part10(record)]))
                assert dataset.PixelData == read(files[0]).PixelData
                number = int(str(dataset.PatientName).split("^")[1])
                assert len(dataset.get("OriginalAttributesSequence", ())) == number
            rounds += 1
        return rounds

    async def correct_on() -> None:
        nonlocal is_over
        for number in range(1, 6):
            await correct(rooms, study, {NAME: f"New^{number}"})
        is_over = True

    rounds, _ = await asyncio.gather(read_on(), correct_on())
    assert rounds
    async with rooms.database.transaction(rooms.hospital) as connection:
        cursor = await connection.execute("select count(*) as n from broken_instance")
        assert await cursor.fetchone() == {"n": 0}


async def test_a_broken_instance_stops_it(rooms: Rooms) -> None:
    study, series = generate_uid(), generate_uid()
    same = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    await rooms.store(instance(**same), instance(**same))
    before = await locators(rooms, study)
    await rooms.packs.free(before[:1])
    with pytest.raises(StoredBytesBroken):
        await correct(rooms, study, {NAME: "Right^A"})
    assert await locators(rooms, study) == before


async def test_a_connection_that_ends_at_the_commit_takes_no_head_away(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows then whether the rows name the new heads; here they do."""
    study = generate_uid()
    await rooms.store(instance(StudyInstanceUID=study, PatientName="Wrung^A"))
    transaction = rooms.database.transaction

    @asynccontextmanager
    async def cut_after_a_swap(scope: Any) -> AsyncIterator[Any]:
        async with transaction(scope) as connection:
            yield connection
            cursor = await connection.execute("select corrections from study where study_uid = %s", (study,))
            row = await cursor.fetchone()
        if row is not None and row["corrections"]:
            raise psycopg.OperationalError("the server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(rooms.database, "transaction", cut_after_a_swap)
        with pytest.raises(psycopg.OperationalError):
            await correct(rooms, study, {NAME: "Right^A"})
    [dataset] = await datasets(await opened(rooms, study))
    assert str(dataset.PatientName) == "Right^A"


async def test_the_subject_is_called_right_too(rooms: Rooms) -> None:
    study, patient_id = generate_uid(), ids.code()
    await rooms.store(instance(StudyInstanceUID=study, PatientID=patient_id, PatientName="Wrung^A"))
    viewing = await opened(rooms, study)
    await correct(rooms, study, {NAME: "Right^A"})
    subject = await rooms.people.subject(rooms.hospital, viewing.study.subject_id)
    assert (subject.demographics.name, subject.demographics.sex) == ("Right^A", "M")
    # Another patient's number says that it was somebody else's study: the subject is not renamed.
    await correct(rooms, study, {NAME: "Other^B", PATIENT_ID: ids.code()})
    subject = await rooms.people.subject(rooms.hospital, viewing.study.subject_id)
    assert subject.demographics.name == "Right^A"


async def test_ready_made_metadata_of_before_is_gone_and_does_not_come_back(rooms: Rooms) -> None:
    study = generate_uid()
    await rooms.store(instance(StudyInstanceUID=study, PatientName="Wrung^A"))
    viewing = await opened(rooms, study)
    late = await viewing.description()
    kept: list[Any] = []

    async def held_back(permit: Any, made: Any) -> None:
        kept.append((permit, made))

    keep, rooms.archive.keep_described = rooms.archive.keep_described, held_back  # type: ignore[method-assign]
    try:
        await late.tell("http://x")
    finally:
        rooms.archive.keep_described = keep  # type: ignore[method-assign]
    await keep(*kept[0])

    async def rows() -> int:
        async with rooms.database.transaction(rooms.hospital) as connection:
            cursor = await connection.execute(
                "select count(*) as n from series_metadata m join series r on r.id = m.series_id where r.study_id = %s",
                (viewing.study.id,),
            )
            (row,) = await cursor.fetchall()
            return int(row["n"])

    assert await rows() == 1
    await correct(rooms, study, {NAME: "Right^A"})
    assert await rows() == 0
    await keep(*kept[0])  # a reader that was slow
    assert await rows() == 0
    await (await (await opened(rooms, study)).description()).tell("http://x")
    assert await rows() == 1


async def test_a_backup_holds_old_bytes_back(rooms: Rooms) -> None:
    study = generate_uid()
    await rooms.store(instance(StudyInstanceUID=study, PatientName="Wrung^A"))
    old = await locators(rooms, study)
    async with rooms.archive.releasing.holding():
        await correct(rooms, study, {NAME: "Right^A"})
        assert any(stored_bytes(rooms, old[0]))
        assert await rooms.archive.releasing.release(await rooms.may_query()) >= 1
        assert any(stored_bytes(rooms, old[0]))
    assert await rooms.archive.releasing.release(await rooms.may_query()) == 0
    assert not any(stored_bytes(rooms, old[0]))
