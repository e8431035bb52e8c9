"""Correct a study, and read what it says then."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import UUID

import pydicom
from pydicom.uid import EncapsulatedPDFStorage

from tests.unit.archive.rooms import Rooms, instance
from troth.archive import (
    Match,
    Query,
    Viewing,
)
from troth.archive import attributes as tags

NAME, PATIENT_ID, BIRTH, SEX = tags.PATIENT_NAME, tags.PATIENT_ID, tags.BIRTH_DATE, tags.SEX


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
