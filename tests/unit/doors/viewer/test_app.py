from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from troth.doors.viewer.app import create
from troth.doors.viewer.configuration import configuration
from troth.doors.viewer.dist import Dist
from troth.doors.viewer.headers import DECODER_POLICY
from troth.kit import clock
from troth.people import Entered
from troth.policy import Actor

ORIGIN = "http://127.0.0.1:8081"
DECODER = "34.bundle.0123456789abcdef.js"
WEB = "http://localhost:8080"
INDEX = '<!doctype html><script>window.PUBLIC_URL="/"</script><script src="/app-config.js"></script><div id="root">'
DOCTOR = Actor("user", role="clinician", name='B. "Specimen" </script>', organisation="Example Hospital")


class People:
    async def actor_of_viewer(self, token: str) -> Actor | None:
        return DOCTOR if token == "alive" else None

    async def enter_viewer(self, secret: str) -> Entered | None:
        return Entered("alive", clock.now() + timedelta(hours=1)) if secret == "handed" else None


class Runs:
    """Keeps the names of cookies that answers set."""

    def __init__(self) -> None:
        self.cookies: list[str] = []

    async def saw_cookie(self, name: str) -> None:
        self.cookies.append(name)


async def studies(http_request: Any) -> JSONResponse:
    return JSONResponse([])


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Dist:
    folder = tmp_path_factory.mktemp("dist")
    (folder / "assets").mkdir()
    for name, text in (
        ("index.html", INDEX),
        ("app.bundle.0123456789abcdef.js", "(() => { openjpegwasm_decode"),
        ("12.bundle.0123456789abcdef.js", "push([[12], { openjpegwasm_decode"),
        (DECODER, "(() => { openjpegwasm_decode"),
        ("app.css", "b{}"),
    ):
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "assets" / "mark.png").write_bytes(b"png")
    (folder / "stamp.json").write_text("{}")
    return Dist(folder)


def client(dist: Dist, session: str = "", **headers: str) -> httpx.AsyncClient:
    rooms = SimpleNamespace(people=People(), runs=Runs(), settings=SimpleNamespace(http_url=WEB, viewer_origin=ORIGIN))
    app = create(rooms, Router([Route("/studies", studies)]), dist)
    cookies = {"troth_session": session} if session else {}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN, cookies=cookies, headers=headers)


async def test_the_viewer_opens_for_who_is_signed_in_and_for_nobody_else(dist: Dist) -> None:
    async with client(dist, "alive") as signed_in, client(dist, "over") as over, client(dist) as nobody:
        opened = await signed_in.get("/viewer?StudyInstanceUIDs=1.2.3")
        assert (opened.status_code, opened.text) == (200, INDEX)
        assert opened.headers["cache-control"] == "no-store"
        for stranger in (over, nobody):
            refused = await stranger.get("/viewer?StudyInstanceUIDs=1.2.3")
            assert (refused.status_code, refused.headers["location"]) == (303, f"{WEB}/viewer-entry?study=1.2.3")


