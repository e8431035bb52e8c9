"""What is refused of a request at every origin, before any door reads more of it."""

from __future__ import annotations

from typing import Final

from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from troth.doors.cookies import times_sent
from troth.doors.errors import CodingUnknown
from troth.doors.problems import problem

_WITHOUT_CONTENT: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PLAIN: Final = frozenset({b"", b"identity"})


def refusal(scope: Scope) -> Response | None:
    """The answer to a request that is not clear about whose it is, where it goes or how it is written; else None.

    Two fields `Host` are two readings of one request (RFC 9112 3.2), and of two session cookies nobody knows which one
    this browser was given. Content in a coding is not what its media type says, and none is undone here: some bytes of
    it unpack to any number (RFC 9110 8.4, 12.5.3, 15.5.16).
    """
    if sum(key == b"host" for key, _ in scope["headers"]) > 1:
        return PlainTextResponse("There is more than one Host in this request\n", 400)
    if times_sent(scope) > 1:
        told = "Your browser sent two sign-ins at once. Delete the cookies of this site, and sign in again\n"
        return PlainTextResponse(told, 400, {"Clear-Site-Data": '"cookies"'})
    if scope["method"] not in _WITHOUT_CONTENT and not _codings(scope) <= _PLAIN:
        answer = problem(CodingUnknown())
        answer.headers["Accept-Encoding"] = "identity"
        return answer
    return None


def _codings(scope: Scope) -> set[bytes]:
    told = (value for key, value in scope["headers"] if key == b"content-encoding")
    return {one.strip().lower() for value in told for one in value.split(b",")}
