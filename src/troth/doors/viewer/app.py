"""Routes of the viewer's origin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from troth.doors.cookies import cookie
from troth.doors.viewer.configuration import script
from troth.doors.viewer.dist import Dist
from troth.doors.viewer.headers import DECODER_POLICY, Headers
from troth.doors.viewer.ports import Rooms

COOKIE = "troth_session"
NO_STORE = {"Cache-Control": "no-store"}
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
    ]
    if dicomweb is not None:
        routes.append(Mount("/dicomweb", app=dicomweb))
    routes.append(Route("/{path:path}", _file(build)))
    host = urlsplit(rooms.settings.viewer_origin).hostname or "127.0.0.1"
    is_secure = rooms.settings.viewer_origin.startswith("https:")
    return Starlette(routes=routes, middleware=[Middleware(Headers, hashes=hashes, host=host, is_secure=is_secure)])


def _home(rooms: Rooms) -> Handler:
    """This origin has no list of studies: that is on the pages, where filters are decided and recorded."""

    async def home(http_request: Request) -> Response:
        return RedirectResponse(rooms.settings.http_url + "/", 303, headers=NO_STORE)

    return home


def _configuration(rooms: Rooms) -> Handler:
    async def configure(http_request: Request) -> Response:
        token = cookie(http_request, COOKIE)
        actor = await rooms.people.actor_of_session(token) if token else None
        told = script(actor, rooms.settings.http_url)
        return Response(told, media_type="text/javascript; charset=utf-8", headers=NO_STORE)

    return configure


async def _leave(http_request: Request) -> Response:
    """The viewer would load a service worker from a third party here; ours only removes any that is left."""
    return Response(LEAVE, media_type="text/javascript; charset=utf-8")


def _viewer(rooms: Rooms, build: Dist) -> Handler:
    async def viewer(http_request: Request) -> Response:
        token = cookie(http_request, COOKIE)
        actor = await rooms.people.actor_of_session(token) if token else None
        if actor is None:
            return RedirectResponse(rooms.settings.http_url + "/sign-in", 303, headers=NO_STORE)
        answer = await build.answer(http_request, "index.html")
        if answer is None:
            return PlainTextResponse(MISSING, 503, headers=NO_STORE)
        answer.headers.update(NO_STORE)
        return answer

    return viewer


def _file(build: Dist) -> Handler:
    decoders = build.decoders()

    async def file(http_request: Request) -> Response:
        name = http_request.path_params["path"]
        answer = None if name == "index.html" else await build.answer(http_request, name)
        if answer is not None and name in decoders:
            answer.headers["Content-Security-Policy"] = DECODER_POLICY
        return answer or PlainTextResponse("There is nothing here for you\n", 404, headers=NO_STORE)

    return file
