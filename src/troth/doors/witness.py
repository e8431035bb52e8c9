"""Sees which cookies answers really set, whatever handler made them, and says each name once.

What the notice promises of cookies is computed from this, and not from a list of what we mean to set.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import psycopg
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from troth.doors.cookies import plain_name
from troth.kit.errors import TrothError

_logger = logging.getLogger(__name__)


class CookieWitness:
    """Middleware around everything that sets cookies.

    Args:
        app: The application behind it.
        tell: Keeps a name; asked once for each name in this process, before the answer leaves.
    """

    def __init__(self, app: ASGIApp, *, tell: Callable[[str], Awaitable[None]]) -> None:
        self._app = app
        self._tell = tell
        self._told: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def seen(message: Message) -> None:
            if message["type"] == "http.response.start":
                for key, value in message.get("headers", ()):
                    if key.lower() == b"set-cookie":
                        await self._see(plain_name(value.partition(b"=")[0].strip().decode("latin-1")))
            await send(message)

        await self._app(scope, receive, seen)

    async def _see(self, name: str) -> None:
        if name in self._told:
            return
        try:
            await self._tell(name)
        except (TrothError, psycopg.Error) as fault:  # it is told with the next answer that sets it
            _logger.warning("a cookie could not be written down: %s", getattr(fault, "slug", type(fault).__name__))
        else:
            self._told.add(name)
