"""One cookie of a request, found in one pass.

The standard library undoes the escapes of quoted cookies in quadratic time up to Python 3.11.9 (CVE-2024-7592), before
anybody has signed in. Our own cookies have no quotes and no escapes, so none are undone.

Per: RFC 6265 5.4.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.types import Scope

SESSION: Final = "troth_session"
_PREFIX: Final = "__Host-"
"""Browsers take such a cookie only over TLS, for this host alone, and from nobody else (RFC 6265bis 4.1.3.2)."""
_SCOPE: Final = "troth.session_cookie"
_AT_VIEWER: Final = "troth.is_viewer"


def session_name(is_secure: bool) -> str:
    """The name of the cookie of a session.

    Args:
        is_secure: Whether people reach this origin by https.
    """
    return f"{_PREFIX}{SESSION}" if is_secure else SESSION


def plain_name(name: str) -> str:
    """The name of a cookie as a notice states it, without the prefix that browsers hold to."""
    return name.removeprefix(_PREFIX)


def session_cookie(http_request: Request) -> str:
    """The value of the session's cookie at the origin that was asked; empty where there is none."""
    return cookie(http_request, http_request.scope.get(_SCOPE, SESSION))


def is_at_viewer(http_request: Request) -> bool:
    """Whether the viewer's origin was asked."""
    return bool(http_request.scope.get(_AT_VIEWER))


def at_origin(scope: Scope, *, is_secure: bool, is_viewer: bool) -> Scope:
    """The same request, with which origin it came to: doors behind it are the same at both."""
    return {**scope, _SCOPE: session_name(is_secure), _AT_VIEWER: is_viewer}


def times_sent(scope: Scope) -> int:
    """How many sessions a request says it is of, at the origin that was asked."""
    name = scope[_SCOPE].encode()
    pairs = (pair for key, line in scope["headers"] if key == b"cookie" for pair in line.split(b";"))
    return sum(pair.partition(b"=")[0].strip() == name for pair in pairs)


def cookie(http_request: Request, name: str) -> str:
    """The value of a cookie; empty where there is none. Of several of one name the last counts.

    Args:
        http_request: The request.
        name: Its name.
    """
    value = ""
    for line in http_request.headers.getlist("cookie"):
        for pair in line.split(";"):
            key, is_pair, told = pair.partition("=")
            if is_pair and key.strip() == name:
                value = told.strip()
    return value
