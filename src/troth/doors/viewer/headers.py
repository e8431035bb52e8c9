"""The headers of every answer of the viewer's origin, and the check of its name."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from troth.doors.cookies import at_origin
from troth.doors.refusals import refusal

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def content_security_policy(hashes: Sequence[str]) -> str:
    """The policy the viewer works under.

    `connect-src 'self'` is the one that matters: whatever runs here can talk to nobody else. WebAssembly decodes the
    images; the layout needs inline styles; workers are made from blobs; a report in PDF is shown in an object, which
    browsers take for a frame, of this origin alone.

    Args:
        hashes: Sources of the inline scripts of the published start page.
    """
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self' 'wasm-unsafe-eval'", *hashes)),
            "worker-src 'self' blob:",
            "connect-src 'self' blob: data:",
            "img-src 'self' blob: data:",
            "style-src 'self' 'unsafe-inline'",
            "font-src 'self'",
            "manifest-src 'self'",
            "media-src 'self' blob:",
            "object-src 'self'",
            "frame-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


#: Policy of the worker that decodes compressed frames. Its codecs bind WebAssembly by code that they write themselves:
#: without `unsafe-eval` no JPEG 2000, JPEG-LS or HTJ2K is shown. It is that worker's alone, which has no document and
#: can reach this origin and nothing else.
DECODER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval'; connect-src 'self'"


class Headers:
    """Middleware: refuses a foreign `Host`, then adds the headers, but those that an answer brings itself.

    Args:
        app: The application behind it.
        hashes: Sources of the inline scripts of the published start page.
        host: The name this origin is known by; loopback names are always taken (DNS rebinding: no other name is).
        is_secure: Whether the origin is https.
    """

    def __init__(self, app: ASGIApp, *, hashes: Sequence[str], host: str, is_secure: bool) -> None:
        self._app = app
        self._hosts = LOOPBACK | {host}
        self._is_secure = is_secure
        self._fixed = {
            "Content-Security-Policy": content_security_policy(hashes),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Embedder-Policy": "require-corp",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        }
        if is_secure:
            self._fixed["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = at_origin(scope, is_secure=self._is_secure, is_viewer=True)
        if (refused := refusal(scope)) is not None:
            await refused(scope, receive, send)
            return
        named = next((value.decode("latin-1") for key, value in scope["headers"] if key == b"host"), "")
        if named.rpartition(":")[0] not in self._hosts and named not in self._hosts:
            await PlainTextResponse("This server does not answer to that name\n", 421)(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._fixed.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, dressed)
