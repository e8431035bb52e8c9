"""What this door can do, told to programs.

Per: DICOM PS3.18 8.9 (Retrieve Capabilities), WADL of 2009-08-31.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.dicomweb.accept import DICOM, GIF, JPEG, JSON, OCTETS, PDF, PLAIN_JSON, PNG, XML, chosen, wanted
from troth.doors.dicomweb.answers import base_url, bytes_answer
from troth.doors.dicomweb.gate import Gate

WADL = "application/vnd.sun.wadl+xml"

_TOLD = (JSON, f'multipart/related; type="{XML}"')
_DRAWN = (JPEG, PNG, GIF, f'multipart/related; type="{JPEG}"')
_VALUES = (f'multipart/related; type="{OCTETS}"', OCTETS)
_FILES = (f'multipart/related; type="{DICOM}"', DICOM)
_STUDY = "studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"

#: Address, method and what is given; the same that `app.routes` serves.
RESOURCES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("studies", "POST", (JSON, XML)),
    (_STUDY, "POST", (JSON, XML)),
    ("commitment-requests/{transaction}", "POST", (JSON, XML)),
    *((path, "GET", _TOLD) for path in ("studies", "series", "instances", _STUDY + "/series", _STUDY + "/instances")),
    (_SERIES + "/instances", "GET", _TOLD),
    *((path, "GET", _FILES) for path in (_STUDY, _SERIES, _INSTANCE)),
    *((path + "/metadata", "GET", _TOLD) for path in (_STUDY, _SERIES, _INSTANCE)),
    *((path + "/bulkdata", "GET", _VALUES[:1]) for path in (_STUDY, _SERIES, _INSTANCE)),
    *((path + "/rendered", "GET", _DRAWN) for path in (_STUDY, _SERIES)),
    (_INSTANCE + "/rendered", "GET", (*_DRAWN, PDF)),
    *((path + "/thumbnail", "GET", _DRAWN[:3]) for path in (_STUDY, _SERIES, _INSTANCE)),
    (_INSTANCE + "/frames/{frames}", "GET", _VALUES),
    (_INSTANCE + "/frames/{frames}/rendered", "GET", _DRAWN),
    (_INSTANCE + "/frames/{frames}/thumbnail", "GET", _DRAWN[:3]),
    (_INSTANCE + "/bulkdata/{path}", "GET", _VALUES),
    ("wado", "GET", (JPEG, PNG, GIF, DICOM)),
)


def told(gate: Gate) -> Callable[[Request], Any]:
    """The handler of `OPTIONS` on every resource, and of the door's own address."""

    async def handle(http_request: Request) -> Response:
        await gate.caller(http_request)  # only who is known is told what there is
        media_type = chosen(wanted(http_request), (WADL, PLAIN_JSON))
        resources = _by_address()
        if media_type == PLAIN_JSON:
            content = json.dumps({"base": base_url(http_request), "resources": resources}).encode()
        else:
            content = _wadl(base_url(http_request), resources).encode()
        return bytes_answer(content, media_type, headers={"Allow": "GET, POST, OPTIONS"})

    return handle


def _by_address() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for path, method, types in RESOURCES:
        found.setdefault(path, {})[method] = list(types)
    return found


def _wadl(base: str, resources: Mapping[str, Mapping[str, list[str]]]) -> str:
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<application xmlns="http://wadl.dev.java.net/2009/02">']
    lines.append(f"<resources base={quoteattr(base + '/')}>")
    for path, methods in resources.items():
        lines.append(f"<resource path={quoteattr(path)}>")
        for method, types in methods.items():
            given = "".join(f"<representation mediaType={quoteattr(one)}/>" for one in types)
            lines.append(f'<method name="{method}"><response>{given}</response></method>')
        lines.append("</resource>")
    return "\n".join([*lines, "</resources>", "</application>"])
