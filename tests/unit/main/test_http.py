from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from troth.main.http import MOST_BARE_BYTES, BoundedProtocol

PIECE = b"x" * 16_384


async def count(http_request: Request) -> Response:
    return PlainTextResponse(str(len(await http_request.body())))


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=[Route("/", count, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, http=BoundedProtocol, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    yield listener.getsockname()[1]
    server.should_exit = True
    await serving


async def talk(port: int, head: bytes, piece: bytes, pieces: int, end: bytes = b"") -> bytes:
    """Send a head, a piece many times and an end, for as long as it is taken; what was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionError):
        writer.write(head)
        for _ in range(pieces):
            writer.write(piece)
            await writer.drain()
        writer.write(end)
        await writer.drain()
    answer = b""
    with suppress(ConnectionError):
        answer = await asyncio.wait_for(reader.read(4096), 20)
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"GET /", PIECE),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", PIECE),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"A: b\r\n" * 2000),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 2000),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;", PIECE),
    ],
    ids=["address", "field", "fields", "trailers", "chunk extension"],
)
async def test_what_has_no_end_is_cut_off(port: int, head: bytes, piece: bytes) -> None:
    answer = await talk(port, head, piece, 4096)
    assert answer[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400", b"")
    assert (await talk(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"", 0)).startswith(b"HTTP/1.1 200")


async def test_heads_of_usual_length_and_bodies_of_any_pass(port: int) -> None:
    long = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (MOST_BARE_BYTES // 2) + b"\r\n\r\n"
    assert (await talk(port, long, b"", 0)).startswith(b"HTTP/1.1 200")
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (1024 * len(PIECE))
    assert (await talk(port, head, PIECE, 1024)).endswith(b"16777216")
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await talk(port, chunked, b"1\r\nx\r\n" * 1000, 100, b"0\r\n\r\n")).endswith(b"100000")


async def test_many_requests_on_one_connection_pass(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"
    for _ in range(10):
        writer.write(head)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(1) == b"0"
    writer.close()
