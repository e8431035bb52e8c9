"""A page that nobody looks at in a browser fails here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from starlette.routing import Route

from tests.journeys.scene import NO_PAGES, PAGES
from troth.doors.web.app import routes


def test_each_route_is_looked_at_or_is_no_page() -> None:
    desk: Any = SimpleNamespace(rooms=None)
    answering = {route.path for route in routes(desk) if isinstance(route, Route) and "GET" in (route.methods or ())}
    looked_at = {spot.route for spot in PAGES}
    assert not answering - looked_at - NO_PAGES.keys(), "put it into PAGES or NO_PAGES of tests/journeys/scene.py"
    assert not (looked_at | NO_PAGES.keys()) - answering, "no such route any more"
    assert not looked_at & NO_PAGES.keys()
