from __future__ import annotations

import asyncio
from datetime import timedelta
from io import BytesIO

import numpy as np
import pydicom
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydicom.uid import generate_uid

from tests.unit.archive.rooms import Rooms, instance, real_files
from troth import dicom
from troth.archive import (
    DuplicateDiffers,
    Match,
    OtherPatient,
    OtherStudy,
    PermitExpired,
    Query,
    StudyNotFound,
    Viewing,
    WasErased,
    WrongPermit,
)
from troth.kit import clock
from troth.people import SubjectNotFound
from troth.policy import PermitDenied
from troth.vault import SEGMENT_BYTES, KeyDestroyed, segments


def read(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(content))


async def whole(viewing: Viewing, instance_uid: str) -> bytes:
    return b"".join([chunk async for chunk in viewing.part10(await viewing.instance(instance_uid))])


async def opened(rooms: Rooms, study_uid: str) -> Viewing:
    return await rooms.archive.open_study(await rooms.may_open(study_uid), study_uid)


async def test_what_is_stored_comes_back_whole(rooms: Rooms) -> None:
    sent = instance()
    (outcome,) = await rooms.store(sent)
    assert outcome.state == "stored"
    viewing = await opened(rooms, outcome.study_uid)
    record = await viewing.instance(outcome.instance_uid)
    back = await whole(viewing, outcome.instance_uid)
    assert len(back) == viewing.part10_bytes(record)
    assert read(back) == read(sent)
    verified = await viewing.verify(record)
    assert verified.length_bytes == record.length_bytes
    assert (await viewing.frame(record, 1)).first == read(sent).PixelData
    await viewing.close()
    (event,) = await rooms.events("archive:study:opened")
    assert event.payload is not None
    assert event.payload["actor"] == "A clinician"
    assert event.payload["study_description"] == "CT Chest with contrast"
    (closed,) = await rooms.events("archive:viewing:closed")
    assert closed.counts["frames"] == 1
    with pytest.raises(StudyNotFound):
        await viewing.frame(record, 1)


async def test_same_bytes_again_are_held_already_and_other_bytes_are_refused(rooms: Rooms) -> None:
    uid = generate_uid()
    study = generate_uid()
    series = generate_uid()
    first = instance(SOPInstanceUID=uid, StudyInstanceUID=study, SeriesInstanceUID=series)
    other = instance(SOPInstanceUID=uid, StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=9)
    new = instance(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=2)
    assert [outcome.state for outcome in await rooms.store(first)] == ["stored"]
    held, refused, stored = await rooms.store(first, other, new)
    assert (held.state, refused.state, stored.state) == ("already_held", "refused", "stored")
    assert isinstance(refused.error, DuplicateDiffers)
    assert refused.reason == 0x0111
    viewing = await opened(rooms, study)
    assert read(await whole(viewing, uid)) == read(first)
    assert viewing.study.instance_count == 2
    (told,) = await rooms.events("archive:instance:quarantined")
    assert told.payload is not None
    assert told.payload["reason"] == "duplicate-differs"


async def test_twins_in_one_batch(rooms: Rooms) -> None:
    uid, study, series = generate_uid(), generate_uid(), generate_uid()
    same = instance(SOPInstanceUID=uid, StudyInstanceUID=study, SeriesInstanceUID=series)
    differs = instance(SOPInstanceUID=uid, StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=3)
    outcomes = await rooms.store(same, same, differs)
    assert [outcome.state for outcome in outcomes] == ["stored", "already_held", "refused"]


@pytest.mark.asvs("V2.2.3")
async def test_one_study_is_never_of_two_patients(rooms: Rooms) -> None:
    study = generate_uid()
    outcomes = await rooms.store(
        instance(StudyInstanceUID=study, PatientID="A"), instance(StudyInstanceUID=study, PatientID="B")
    )
    assert [outcome.state for outcome in outcomes] == ["stored", "refused"]
    assert isinstance(outcomes[1].error, OtherPatient)
    (again,) = await rooms.store(instance(StudyInstanceUID=study, PatientID="A", IssuerOfPatientID="elsewhere"))
    assert isinstance(again.error, OtherPatient)


