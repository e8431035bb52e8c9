from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydicom.uid import generate_uid

from tests.unit.archive.rooms import Rooms, instance
from troth.archive import Match, OtherStudy, Query, store
from troth.kit.db import DatabaseUnavailable

STUDY = 0x0020000D


@pytest.mark.parametrize("missed", ["studies", "series", "instances"])
async def test_what_another_process_commits_between_two_looks_is_no_refusal(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch, missed: str
) -> None:
    study, series = generate_uid(), generate_uid()
    first, second = (instance(StudyInstanceUID=study, SeriesInstanceUID=series, PatientID="TORN") for _ in range(2))
    assert [outcome.state for outcome in await rooms.store(first)] == ["stored"]
    look = store.held
    looks = 0

    async def torn(*arguments: Any, **wanted: Any) -> store.Held:
        nonlocal looks
        looks += 1
        held = await look(*arguments, **wanted)
        return held | {missed: []} if looks == 1 else held

    monkeypatch.setattr(store, "held", torn)
    rival = type(rooms.archive)(rooms.database, rooms.keyring, rooms.packs, rooms.people, rooms.ledger, rooms.policy)
    received = []
    for content in (first, second):
        receiver = rival.receiver(None)
        receiver.feed(content)
        received.append(receiver.finish())
    outcomes = await rival.store(await rooms.may_store(), received)
    assert [outcome.state for outcome in outcomes] == ["already_held", "stored"]
    assert looks > 1


async def test_a_series_of_another_study_is_refused_also_when_both_are_new(rooms: Rooms) -> None:
    series = generate_uid()
    first, second = (instance(SeriesInstanceUID=series, PatientID="SAME") for _ in range(2))
    outcomes = await rooms.store(first, second)
    assert [outcome.state for outcome in outcomes] == ["stored", "refused"]
    assert isinstance(outcomes[1].error, OtherStudy)
    (again,) = await rooms.store(second)
    assert isinstance(again.error, OtherStudy)


async def test_nobody_is_answered_before_what_is_shared_is_flushed(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With others on their way a batch commits without waiting for the disk, and one flush makes all durable."""
    flushes: list[asyncio.Future[None]] = []

    def flushing() -> asyncio.Future[None]:
        flushes.append(asyncio.get_running_loop().create_future())
        return flushes[-1]

    study = {"StudyInstanceUID": generate_uid(), "PatientID": "SHARED"}
    await rooms.store(instance(**study))
    content = instance(**study)
    monkeypatch.setattr(rooms.database, "flushing", flushing)
    await rooms.store(instance(**study))
    assert not flushes, "alone: one durable commit"

    other = rooms.archive.receiver(None)
    waiting = asyncio.ensure_future(rooms.store(content))
    while not flushes:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert not waiting.done()
    page = await rooms.archive.query(await rooms.may_query(), Query(matches=(Match(STUDY, study["StudyInstanceUID"]),)))
    assert [found.study.instance_count for found in page.found] == [3], "others see it already"
    flushes[0].set_result(None)
    assert [outcome.state for outcome in await waiting] == ["stored"]
    other.abort()

    again = asyncio.ensure_future(rooms.store(content))
    while len(flushes) < 2:
        await asyncio.sleep(0.01)
    assert not again.done(), "what is held already may be just that: committed, not flushed"
    flushes[1].set_exception(DatabaseUnavailable())
    with pytest.raises(DatabaseUnavailable):
        await again
