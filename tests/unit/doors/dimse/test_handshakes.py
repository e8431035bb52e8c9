"""Handshakes that fail or never end leave nothing behind and stand in nobody's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.common import dimse as wire
from tests.common.certificates import self_signed
from tests.common.dimse import RecordingRooms
from troth.doors import dimse
from troth.doors.dimse.handshakes import Handshakes
from troth.doors.dimse.tls import client_context, fingerprint, fingerprint_of, server_context


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    self_signed(tmp_path, "ours")
    self_signed(tmp_path, "theirs")
    (tmp_path / "all.pem").write_bytes((tmp_path / "ours.pem").read_bytes() + (tmp_path / "theirs.pem").read_bytes())
    return tmp_path


@pytest.fixture
async def listener(folder: Path) -> AsyncIterator[dimse.Listener]:
    made = dimse.create(RecordingRooms(), dimse.Limits(pending=8, artim_seconds=2.0, drain_seconds=0.5))
    await made.start("127.0.0.1", 0, tls=server_context(folder / "ours.pem", folder / "ours.key", folder / "all.pem"))
    yield made
    await made.stop()


async def echo(listener: dimse.Listener, folder: Path) -> int:
    tls = client_context(folder / "theirs.pem", folder / "theirs.key", folder / "all.pem")
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=tls)
    assert fingerprint(writer.get_extra_info("ssl_object")) == fingerprint_of((folder / "ours.pem").read_text())
    peer = wire.RawPeer(reader, writer)
    peer.send(wire.associate_request())
    assert (await peer.pdu())[0] == 2
    peer.send(wire.data(wire.pdv(1, 3, wire.echo_command())))
    status = await peer.status()
    peer.hang_up()
    return status


async def test_silent_connections_cost_the_oldest_of_them(listener: dimse.Listener, folder: Path) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(60)]
    assert await echo(listener, folder) == 0
    handshakes = listener._server
    assert isinstance(handshakes, Handshakes)
    assert handshakes.under_way <= 8
    for reader, _ in idle[:50]:
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(1), 5) == b""
    for _, writer in idle:
        writer.close()


async def test_what_is_no_tls_leaves_nothing_behind(listener: dimse.Listener, folder: Path) -> None:
    for octets in (b"GET / HTTP/1.1\r\n\r\n", wire.associate_request(), b"\x16\x03\x01\xff\xff" + bytes(100), b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(octets)
        if not octets:
            writer.close()
        with suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert await echo(listener, folder) == 0
    for _ in range(100):
        if not listener._all and not listener._outside:
            break
        await asyncio.sleep(0.05)
    assert not listener._all
    assert not listener._outside
