"""Errors as problem documents, the same at every HTTP door.

Whatever is absent and whatever is not for this actor give the same bytes: nobody outside can tell which.

Per: RFC 9457; DESIGN §1.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from troth.kit.errors import NotFound, TrothError, Unavailable
from troth.policy import NotInLevel

MEDIA_TYPE = "application/problem+json"
_NO_STORE = {"Cache-Control": "no-store"}
_BEARER = {"WWW-Authenticate": "Bearer"}
_LATER = {"Retry-After": str(Unavailable.retry_seconds)}
_HEADERS: dict[int, dict[str, str]] = {HTTPStatus.UNAUTHORIZED: _BEARER, HTTPStatus.SERVICE_UNAVAILABLE: _LATER}

_log = logging.getLogger("troth.doors")


def problem(fault: TrothError) -> Response:
    """The answer for an error of ours.

    Args:
        fault: What happened; its detail never carries personal data.
    """
    shown = NotFound() if isinstance(fault, NotFound) and not isinstance(fault, NotInLevel) else fault
    status = shown.http_status
    told: dict[str, Any] = {"type": f"urn:troth:{shown.slug}", "title": shown.title, "status": status}
    if shown.detail != shown.title:
        told["detail"] = shown.detail
    if shown.hint:
        told["hint"] = shown.hint
    return _answer(told, _HEADERS.get(status, {}))


async def on_fault(http_request: Request, fault: Exception) -> Response:
    """Exception handler for a Starlette application: errors of ours, of the router, and what nobody foresaw.

    Args:
        http_request: The request; nothing of it is logged but the method.
        fault: What was raised.
    """
    if isinstance(fault, TrothError):
        return problem(fault)
    if isinstance(fault, HTTPException):
        if fault.status_code == HTTPStatus.NOT_FOUND:
            return problem(NotFound())
        status = HTTPStatus(fault.status_code)
        told = {"type": "about:blank", "title": status.phrase, "status": fault.status_code}
        return _answer(told, dict(fault.headers or {}))
    # The type alone: a message could quote what was sent.
    _log.error("http.failed: %s at %s", type(fault).__name__, http_request.method)
    return problem(TrothError())


def _answer(told: dict[str, Any], headers: dict[str, str]) -> Response:
    content = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, told["status"], headers=_NO_STORE | headers, media_type=MEDIA_TYPE)