@pytest.mark.asvs("V3.3.2", "V3.3.4")
async def test_the_pages_hand_a_session_over_and_nobody_else(dist: Dist) -> None:
    fields = {"secret": "handed", "study": "1.2.3"}
    async with client(dist) as browser:
        for wrong in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ORIGIN}):
            refused = await browser.post("/enter", data=fields, headers=wrong)
            assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)
        over = await browser.post("/enter", data={**fields, "secret": "used"}, headers={"Origin": WEB})
        assert (over.headers["location"], "set-cookie" in over.headers) == (f"{WEB}/", False)
        assert (await browser.get("/enter?secret=handed")).status_code == 404
        for odd in (b"a=1&" * 50 + b"secret=handed", b"secret=handed&x=" + b"y" * 5_000, b"\xff\xfe"):
            answer = await browser.post("/enter", content=odd, headers={"Origin": WEB})
            assert (answer.status_code, answer.headers.get("set-cookie")) == (303, None)
        entered = await browser.post("/enter", data=fields, headers={"Origin": WEB})
        cookie = entered.headers["set-cookie"]
        for part in ("troth_session=alive", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age="):
            assert part in cookie
        assert entered.headers["location"].startswith("/viewer?StudyInstanceUIDs=1.2.3&entered=")
        assert (await browser.get(entered.headers["location"])).text == INDEX
    async with client(dist) as forgetful:
        led = await forgetful.get(entered.headers["location"])
        assert (led.status_code, "keeps no cookie" in led.text) == (403, True), "nobody is led in a circle"
        twice = await forgetful.get("/viewer", headers={"Cookie": "troth_session=alive; a=b; troth_session=planted"})
        assert (twice.status_code, "two sign-ins" in twice.text) == (400, True)


async def test_dicomweb_is_beside_it_and_the_list_is_on_the_pages(dist: Dist) -> None:
    async with client(dist, "alive") as signed_in:
        assert (await signed_in.get("/dicomweb/studies")).json() == []
        assert (await signed_in.get("/")).headers["location"] == f"{WEB}/"


@pytest.mark.parametrize(
    ("path", "kind", "kept"),
    [
        (f"/{DECODER}", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/app.css", "text/css; charset=utf-8", "public, max-age=3600"),
        ("/assets/mark.png", "image/png", "public, max-age=3600"),
    ],
)
async def test_files_are_served_compressed_with_their_kind(dist: Dist, path: str, kind: str, kept: str) -> None:
    async with client(dist) as anybody:
        squeezed, plain = await anybody.get(path), await anybody.get(path, headers={"Accept-Encoding": "identity"})
        assert squeezed.status_code == 200
        assert (squeezed.headers["content-type"], squeezed.headers["cache-control"]) == (kind, kept)
        assert "content-encoding" not in plain.headers
        assert squeezed.content == plain.content


@pytest.mark.asvs("V5.3.2", "V13.4.1", "V13.4.3")
@pytest.mark.parametrize("path", ["/index.html", "/stamp.json", "/../app.py", "/assets/", "/%2e%2e/app.py", "/sw.js"])
async def test_nothing_else_is_there(dist: Dist, path: str) -> None:
    async with client(dist, "alive") as signed_in:
        assert (await signed_in.get(path)).status_code == 404


@pytest.mark.asvs("V3.2.1", "V3.4.3", "V3.4.4", "V3.4.6")
async def test_every_answer_carries_the_policy(dist: Dist) -> None:
    async with client(dist, "alive") as signed_in:
        for path in ("/viewer", "/app-config.js", "/app.css", "/nothing", "/dicomweb/studies"):
            headers = (await signed_in.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "base-uri 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "connect-src 'self' blob: data:" in policy
            assert "unsafe-eval'" not in policy.replace("'wasm-unsafe-eval'", "")
            assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
            assert policy.split("script-src")[1].split(";")[0].count("sha256-") == 1
            assert headers["cross-origin-opener-policy"] == "same-origin"
            assert headers["cross-origin-embedder-policy"] == "require-corp"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"


async def test_only_the_worker_that_decodes_may_write_code(dist: Dist) -> None:
    async with client(dist) as anybody:
        for path in ("/app.bundle.0123456789abcdef.js", "/12.bundle.0123456789abcdef.js"):
            assert "'unsafe-eval'" not in (await anybody.get(path)).headers["content-security-policy"]
        headers = (await anybody.get(f"/{DECODER}")).headers
        assert headers["content-security-policy"] == DECODER_POLICY
        assert headers["cross-origin-embedder-policy"] == "require-corp"


async def test_it_answers_to_its_own_name_only(dist: Dist) -> None:
    async with client(dist, "alive", host="evil.example:8081") as rebound:
        assert (await rebound.get("/viewer")).status_code == 421


@pytest.mark.asvs("V14.2.3")
async def test_the_script_is_told_no_secret_and_no_second_server(dist: Dist) -> None:
    async with client(dist, "alive") as signed_in:
        answer = await signed_in.get("/app-config.js")
    assert answer.headers["cache-control"] == "no-store"
    assert "alive" not in answer.text
    assert "window.config = {" in answer.text
    told = json.loads(answer.text.partition("window.config = ")[2].partition(";\n")[0])
    assert [source["namespace"].rpartition(".")[2] for source in told["dataSources"]] == ["dicomweb"]
    roots = {value for key, value in told["dataSources"][0]["configuration"].items() if key.endswith("Root")}
    assert roots == {"/dicomweb"}
    assert told["showStudyList"] is False
    assert told["customizationService"] == {"ohif.tours": {"$set": []}}
    assert DOCTOR.name in told["corner"]["line"]
    assert told["corner"]["title"] == "Back to studies"


def test_nobody_signed_in_is_named_nobody() -> None:
    assert configuration(None, WEB)["corner"]["line"] == "Not signed in"


async def test_without_the_build_the_page_says_what_to_do(tmp_path: Path) -> None:
    async with client(Dist(tmp_path / "absent"), "alive") as signed_in:
        answer = await signed_in.get("/viewer")
        assert (answer.status_code, answer.text) == (503, "The viewer was not fetched. Run: make setup\n")
        assert (await signed_in.get("/init-service-worker.js")).status_code == 200
