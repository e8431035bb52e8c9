"""Routes of the viewer's origin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from troth.doors.cookies import session_cookie, session_name
from troth.doors.viewer.configuration import script
from troth.doors.viewer.dist import Dist
from troth.doors.viewer.headers import DECODER_POLICY, Headers
from troth.doors.viewer.ports import Rooms
from troth.doors.witness import CookieWitness
from troth.kit import clock

NO_STORE = {"Cache-Control": "no-store"}
NO_COOKIE = "Your browser keeps no cookie of the viewer, so it cannot show pictures. Allow cookies for this address\n"
MOST_UID = 64
MOST_FORM_BYTES = 2_048
MOST_FIELDS = 4
MISSING = "The viewer was not fetched. Run: make setup\n"
LEAVE = (
    "navigator.serviceWorker && navigator.serviceWorker.getRegistrations()"
    ".then(function (all) { all.forEach(function (one) { one.unregister(); }); });\n"
)

Handler = Callable[[Request], Awaitable[Response]]


def create(rooms: Rooms, dicomweb: ASGIApp | None = None, dist: Dist | None = None) -> Starlette:
    """Make the viewer's application.

    Args:
        rooms: What the platform gives this door.
        dicomweb: The DICOMweb door, mounted under `/dicomweb` on this origin too. Doors do not know each other, so
            `main` hands it over.
        dist: The published build; another folder in tests.

    Returns:
        An ASGI application.
    """
    build = dist or Dist()
    hashes = build.inline_hashes() if build.is_here else []
    routes: list[Route | Mount] = [
        Route("/", _home(rooms)),
        Route("/app-config.js", _configuration(rooms)),
        Route("/init-service-worker.js", _leave),
        Route("/viewer", _viewer(rooms, build)),
        Route("/enter", _enter(rooms), methods=["POST"]),
    ]
    if dicomweb is not None:
        routes.append(Mount("/dicomweb", app=dicomweb))
    routes.append(Route("/{path:path}", _file(build)))
    host = urlsplit(rooms.settings.viewer_origin).hostname or "127.0.0.1"
    is_secure = rooms.settings.viewer_origin.startswith("https:")
    witness = Middleware(CookieWitness, tell=rooms.runs.saw_cookie)
    headers = Middleware(Headers, hashes=hashes, host=host, is_secure=is_secure)
    return Starlette(routes=routes, middleware=[witness, headers])


def _home(rooms: Rooms) -> Handler:
    """This origin has no list of studies: that is on the pages, where filters are decided and recorded."""

    async def home(http_request: Request) -> Response:
        return RedirectResponse(rooms.settings.http_url + "/", 303, headers=NO_STORE)

    return home


def _configuration(rooms: Rooms) -> Handler:
    async def configure(http_request: Request) -> Response:
        token = session_cookie(http_request)
        actor = await rooms.people.actor_of_viewer(token) if token else None
        told = script(actor, rooms.settings.http_url)
        return Response(told, media_type="text/javascript; charset=utf-8", headers=NO_STORE)

    return configure


async def _leave(http_request: Request) -> Response:
    """The viewer would load a service worker from a third party here; ours only removes any that is left."""
    return Response(LEAVE, media_type="text/javascript; charset=utf-8")


def _viewer(rooms: Rooms, build: Dist) -> Handler:
    async def viewer(http_request: Request) -> Response:
        token = session_cookie(http_request)
        actor = await rooms.people.actor_of_viewer(token) if token else None
        if actor is None:
            asked = http_request.query_params
            if not token and _is_just_now(asked.get("entered", "")):
                return PlainTextResponse(NO_COOKIE, 403, headers=NO_STORE)
            study = asked.get("StudyInstanceUIDs", "")
            entry = f"{rooms.settings.http_url}/viewer-entry?study={quote(study[:MOST_UID])}"
            return RedirectResponse(entry, 303, headers=NO_STORE)
        answer = await build.answer(http_request, "index.html")
        if answer is None:
            return PlainTextResponse(MISSING, 503, headers=NO_STORE)
        answer.headers.update(NO_STORE)
        return answer

    return viewer


def _enter(rooms: Rooms) -> Handler:
    """Where the pages hand a session over: for a cookie of this host, good for reading alone, that ends with it."""

    async def enter(http_request: Request) -> Response:
        origin = http_request.headers.get("origin")
        if origin is not None and origin != rooms.settings.http_url:
            return PlainTextResponse("This did not come from the pages\n", 403, headers=NO_STORE)
        fields = await _short_form(http_request)
        entered = await rooms.people.enter_viewer(fields.get("secret", ""))
        study = fields.get("study", "")[:MOST_UID]
        if entered is None:
            return RedirectResponse(rooms.settings.http_url + "/", 303, headers=NO_STORE)
        now = clock.now()
        answer = RedirectResponse(
            f"/viewer?StudyInstanceUIDs={quote(study)}&entered={int(now.timestamp())}", 303, headers=NO_STORE
        )
        is_secure = rooms.settings.viewer_origin.startswith("https:")
        answer.set_cookie(
            session_name(is_secure), entered.token, max_age=max(int((entered.expires_at - now).total_seconds()), 1),
            path="/", httponly=True, samesite="lax", secure=is_secure,
        )  # fmt: skip
        return answer

    return enter


async def _short_form(http_request: Request) -> dict[str, str]:
    """A form of two fields; of one that is longer, or has more of them, nothing."""
    content = b""
    async for chunk in http_request.stream():
        content += chunk
        if len(content) > MOST_FORM_BYTES:
            return {}
    try:
        return dict(parse_qsl(content.decode("ascii", "replace"), max_num_fields=MOST_FIELDS))
    except ValueError:
        return {}


def _is_just_now(typed: str) -> bool:
    """Whether somebody came in seconds ago, and their browser kept no cookie: else they would be led in a circle."""
    is_number = typed.isascii() and typed.isdigit() and len(typed) < 12
    return is_number and abs(clock.now().timestamp() - int(typed)) < 10


def _file(build: Dist) -> Handler:
    decoders = build.decoders()

    async def file(http_request: Request) -> Response:
        name = http_request.path_params["path"]
        answer = None if name == "index.html" else await build.answer(http_request, name)
        if answer is not None and name in decoders:
            answer.headers["Content-Security-Policy"] = DECODER_POLICY
        return answer or PlainTextResponse("There is nothing here for you\n", 404, headers=NO_STORE)

    return file
