from __future__ import annotations

from typing import Any

import pytest
from pydicom.uid import generate_uid

from tests.unit.archive.rooms import Rooms, instance
from troth.archive import OtherStudy, store


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
