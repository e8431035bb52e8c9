"""Instances in conflict with what is held, who resolves them, and what is kept apart then."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import UUID

import pydicom
from pydicom.uid import generate_uid

from tests.unit.archive.rooms import MINUTE, Rooms, instance
from troth.kit import clock, ids
from troth.policy import Actor, Permit, Target


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


async def study_id(rooms: Rooms, study: str) -> UUID:
    target = await rooms.archive.target(rooms.actor("office"), study)
    assert target.id is not None
    return target.id