@pytest.mark.asvs("V2.2.3")
async def test_one_series_is_never_of_two_studies(rooms: Rooms) -> None:
    series = generate_uid()
    outcomes = await rooms.store(instance(SeriesInstanceUID=series), instance(SeriesInstanceUID=series))
    assert isinstance(outcomes[1].error, OtherStudy)


@pytest.mark.conformance("security tenants")
async def test_same_patient_id_elsewhere_is_somebody_else(rooms: Rooms) -> None:
    study = generate_uid()
    content = instance(StudyInstanceUID=study)
    (ours,) = await rooms.store(content)
    (theirs,) = await rooms.store(content, organisation=rooms.other)
    assert (ours.state, theirs.state) == ("stored", "stored")
    here = await rooms.archive.target(rooms.actor("clinician"), study)
    there = await rooms.archive.target(rooms.actor("clinician", rooms.other), study)
    assert here.id != there.id
    assert here.subject_id != there.subject_id


async def test_not_yours_is_not_there(rooms: Rooms) -> None:
    (outcome,) = await rooms.store(instance())
    stranger = rooms.actor("clinician", rooms.other)
    target = await rooms.archive.target(stranger, outcome.study_uid)
    nothing = await rooms.archive.target(stranger, generate_uid())
    assert target == nothing
    with pytest.raises(PermitDenied):
        await rooms.policy.require(stranger, "retrieve", target, "diagnosis")


async def test_many_at_once_make_one_study(rooms: Rooms) -> None:
    study = generate_uid()
    series = [generate_uid(), generate_uid()]
    files = [
        instance(StudyInstanceUID=study, SeriesInstanceUID=series[number % 2], InstanceNumber=number, PatientID="MANY")
        for number in range(24)
    ]
    # A second archive over the same database races with the first, as another process would.
    rival = type(rooms.archive)(rooms.database, rooms.keyring, rooms.packs, rooms.people, rooms.ledger, rooms.policy)
    ours = rooms.archive

    async def store(archive: object, content: bytes) -> str:
        receiver = ours.receiver(None)
        receiver.feed(content)
        (outcome,) = await archive.store(await rooms.may_store(), [receiver.finish()])  # type: ignore[attr-defined]
        return outcome.state

    states = await asyncio.gather(*(store((ours, rival)[n % 2], content) for n, content in enumerate(files)))
    assert set(states) == {"stored"}
    viewing = await opened(rooms, study)
    assert (viewing.study.series_count, viewing.study.instance_count) == (2, 24)
    assert [one.instance_count for one in await viewing.series()] == [12, 12]
    assert len(await viewing.instances()) == 24


async def test_every_real_file_comes_back_as_it_went_in(rooms: Rooms) -> None:
    stored = 0
    for path in real_files():
        receiver = rooms.archive.receiver(None)
        try:
            receiver.feed(path.read_bytes())
            received = receiver.finish()
        except dicom.Malformed:
            receiver.abort()
            continue
        except dicom.SyntaxUnknown:
            receiver.abort()
            continue
        (outcome,) = await rooms.archive.store(await rooms.may_store(), [received])
        if outcome.state == "refused":
            continue
        stored += outcome.state == "stored"
        viewing = await opened(rooms, outcome.study_uid)
        back = await whole(viewing, outcome.instance_uid)
        header, bulk = dicom.scan(back)
        assert header.head == received.header.head, path.name
        assert len(bulk) == received.header.bulk_bytes
        await viewing.verify(await viewing.instance(outcome.instance_uid))
    assert stored > 30


