"""The look through all that is held: what it finds is shown elsewhere (tests/promises), here what it costs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.archive.rooms import Rooms, instance
from troth.archive import store, tampering


async def test_each_study_is_looked_at_once(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = {(await rooms.store(instance()))[0].study_uid for _ in range(5)}
    looked, really_read = list[str](), store.studies_after

    async def read(*told: Any, **named: Any) -> list[Any]:
        rows = await really_read(*told, **named)
        looked.extend(row["study_uid"] for row in rows)
        return rows

    monkeypatch.setattr(store, "studies_after", read)
    monkeypatch.setattr(tampering, "_PAGE", 2)
    found = await rooms.archive.tampering.found(rooms.hospital.id)
    assert (list(found.altered), list(found.returned)) == ([], [])
    assert sent <= set(looked)
    assert len(looked) == len(set(looked))
