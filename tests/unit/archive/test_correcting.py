"""A corrected study says what is right wherever it is read, and what it was before in each instance only."""

from __future__ import annotations

import os
from io import BytesIO

import pytest
from pydicom.uid import generate_uid

from tests.unit.archive.corrections import (
    BIRTH,
    NAME,
    PATIENT_ID,
    SEX,
    correct,
    datasets,
    document,
    locators,
    named,
    opened,
    read,
    stored_bytes,
    study_of,
)
from tests.unit.archive.rooms import Rooms, instance, real_files
from troth import dicom
from troth.archive import (
    CorrectionRefused,
    StudyNotFound,
    WasErased,
    WrongPermit,
)
from troth.archive import attributes as tags
from troth.kit import ids
from troth.policy import PermitDenied


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