async def test_a_viewing_ends_with_the_session(rooms: Rooms) -> None:
    (outcome,) = await rooms.store(instance())
    viewing = await opened(rooms, outcome.study_uid)
    record = await viewing.instance(outcome.instance_uid)
    rooms.moment.session_alive = False
    try:
        assert (await viewing.frame(record, 1)).first
        with clock.moved(timedelta(seconds=2)), pytest.raises(PermitDenied):
            await viewing.frame(record, 1)
    finally:
        rooms.moment.session_alive = True
    with clock.moved(timedelta(seconds=2)):
        assert (await viewing.frame(record, 1)).first


async def test_a_long_viewing_is_written_anew(rooms: Rooms) -> None:
    (outcome,) = await rooms.store(instance())
    viewing = await opened(rooms, outcome.study_uid)
    before = len(await rooms.events("archive:study:opened"))
    with clock.moved(timedelta(minutes=6)):
        assert viewing.is_over
        await viewing.check()
        assert not viewing.is_over
    assert len(await rooms.events("archive:study:opened")) == before + 1


async def test_a_permit_is_for_one_thing_and_five_minutes(rooms: Rooms) -> None:
    (outcome,) = await rooms.store(instance())
    (another,) = await rooms.store(instance())
    permit = await rooms.may_open(outcome.study_uid)
    with pytest.raises(StudyNotFound):
        await rooms.archive.open_study(permit, another.study_uid)
    with pytest.raises(WrongPermit):
        await rooms.archive.store(permit, [])
    with clock.moved(timedelta(minutes=6)), pytest.raises(PermitExpired):
        await rooms.archive.open_study(permit, outcome.study_uid)
    assert await rooms.archive.open_study(permit, outcome.study_uid)


@pytest.mark.conformance("reason 0124", "C-STORE 0124")
async def test_erased_stays_erased(rooms: Rooms) -> None:
    content = instance(PatientID="GOES", PatientName="Zqxerase^Ann")
    more = instance(PatientID="GOES", PatientName="Zqxerase^Ann")
    (outcome,), (kept,) = await rooms.store(content), await rooms.store(more)
    (theirs,) = await rooms.store(content, organisation=rooms.other)
    viewing = await opened(rooms, outcome.study_uid)
    record = await viewing.instance(outcome.instance_uid)
    study = viewing.study
    permit = rooms.may_erase(study.id, study.subject_id)
    erasure = await rooms.archive.erase_study(permit, study.id)
    assert erasure.state == "erased"
    assert erasure.counts["instances"] == 1
    assert erasure.counts["tokens"] > 10
    assert (await rooms.archive.erase_study(permit, study.id)) == erasure
    with pytest.raises(KeyDestroyed):
        await viewing.frame(record, 1)
    with clock.moved(timedelta(seconds=2)), pytest.raises(PermitDenied):
        await viewing.check()
    found = await rooms.find(Query(matches=(Match(0x00100010, "ZQX*"),)))
    assert found == [kept.study_uid]
    # the same study again, another instance of it, the study under another PatientID: none comes back
    again = await rooms.store(content, instance(StudyInstanceUID=study.study_uid, PatientID="GOES"))
    other = await rooms.store(instance(StudyInstanceUID=study.study_uid, PatientID="SOMEBODY"))
    assert all(isinstance(one.error, WasErased) for one in again + other)
    assert len(await rooms.events("archive:study:refused_tombstone")) == 2
    assert await rooms.find(Query(matches=(Match(0x00100020, "GOES"),)), rooms.other) == [theirs.study_uid]


