"""What we send ourselves, against our own listener."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from tests.common.dimse import RecordingRooms, Served
from troth.doors.dimse import Limits, scu
from troth.kit.errors import TooLarge


def files() -> list[bytes]:
    names = ("CT_small.dcm", "MR_small_RLE.dcm")
    return [Path(str(get_testdata_file(name, download=False))).read_bytes() for name in names]


@pytest.mark.conformance("SCU Storage disclosure")
async def test_send_and_echo() -> None:
    rooms = RecordingRooms()
    async with Served(rooms, Limits(drain_seconds=1.0)) as served:
        titles = {"calling_ae": "MODALITY", "called_ae": "TROTH"}
        assert await asyncio.to_thread(scu.echo, "127.0.0.1", served.port, **titles)
        assert await asyncio.to_thread(scu.send, files(), "127.0.0.1", served.port, **titles) == [0, 0]
        assert [one.syntax for one in rooms.archive.stored] == ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"]
        rooms.archive.store_fault = TooLarge()
        assert await asyncio.to_thread(scu.send, files()[:1], "127.0.0.1", served.port, **titles) == [0xA700]


async def test_a_stranger_sends_nothing() -> None:
    async with Served(RecordingRooms(), Limits(drain_seconds=1.0)) as served:
        titles = {"calling_ae": "STRANGER", "called_ae": "TROTH"}
        assert not await asyncio.to_thread(scu.echo, "127.0.0.1", served.port, **titles)
        assert await asyncio.to_thread(scu.send, files(), "127.0.0.1", served.port, **titles) == [-1, -1]
