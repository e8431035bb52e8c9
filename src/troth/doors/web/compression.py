"""Pages compressed on their way out; what is compressed already, or streamed, goes as it is."""

from __future__ import annotations

import zlib
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEAST_BYTES: Final = 1_000
LEVEL: Final = 5
KINDS: Final = ("text/", "application/json", "application/ld+json", "application/javascript", "image/svg+xml")
_GZIP: Final = 16 + zlib.MAX_WBITS


class Compression:
    """Middleware: gzip for text that is answered in one piece (RFC 9110 8.4.1.3).

    A page holds a form's token beside words that somebody chose: `forms.token_of` masks it anew for every page.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or "gzip" not in Headers(scope=scope).get("accept-encoding", ""):
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def squeezed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_text(message):
                start = message
                return
            if start is not None:
                first, start = start, None
                if message["type"] == "http.response.body" and not message.get("more_body", False):
                    message = _squeeze(first, message)
                await send(first)
            await send(message)

        await self._app(scope, receive, squeezed)


def _is_text(start: Message) -> bool:
    headers = Headers(scope=start)
    return headers.get("content-type", "").startswith(KINDS) and "content-encoding" not in headers


def _squeeze(start: Message, message: Message) -> Message:
    """The body compressed, and its head telling so."""
    headers, body = MutableHeaders(scope=start), message.get("body", b"")
    headers.add_vary_header("Accept-Encoding")
    if len(body) < LEAST_BYTES or start["status"] in (204, 206, 304):
        return message
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
    small = packer.compress(body) + packer.flush()
    headers["Content-Encoding"], headers["Content-Length"] = "gzip", str(len(small))
    return {**message, "body": small}