async def test_an_erasure_that_was_cut_short_is_ended(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    (outcome,) = await rooms.store(instance(PatientID="CUT"))
    study = (await opened(rooms, outcome.study_uid)).study
    permit = rooms.may_erase(study.id, study.subject_id)
    with monkeypatch.context() as patched:
        patched.setattr(rooms.keyring, "destroy", lambda refs: (_ for _ in ()).throw(RuntimeError("power cut")))
        with pytest.raises(RuntimeError):
            await rooms.archive.erase_study(permit, study.id)
    assert await rooms.find(Query(matches=(Match(0x00100020, "CUT"),))) == []
    (again,) = await rooms.store(instance(StudyInstanceUID=outcome.study_uid, PatientID="CUT"))
    assert isinstance(again.error, WasErased)

    async def broken(locators: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(rooms.packs, "free", broken)
        with pytest.raises(RuntimeError):
            await rooms.archive.erase_study(permit, study.id)
    assert await rooms.archive.resume_erasures(permit) == 1
    assert (await rooms.archive.erase_study(permit, study.id)).counts["instances"] == 1
    assert await rooms.archive.resume_erasures(permit) == 0


async def test_erase_subject(rooms: Rooms) -> None:
    first, second = await rooms.store(instance(PatientID="ALL"), instance(PatientID="ALL"))
    target = await rooms.archive.target(rooms.actor("clinician"), first.study_uid)
    assert target.subject_id is not None
    permit = rooms.may_erase(None, target.subject_id)
    assert len(await rooms.archive.studies_of_subject(permit, target.subject_id)) == 2
    assert len(await rooms.archive.erase_subject(permit, target.subject_id)) == 2
    assert await rooms.archive.studies_of_subject(permit, target.subject_id) == []
    assert second.state == "stored"
    with pytest.raises(SubjectNotFound):
        await rooms.archive.erase_subject(permit, target.subject_id)


async def test_nothing_of_a_name_lies_in_the_database(rooms: Rooms) -> None:
    await rooms.store(instance(PatientID="QWXYZPID", PatientName="Qwxyzname^Ann", StudyDescription="Qwxyzdescr"))
    async with rooms.database.transaction(rooms.hospital) as connection:
        for table in ("study", "series", "instance", "study_token", "erasure", "tombstone"):
            cursor = await connection.execute(f"select t::text as whole from {table} t")  # type: ignore[arg-type]
            text = " ".join([row["whole"] for row in await cursor.fetchall()]).lower()
            assert b"qwxyz".hex() not in text
            assert "qwxyz" not in text


async def test_each_sealed_segment_is_opened_once_for_a_frame_and_for_a_value(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames and values begin anywhere in their segments; the work is counted."""
    pixels = np.random.default_rng(7).integers(0, 4096, 3 * 1000 * 700, dtype="<u2").tobytes()
    sent = instance(Rows=1000, Columns=700, NumberOfFrames=3, PixelData=pixels)
    (outcome,) = await rooms.store(sent)
    viewing = await opened(rooms, outcome.study_uid)
    record = await viewing.instance(outcome.instance_uid)
    unsealed: list[int] = []
    really_open = segments.Place.open

    def counted(place: segments.Place, aead: AESGCM, stored: memoryview, first: int, last: int) -> list[bytes]:
        unsealed.extend(range(first, last + 1))
        return really_open(place, aead, stored, first, last)

    monkeypatch.setattr(segments.Place, "open", counted)
    length = 2 * 1000 * 700
    for number in (1, 2, 3):
        unsealed.clear()
        frame = await viewing.frame(record, number)
        assert not frame.is_whole
        start, stop = (number - 1) * length, number * length
        assert b"".join([piece async for piece in frame.pieces()]) == pixels[start:stop]
        assert unsealed == list(range(start // SEGMENT_BYTES, (stop - 1) // SEGMENT_BYTES + 1))
    value = await viewing.bulk_value(record, "7FE00010")
    assert value is not None
    unsealed.clear()
    assert (
        b"".join([piece async for piece in value.stream(start=length, stop=2 * length)]) == pixels[length : 2 * length]
    )
    assert unsealed == list(range(length // SEGMENT_BYTES, (2 * length - 1) // SEGMENT_BYTES + 1))
    await viewing.close()
