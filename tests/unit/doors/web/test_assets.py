"""Styles and pages travel small, and styles once."""

from __future__ import annotations

import gzip

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from troth.doors.web import assets
from troth.doors.web.compression import Compression

WORDS = "What was promised, and whether it was kept. " * 200


async def _page(http_request: Request) -> Response:
    return HTMLResponse(WORDS)


async def _picture(http_request: Request) -> Response:
    return Response(WORDS.encode(), media_type="image/png")


async def _stream(http_request: Request) -> Response:
    async def pieces() -> object:
        yield b"one "
        yield b"two"

    return StreamingResponse(pieces(), media_type="text/plain")  # type: ignore[arg-type]


def client() -> httpx.AsyncClient:
    routes = [
        Route("/page", _page),
        Route("/picture", _picture),
        Route("/stream", _stream),
        Route("/static/{edition}/{name:path}", assets.serve),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(Compression)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://troth.test")


async def test_a_page_is_compressed_for_who_takes_it_and_whole_for_who_does_not() -> None:
    async with client() as anybody:
        small = await anybody.get("/page", headers={"Accept-Encoding": "gzip"})
        whole = await anybody.get("/page", headers={"Accept-Encoding": "identity"})
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < len(WORDS) / 10
    assert "Accept-Encoding" in small.headers["vary"]
    assert small.text == whole.text == WORDS
    assert "content-encoding" not in whole.headers


async def test_pictures_and_streams_go_as_they_are() -> None:
    async with client() as anybody:
        picture = await anybody.get("/picture", headers={"Accept-Encoding": "gzip"})
        stream = await anybody.get("/stream", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in picture.headers
    assert "content-encoding" not in stream.headers
    assert stream.text == "one two"


async def test_a_style_sheet_is_kept_for_good_under_its_address_and_briefly_under_an_older_one() -> None:
    async with client() as anybody:
        now = await anybody.get(assets.address("troth.css"), headers={"Accept-Encoding": "gzip"})
        older = await anybody.get("/static/000000000000/troth.css")
        none = await anybody.get(f"/static/{assets.edition()}/%2e%2e/assets.py")
        missing = await anybody.get(assets.address("nothing.css"))
    assert "immutable" in now.headers["cache-control"]
    assert now.headers["content-encoding"] == "gzip"
    assert now.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" not in older.headers["cache-control"]
    assert older.text == now.text
    assert (none.status_code, missing.status_code) == (404, 404)


def test_what_a_cold_page_weighs() -> None:
    """Style sheets and the three typefaces of English pages leave 60 KB of 300 to the page itself."""
    styles = [gzip.compress((assets.FOLDER / name).read_bytes(), 9) for name in ("vendor/tabler.min.css", "troth.css")]
    faces = [
        (assets.FOLDER / "vendor" / f"{name}.woff2").stat().st_size
        for name in ("source-serif", "plex-sans", "plex-mono")
    ]
    assert sum(map(len, styles)) + sum(faces) < 240_000
