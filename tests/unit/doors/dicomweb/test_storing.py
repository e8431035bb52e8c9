from __future__ import annotations

import tracemalloc

import pytest
from pydicom.uid import generate_uid

from tests.unit.archive.rooms import instance
from tests.unit.doors.dicomweb.conftest import House
from tests.unit.doors.dicomweb.test_app import stow, uids


async def refusals(house: House) -> list[tuple[str, int]]:
    events = await house.rooms.events("archive:instance:refused")
    assert all(event.outcome == "refused" and event.actor_kind == "peer" for event in events)
    return [(str((event.payload or {})["reason"]), event.counts["instances"]) for event in events]


async def test_what_cannot_be_read_is_in_the_ledger(house: House) -> None:
    before = await refusals(house)
    assert (await stow(house, instance())).status_code == 200
    assert await refusals(house) == before
    assert (await stow(house, b"no DICOM" * 40, instance()[:-9], b"none" * 40)).status_code == 409
    assert sorted((await refusals(house))[: -len(before) or None]) == [("dicom-not-dicom", 2), ("dicom-truncated", 1)]


async def test_an_instance_sent_to_another_study_is_in_the_ledger(house: House) -> None:
    before = await refusals(house)
    other = instance()
    assert (await stow(house, other, to=f"/studies/{generate_uid()}")).status_code == 409
    assert (await refusals(house))[: -len(before) or None] == [("study-mismatch", 1)]
    assert (await stow(house, other, to=f"/studies/{uids(other).StudyInstanceUID}")).status_code == 200


@pytest.mark.asvs("V16.3.3")
async def test_a_broken_message_is_in_the_ledger(house: House) -> None:
    before = await refusals(house)
    kind = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}
    async with house.sender() as client:
        assert (await client.post("/studies", content=b"no part", headers=kind)).status_code == 400
        assert (await client.post("/studies", content=b"--xtra\r\n", headers=kind)).status_code == 400
    assert (await refusals(house))[: -len(before) or None] == [("multipart-broken", 1)]


async def test_thousands_of_bad_parts_are_one_failure_with_a_count(house: House) -> None:
    body = b"--b-1\r\n\r\nx\r\n" * 3_000 + b"--b-1\r\nContent-Type: x/y\r\n\r\nx\r\n" * 3_000 + b"--b-1--"
    kind = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b-1'}
    async with house.sender() as client:
        tracemalloc.start()
        answer = await client.post("/studies", content=body, headers=kind)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert answer.status_code == 409
    assert len(answer.json()["0008119A"]["Value"]) == 6_000
    assert peak < 12 << 20
