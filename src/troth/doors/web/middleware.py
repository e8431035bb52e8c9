"""What surrounds every answer of the pages: the name they answer to, where a form may come from, the headers."""

from __future__ import annotations

import logging
import traceback
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from troth.doors.cookies import at_origin
from troth.doors.refusals import refusal
from troth.kit.errors import Unavailable

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
BARE = (
    '<!doctype html><html lang="en-GB"><title>Troth</title><link rel="stylesheet" href="/static/now/troth.css">'
    "<h1>This did not work</h1><p>Nothing was changed. Try again in a minute.</p></html>"
)
BUSY = BARE.replace("Nothing was changed. Try again in a minute.", "Troth is not ready. Try again in a few seconds.")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_logger = logging.getLogger(__name__)


def content_security_policy(viewer_origin: str) -> str:
    """Everything from here, nothing inline, nobody may frame it.

    Args:
        viewer_origin: Chromium applies `form-action` to redirects after a form too, and one leads to the viewer.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "img-src 'self'",
            "font-src 'self'",
            "connect-src 'self'",
            f"form-action 'self' {viewer_origin}",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


class AnswerCutShort(Exception):
    """A fault after the first byte: the connection is closed, so that nobody takes a part for the whole."""


class Guard:
    """Middleware: host, origin of forms, HEAD as GET, headers.

    HEAD is GET without the body (RFC 9110 9.3.2): no handler behind this ever sees it, so none can take it for a form.

    Args:
        app: The application behind it.
        origin: Scheme, host and port these pages are known by.
        viewer_origin: Where the viewer is.
    """

    def __init__(self, app: ASGIApp, *, origin: str, viewer_origin: str) -> None:
        self._app = app
        self._hosts = LOOPBACK | {urlsplit(origin).hostname or "127.0.0.1"}
        self._origin = origin
        self._fixed = {
            "Content-Security-Policy": content_security_policy(viewer_origin),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
            "Cache-Control": "no-store",
        }
        if origin.startswith("https:"):
            self._fixed["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = at_origin(scope, is_secure=self._origin.startswith("https:"), is_viewer=False)
        headers = Headers(scope=scope)
        if (refused := refusal(scope)) is not None:
            await refused(scope, receive, send)
            return
        if (elsewhere := self._by_our_name(scope, headers)) is not None:
            await RedirectResponse(elsewhere, 307)(scope, receive, send)
            return
        if not self._is_ours(headers.get("host", "")):
            await PlainTextResponse("This server does not answer to that name\n", 421)(scope, receive, send)
            return
        if scope["method"] not in SAFE and not self._is_from_here(headers):
            await PlainTextResponse("This form did not come from here\n", 403)(scope, receive, send)
            return

        is_head = scope["method"] == "HEAD"
        if is_head:
            scope = {**scope, "method": "GET"}
        has_started = False

        async def dressed(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                answered = MutableHeaders(scope=message)
                for name, value in self._fixed.items():
                    answered.setdefault(name, value)
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app(scope, receive, dressed)
        except Exception as fault:
            is_away = isinstance(fault, Unavailable)
            if not is_away:
                _log_fault(fault)
            if has_started:
                raise AnswerCutShort from None
            later = {"Retry-After": str(fault.retry_seconds)} if isinstance(fault, Unavailable) else {}
            answer = HTMLResponse(BUSY, 503, later) if is_away else HTMLResponse(BARE, 500)
            await answer(scope, receive, dressed)

    def _by_our_name(self, scope: Scope, headers: Headers) -> str | None:
        """Where a browser is led that opens these pages by another name of this machine, such as the viewer's."""
        known, asked = urlsplit(self._origin).hostname or "", _name_of(headers.get("host", ""))
        is_opening = scope["method"] in {"GET", "HEAD"} and headers.get("sec-fetch-mode") == "navigate"
        if not is_opening or asked == known or not {asked, known} <= LOOPBACK:
            return None
        query = scope.get("query_string", b"").decode("latin-1")
        return self._origin + quote(scope["path"]) + (f"?{query}" if query else "")

    def _is_ours(self, host: str) -> bool:
        """Only our own name: another one that resolves to us (DNS rebinding) is refused."""
        return _name_of(host) in self._hosts

    def _is_from_here(self, headers: Headers) -> bool:
        """Whether a change was asked for by one of our own pages, or by no browser at all.

        Browsers send `Sec-Fetch-Site` and `Origin` with every form. A request with neither is not from one of today's
        browsers; whether it may change something is then decided by the form's token or a bearer token.
        """
        site = headers.get("sec-fetch-site")
        if site is not None and site not in {"same-origin", "none"}:
            return False
        origin = headers.get("origin")
        if origin == "null" and site == "same-origin":
            return True  # under our own referrer policy browsers withhold the origin of our own forms too
        return origin is None or origin in {self._origin, f"{urlsplit(self._origin).scheme}://{headers.get('host')}"}


def _name_of(host: str) -> str:
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def _log_fault(fault: Exception) -> None:
    """Where it happened and what kind it was; its text may hold what somebody typed, and is left out."""
    places = (
        f"{frame.filename.rpartition('/troth/')[2]}:{frame.lineno}"
        for frame in traceback.extract_tb(fault.__traceback__)
    )
    ours = [place for place in places if not place.startswith("/")]
    _logger.error("a page failed: %s at %s", type(fault).__name__, " < ".join(reversed(ours[-6:])))
