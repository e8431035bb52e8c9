from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from troth.doors.web.middleware import AnswerCutShort, Guard

ORIGIN = "https://scans.example"


async def broken(http_request: Request) -> Response:
    raise ValueError("Sample^Anna")


async def half(http_request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        raise ValueError("Sample^Anna")

    return StreamingResponse(chunks())


async def fine(http_request: Request) -> Response:
    return Response("fine", headers={"Cache-Control": "public, max-age=60"})


@pytest.fixture
def client() -> httpx.AsyncClient:
    routes = [Route("/broken", broken), Route("/half", half), Route("/fine", fine, methods=["GET", "POST"])]
    guard = Middleware(Guard, origin=ORIGIN, viewer_origin="https://viewer.example")
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(Starlette(routes=routes, middleware=[guard])), base_url=ORIGIN
    )


@pytest.mark.asvs("V13.4.2", "V16.2.5", "V16.3.4", "V16.5.1")
async def test_a_fault_is_logged_by_place_and_kind_and_never_by_its_text(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with client:
        answer = await client.get("/broken")
    assert answer.status_code == 500
    assert "This did not work" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "ValueError" in caplog.text
    assert "Sample" not in caplog.text + answer.text


async def test_a_part_is_never_taken_for_the_whole(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    async with client:
        with pytest.raises(AnswerCutShort):
            await client.get("/half")
    assert "Sample" not in caplog.text


@pytest.mark.asvs("V3.4.1")
async def test_https_is_kept_and_what_an_answer_says_itself_stays(client: httpx.AsyncClient) -> None:
    async with client:
        answer = await client.get("/fine")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert "form-action 'self' https://viewer.example" in answer.headers["content-security-policy"]


@pytest.mark.asvs("V3.5.1")
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": ORIGIN}, 200),
        ({"Origin": "null"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://viewer.example", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "127.0.0.1:8080"}, 200),
        ({"Host": "[::1]:8080"}, 200),
        ({"Host": "scans.example.evil.example"}, 421),
        ({"Host": ""}, 421),
    ],
)
async def test_changes_come_from_here_under_our_own_name(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    async with client:
        assert (await client.post("/fine", headers=headers)).status_code == status
