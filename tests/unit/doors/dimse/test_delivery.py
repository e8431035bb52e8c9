from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.common.dimse import (
    Outcome,
    RecordingRooms,
    Served,
    data,
    pdv,
    store_command,
    tiny_dataset,
)
from troth.archive import DuplicateDiffers
from troth.doors import dimse


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with Served(RecordingRooms(), dimse.Limits(drain_seconds=1.0)) as served:
        yield served


async def store(served: Served, dataset: bytes, instance_uid: str = "1.2.3.4") -> int:
    peer = await served.associate()
    peer.send(data(pdv(3, 3, store_command(instance_uid))) + data(pdv(3, 2, dataset)))
    status = await peer.status()
    peer.hang_up()
    return status


async def test_what_cannot_be_stored_is_told_once(served: Served) -> None:
    archive = served.rooms.archive
    assert await store(served, tiny_dataset()) == 0
    assert archive.refused == []
    assert await store(served, b"no data set at all") == 0xC000
    assert [fault.slug for fault in archive.refused] == ["bad-input"]
    assert await store(served, tiny_dataset(), instance_uid="1.2.3.5") == 0xA900
    assert [fault.slug for fault in archive.refused] == ["bad-input", "uids-differ"]


async def test_what_was_coerced_is_stored_with_a_warning(served: Served) -> None:
    archive = served.rooms.archive
    archive.outcome = Outcome("stored", is_coerced=True)
    assert await store(served, tiny_dataset()) == 0xB000
    assert len(archive.stored) == 1
    assert archive.refused == []


async def test_what_the_archive_refused_it_has_told_itself(served: Served) -> None:
    archive = served.rooms.archive
    archive.outcome = Outcome("refused", DuplicateDiffers())
    assert await store(served, tiny_dataset()) == 0x0111
    assert archive.refused == []


async def test_what_the_peer_may_not_do_is_told_by_the_policy(served: Served) -> None:
    served.rooms.policy.is_allowed = False
    assert await store(served, tiny_dataset()) == 0x0124
    assert served.rooms.archive.refused == []
