"""The listener as a whole: how many it bears, how it stops, whose socket and loop it takes."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import struct
from uuid import UUID

import psutil
import pytest
import uvloop

from tests.common import dimse as wire
from tests.common.dimse import RecordingRooms, Served
from tests.unit.doors.dimse.test_association import PATIENT, STRANGE, still_serves, store
from troth.doors.dimse import Limits


@pytest.mark.conformance("association idle", "limit pending")
async def test_ten_thousand_silent_sockets_do_not_stop_service() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    process = psutil.Process()
    async with Served(RecordingRooms(), Limits(pending=64, drain_seconds=1.0)) as served:
        before = process.memory_info().rss
        peers: list[wire.RawPeer] = []
        for number in range(10_000 // 20):
            peers += [await served.dial() for _ in range(20)]
            for peer in peers:
                if number % 5 == 0:
                    peer.send(b"\x01\x00\x00\x00\xf0\x00")  # announces 60 KB and sends none of it
            while len(peers) > 200:  # our own end is what needs the file descriptors here
                peers.pop(0).hang_up()
        await still_serves(served)
        assert served.listener.tally.connected >= 10_000
        assert process.memory_info().rss - before < 64 << 20
        for peer in peers:
            peer.hang_up()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.conformance("reject 2 3 2", "limit associations", "limit associations_per_peer")
async def test_associations_are_limited_for_one_peer_and_for_all() -> None:
    rooms = RecordingRooms()
    rooms.people.known.add(("SECOND", "TROTH"))
    async with Served(
        rooms, Limits(associations=3, associations_per_peer=2, associations_kept=0, drain_seconds=1.0)
    ) as served:
        first = [await served.associate() for _ in range(2)]
        third = await served.dial()
        third.send(wire.associate_request())
        assert await third.pdu() == (3, b"\0\2\3\2")
        second = await served.associate(calling="SECOND")
        fourth = await served.dial()
        fourth.send(wire.associate_request(calling="SECOND"))
        assert await fourth.pdu() == (3, b"\0\2\3\2")
        first[0].hang_up()
        while served.listener.associations == 3:
            await asyncio.sleep(0.01)
        await still_serves(served)
        for peer in (*first, second, third, fourth):
            peer.hang_up()


@pytest.mark.conformance("limit associations_kept", "limit associations_in_all")
async def test_an_organisation_that_takes_every_place_leaves_others_theirs() -> None:
    rooms = RecordingRooms()
    crowd = [f"CROWD{number}" for number in range(4)]
    rooms.people.known |= {(title, "TROTH") for title in crowd}
    rooms.people.tenants |= {"OTHER": UUID(int=8), "THIRD": UUID(int=9)}
    rooms.people.known |= {("OTHER", "TROTH"), ("THIRD", "TROTH")}
    limits = Limits(
        associations=6, associations_per_peer=2, associations_kept=2, associations_in_all=9, drain_seconds=1.0
    )
    async with Served(rooms, limits) as served:
        held = [await served.associate(calling=title) for title in crowd[:3] for _ in range(2)]

        async def is_refused(title: str) -> bool:
            peer = await served.dial()
            held.append(peer)
            peer.send(wire.associate_request(calling=title))
            return await peer.pdu() == (3, b"\0\2\3\2")

        assert await is_refused(crowd[3])
        held += [await served.associate(calling="OTHER") for _ in range(2)]
        assert await is_refused("OTHER")
        held.append(await served.associate(calling="THIRD"))
        assert await is_refused("THIRD"), "there are nine in all"
        for peer in held:
            peer.hang_up()


@pytest.mark.conformance("reject 2 3 1", "limit deciding")
async def test_more_requests_than_are_decided_at_once_are_asked_to_come_later() -> None:
    async with Served(RecordingRooms(), Limits(deciding=0, drain_seconds=1.0)) as served:
        peer = await served.dial()
        peer.send(wire.associate_request())
        assert await peer.pdu() == (3, b"\0\2\3\1")
        peer.hang_up()


@pytest.mark.conformance("limit drain_seconds")
async def test_stop_lets_a_running_store_end() -> None:
    async with Served(RecordingRooms(), PATIENT) as served:
        archive = served.rooms.archive
        archive.may_go_on.clear()
        busy, idle, silent = await served.associate(), await served.associate(), await served.dial()
        store(busy)
        await asyncio.wait_for(archive.entered.wait(), 5)
        port = served.port
        stopping = asyncio.create_task(served.listener.stop())
        assert (await idle.pdu())[0] == 7
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        assert not stopping.done()
        archive.may_go_on.set()
        assert await busy.status() == 0
        assert (await busy.pdu())[0] == 7
        await stopping
        await silent.closed()
        assert len(archive.stored) == 1
        await served.listener.start("127.0.0.1", 0)
        await still_serves(served)


async def test_stop_does_not_wait_for_a_stalled_peer() -> None:
    async with Served(RecordingRooms(), Limits(drain_seconds=0.2)) as served:
        peer = await served.associate()
        peer.send(wire.data(wire.pdv(3, 3, wire.store_command())))
        await asyncio.sleep(0.05)
        await served.listener.stop()
        await peer.closed()


async def test_a_socket_bound_by_somebody_else_is_served() -> None:
    served = Served(RecordingRooms(), Limits(drain_seconds=1.0))
    bound = socket.create_server(("127.0.0.1", 0))
    await served.listener.start("", 0, sock=bound)
    assert served.port == bound.getsockname()[1]
    await still_serves(served)
    await served.listener.stop()


async def test_the_loop_that_production_uses() -> None:
    async def talk() -> int:
        async with Served(RecordingRooms(), PATIENT) as served:
            for octets in (STRANGE["HTTP"], STRANGE["4 GB association"]):
                stranger = await served.dial()
                stranger.send(octets)
                assert (await stranger.pdu())[0] == 7
            peer = await served.associate()
            for number in range(20):
                noise = os.urandom(50_000)
                pixels = struct.pack("<HH2sxxI", 0x7FE0, 0x10, b"OW", len(noise)) + noise
                store(peer, wire.store_command(f"1.2.{number}"), wire.tiny_dataset(f"1.2.{number}") + pixels)
            assert [await peer.status() for _ in range(20)] == [0] * 20
            peer.send(wire.RELEASE)
            assert (await peer.pdu())[0] == 6
            peer.hang_up()
            return len(served.rooms.archive.stored)

    assert await asyncio.to_thread(uvloop.run, talk()) == 20
