"""Whoever reads, corrects or backs up while a study is corrected, and what breaks in between."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from pydicom.uid import generate_uid

from tests.unit.archive.corrections import (
    NAME,
    correct,
    datasets,
    document,
    locators,
    opened,
    read,
    stored_bytes,
)
from tests.unit.archive.rooms import Rooms, instance
from troth import dicom
from troth.archive import (
    StoredBytesBroken,
    StudyChanged,
)


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
        assert (await viewing.frame(record, 1)).is_whole
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
