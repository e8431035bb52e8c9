"""Routes of DICOMweb, to be mounted under `/dicomweb` on both origins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from troth.doors.dicomweb import capabilities, committing, rendering, retrieving, searching, storing, wado_uri
from troth.doors.dicomweb.gate import Gate
from troth.doors.dicomweb.ports import Rooms
from troth.doors.problems import on_fault
from troth.kit.errors import TrothError
from troth.kit.threads import work_for

Handler = Callable[[Request], Any]

INSTANCE_BYTES = 4 << 30

_STUDY = "/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"


def create(rooms: Rooms, *, instance_bytes: int = INSTANCE_BYTES) -> Starlette:
    """Make the DICOMweb door.

    Args:
        rooms: What the platform gives this door.
        instance_bytes: Most bytes of one instance that is sent in.

    Returns:
        An ASGI application.
    """
    gate = Gate(rooms)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await gate.close()

    app = Starlette(
        routes=routes(gate, instance_bytes),
        lifespan=lifespan,
        exception_handlers={TrothError: on_fault, HTTPException: on_fault, Exception: on_fault},
    )
    app.state.gate = gate
    return app


def routes(gate: Gate, instance_bytes: int) -> list[Route]:
    """All resources of this door. Per: DICOM PS3.18 tables 10.4.1-1 to -4, 10.5.1-1, 10.6.1-2."""
    searches = [
        Route("/studies", searching.search(gate, "study"), methods=["GET"]),
        Route("/series", searching.search(gate, "series"), methods=["GET"]),
        Route("/instances", searching.search(gate, "instance"), methods=["GET"]),
        Route(_STUDY + "/series", searching.search(gate, "series"), methods=["GET"]),
        Route(_STUDY + "/instances", searching.search(gate, "instance"), methods=["GET"]),
        Route(_SERIES + "/instances", searching.search(gate, "instance"), methods=["GET"]),
    ]
    store = storing.store(gate, instance_bytes)
    stores = [
        Route("/studies", store, methods=["POST"]),
        Route(_STUDY, store, methods=["POST"]),
        Route("/commitment-requests/{transaction}", committing.answer(gate), methods=["POST"]),
    ]
    retrieves = [
        route
        for path in (_STUDY, _SERIES, _INSTANCE)
        for route in (
            Route(path, retrieving.instances(gate), methods=["GET"]),
            Route(path + "/metadata", retrieving.metadata(gate), methods=["GET"]),
            Route(path + "/bulkdata", retrieving.every_bulk_value(gate), methods=["GET"]),
            Route(path + "/rendered", rendering.rendered(gate), methods=["GET"]),
            Route(path + "/thumbnail", rendering.rendered(gate, thumbnail=True), methods=["GET"]),
        )
    ]
    of_frames = [
        Route(_INSTANCE + "/frames/{frames}", retrieving.frames(gate), methods=["GET"]),
        Route(_INSTANCE + "/frames/{frames}/rendered", rendering.rendered(gate), methods=["GET"]),
        Route(_INSTANCE + "/frames/{frames}/thumbnail", rendering.rendered(gate, thumbnail=True), methods=["GET"]),
        Route(_INSTANCE + "/bulkdata/{path:path}", retrieving.bulkdata(gate), methods=["GET"]),
    ]
    by_query = [Route("/wado", wado_uri.retrieve(gate), methods=["GET"])]
    # What is asked for most is looked at first.
    resources = of_frames + searches + stores + retrieves + by_query
    told = capabilities.told(gate)
    asked = [Route(path, told, methods=["OPTIONS"]) for path in dict.fromkeys(one.path for one in resources)]
    every = [*resources, Route("/", told, methods=["GET", "OPTIONS"]), *asked]
    # One route for an address, so that 405 names all of its methods (RFC 9110 15.5.6).
    handlers: dict[str, dict[str, Handler]] = {}
    for one in every:
        handlers.setdefault(one.path, {}).update(dict.fromkeys(one.methods or (), one.endpoint))
    return [Route(path, _known(gate, _by_method(found)), methods=list(found)) for path, found in handlers.items()]


def _by_method(handlers: Mapping[str, Handler]) -> Handler:
    """The handlers of one address."""

    async def handle(http_request: Request) -> Response:
        answer: Response = await handlers[http_request.method](http_request)
        return answer

    return handle


def _known(gate: Gate, handler: Handler) -> Handler:
    """The handler, for somebody who is known: nothing that a stranger wrote is read but who they say they are."""

    async def handle(http_request: Request) -> Response:
        work_for((await gate.caller(http_request)).actor.tenant)
        answer: Response = await handler(http_request)
        return answer

    return handle
