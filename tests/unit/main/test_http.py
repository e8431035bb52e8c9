from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from troth.main import http
from troth.main.http import BoundedProtocol

PIECE = b"x" * 16_384


async def count(http_request: Request) -> Response:
    return PlainTextResponse(str(len(await http_request.body())))


ENDED = asyncio.Event()


async def endless(_http_request: Request) -> Response:
    async def content() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(65_536)
                await asyncio.sleep(0)
        finally:
            ENDED.set()

    return StreamingResponse(content())


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=[Route("/", count, methods=["GET", "POST"]), Route("/endless", endless)])
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


@pytest.mark.asvs("V4.2.1")
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


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b'GET / HTTP/1.1\r\nHost: x\r\nAccept: a/b;x="' + b";" * 60_000, b"431"),
        (b'GET / HTTP/1.1\r\nHost: x\r\nCookie: a="' + b"\\" * 9_000, b"431"),
        (b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: x", b"431"),
        (b"GET / HTTP/1.1\r\nHost: x" + b"\r\nA: b" * 100, b"431"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nhost: x", b"400"),
        (b"GET / HTTP/1.1\r\nA: b", b"400"),
    ],
    ids=["field", "cookie", "address", "fields", "two hosts", "two hosts and a body", "no host"],
)
async def test_a_head_that_nobody_needs_is_refused_before_it_is_read(port: int, head: bytes, status: bytes) -> None:
    answer = await talk(port, head + b"\r\n\r\n", b"xyz", 1)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.count(b"HTTP/1.1") == 1
    assert (await talk(port, b"GET / HTTP/1.0\r\n\r\n", b"", 0)).startswith(b"HTTP/1.1 200")


async def test_heads_of_usual_length_and_bodies_of_any_pass(port: int) -> None:
    long = b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"X: " + b"x" * 8_000 + b"\r\n") * 7 + b"\r\n"
    assert (await talk(port, long, b"", 0)).startswith(b"HTTP/1.1 200")
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (1024 * len(PIECE))
    assert (await talk(port, head, PIECE, 1024)).endswith(b"16777216")
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await talk(port, chunked, b"1\r\nx\r\n" * 1000, 100, b"0\r\n\r\n")).endswith(b"100000")


@pytest.mark.asvs("V4.2.1")
async def test_many_requests_on_one_connection_pass(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"X: " + b"x" * 7_000 + b"\r\n") * 3 + b"\r\n"
    for _ in range(10):
        writer.write(head)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(1) == b"0"
    writer.close()


@pytest.mark.parametrize(
    "begin",
    [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT"],
    ids=["silent", "line", "headers", "second"],
)
async def test_who_does_not_come_to_the_end_of_the_headers_is_let_go(
    port: int, begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begin)
    answer = await asyncio.wait_for(reader.read(), 10)
    assert answer.count(b"200 OK") == (b"\r\n\r\n" in begin)
    writer.close()


async def test_who_takes_nothing_of_an_answer_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "STALL_SECONDS", 0.2)
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    writer.transport.pause_reading()
    writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.wait_for(ENDED.wait(), 10)
    writer.close()
    ENDED.clear()
    slow, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(20):
        await slow.read(1 << 20)
        await asyncio.sleep(0.02)
    assert not ENDED.is_set(), "who reads slowly is not let go"
    writer.close()


async def test_a_slow_body_is_not_a_slow_head(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
    for _ in range(3):
        await asyncio.sleep(0.15)
        writer.write(b"x")
    assert b"200 OK" in await asyncio.wait_for(reader.read(4096), 10)
    writer.close()


async def test_many_idle_connections_cost_the_oldest_of_them(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_IDLE", 20)
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
    answer = await talk(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"", 0)
    assert b"200 OK" in answer
    assert len(http._idle) <= 20
    for reader, _ in idle[:40]:
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(1), 10) == b""
    for _, writer in idle:
        writer.close()
