"""A destination that keeps to no rule costs an instance, never the service."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.common import dimse as wire
from troth.doors.dimse import Limits
from troth.doors.dimse import command as dimse
from troth.doors.dimse.errors import AssociationFailed, PeerGone
from troth.doors.dimse.requestor import Callee, Requestor

QUICK = Limits(connect_seconds=1.0, response_seconds=1.0, idle_seconds=1.0, artim_seconds=0.5)
IMPLICIT = "1.2.840.10008.1.2"
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def destination(behave: Behaviour) -> AsyncIterator[Callee]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield Callee("127.0.0.1", server.sockets[0].getsockname()[1], "THERE", "TROTH")
    server.close()


async def pdu(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind, length = struct.unpack(">BxI", await reader.readexactly(6))
    return kind, await reader.readexactly(length)


def accept(result: int = 0, syntax: str = IMPLICIT, max_pdu: int = 16384) -> bytes:
    body = struct.pack(">Hxx", 1) + bytes(64)
    body += wire.item(0x10, b"1.2.840.10008.3.1.1.1")
    body += wire.item(0x21, bytes([1, 0, result, 0]) + wire.item(0x40, syntax.encode()))
    body += wire.item(0x50, wire.item(0x51, struct.pack(">I", max_pdu)))
    return struct.pack(">BxI", 2, len(body)) + body


def answered(status: int, number: int = 1) -> bytes:
    command = wire.command_set(
        wire.element(0x100, wire.short(0x8001))
        + wire.element(0x120, wire.short(number))
        + wire.element(0x800, wire.short(0x101))
        + wire.element(0x900, wire.short(status))
    )
    return wire.data(wire.pdv(1, 3, command))


async def pieces(*octets: bytes) -> AsyncIterator[bytes]:
    for one in octets:
        yield one


async def call(callee: Callee) -> Requestor:
    return await Requestor.open(callee, [(wire.CT, [IMPLICIT])], QUICK)


async def test_an_instance_arrives_in_pieces_of_the_size_that_is_taken() -> None:
    got = bytearray()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await pdu(reader))[0] == 1
        writer.write(accept(max_pdu=100))
        while True:
            kind, body = await pdu(reader)
            assert kind == 4
            assert len(body) <= 100
            if not body[5] & 1:
                got.extend(body[6:])
                if body[5] & 2:
                    break
        writer.write(answered(0xB000))
        assert (await pdu(reader))[0] == 5
        writer.write(struct.pack(">BxI4x", 6, 4))

    async with destination(behave) as callee:
        requestor = await call(callee)
        assert requestor.place(wire.CT, IMPLICIT) == 1
        assert requestor.syntaxes(wire.CT) == [IMPLICIT]
        command = dimse.store_request(
            requestor.new_message_id(), wire.CT, "1.2.3", moved_for="ASKER", moved_for_message=7
        )
        response = await requestor.send(1, command, pieces(b"x" * 1000, b"", b"y" * 250))
        assert response.status == 0xB000
        await requestor.release()
        assert not requestor.is_open
    assert bytes(got) == b"x" * 1000 + b"y" * 250


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        struct.pack(">BxIxBBB", 3, 4, 1, 1, 7),
        struct.pack(">BxI4x", 7, 4),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        struct.pack(">BxI", 2, 0xFFFFFFFF),
        struct.pack(">BxI", 2, 4) + bytes(4),
        struct.pack(">BxI", 2, 72) + bytes(68) + b"\x21\0\xff\xff",
    ],
    ids=["closed", "rejected", "aborted", "http", "huge", "short", "crooked"],
)
async def test_an_association_that_fails(answer: bytes) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pdu(reader)
        writer.write(answer)

    async with destination(behave) as callee:
        with pytest.raises(AssociationFailed):
            await call(callee)


@pytest.mark.conformance("limit connect_seconds")
async def test_nobody_there_and_nobody_who_answers() -> None:
    with pytest.raises(AssociationFailed):
        await call(Callee("127.0.0.1", 1, "THERE", "TROTH"))

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3)

    async with destination(silent) as callee:
        with pytest.raises(AssociationFailed):
            await call(callee)


async def test_what_was_not_accepted_has_no_place() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pdu(reader)
        writer.write(accept(result=3))

    async with destination(behave) as callee:
        requestor = await call(callee)
        assert requestor.place(wire.CT, IMPLICIT) is None
        requestor.abort()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        struct.pack(">BxI4x", 7, 4),
        struct.pack(">BxI", 4, 0xFFFFFFF0),
        wire.data(wire.pdv(1, 3, b"\0\0\2\0\xff\xff\xff\xff")),
        wire.data(wire.pdv(1, 1, b"\0" * 16000)) * 3,
        None,
    ],
    ids=["closed", "aborted", "huge", "crooked", "endless command", "silent"],
)
@pytest.mark.conformance("limit response_seconds")
async def test_a_response_that_does_not_come(answer: bytes | None) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pdu(reader)
        writer.write(accept())
        while (await pdu(reader))[1][5] != 2:
            pass
        if answer is None:
            await asyncio.sleep(3)
        else:
            writer.write(answer)
            await writer.drain()
            await asyncio.sleep(0.1)

    async with destination(behave) as callee:
        requestor = await call(callee)
        command = dimse.store_request(1, wire.CT, "1.2.3")
        with pytest.raises(PeerGone):
            await requestor.send(1, command, pieces(b"x" * 10))
        assert not requestor.is_open


async def test_a_data_set_that_ends_in_the_middle_ends_the_association_and_one_that_never_began_does_not() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pdu(reader)
        writer.write(accept())
        while (await pdu(reader))[0] != 7:
            pass

    async def refused(after: int) -> AsyncIterator[bytes]:
        for _ in range(after):
            yield b"xx"
        raise PermissionError

    async with destination(behave) as callee:
        requestor = await call(callee)
        with pytest.raises(PermissionError):
            await requestor.send(1, dimse.store_request(1, wire.CT, "1.2.3"), refused(0))
        assert requestor.is_open
        with pytest.raises(PermissionError):
            await requestor.send(1, dimse.store_request(2, wire.CT, "1.2.3"), refused(1))
        assert not requestor.is_open
