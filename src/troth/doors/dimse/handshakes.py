"""TLS handshakes within bounds: a silent connection costs fifty kilobytes, so only so many may be under way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable

from troth.doors.dimse.limits import Limits
from troth.doors.dimse.upper import UpperLayer

_log = logging.getLogger("troth.doors.dimse")
_PAUSE_SECONDS = 0.1


class Handshakes:
    """Accepts connections on one socket and hands over those whose TLS stands.

    Args:
        listening: A bound and listening socket.
        tls: How we show ourselves and whom we believe.
        connect: Makes the upper layer of a connection.
        limits: `pending` of them at once, `artim_seconds` for each.
    """

    def __init__(
        self, listening: socket.socket, tls: ssl.SSLContext, connect: Callable[[], UpperLayer], limits: Limits
    ) -> None:
        self._listening = listening
        self._tls = tls
        self._connect = connect
        self._limits = limits
        self._under_way: dict[asyncio.Task[None], None] = {}  # oldest first
        listening.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._listening.getsockname()[1])

    @property
    def under_way(self) -> int:
        """How many handshakes are not done yet."""
        return len(self._under_way)

    def close(self) -> None:
        """Accept no more; end the handshakes under way."""
        self._accepting.cancel()
        self._listening.close()
        for task in tuple(self._under_way):
            task.cancel()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listening)
            except OSError as fault:  # out of descriptors, or gone before we came to it
                _log.warning("dimse.accept.failed: %s", type(fault).__name__)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            task = loop.create_task(self._shake(connection))
            self._under_way[task] = None
            task.add_done_callback(lambda done: self._under_way.pop(done, None))
            while len(self._under_way) > self._limits.pending:
                oldest = next(iter(self._under_way))
                del self._under_way[oldest]
                oldest.cancel()

    async def _shake(self, connection: socket.socket) -> None:
        upper = self._connect()
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: upper, connection, ssl=self._tls, ssl_handshake_timeout=self._limits.artim_seconds
            )
        except BaseException as fault:
            upper.connection_lost(None)  # a protocol that was not told of the beginning is not told of the end
            with contextlib.suppress(OSError):
                connection.close()
            if not isinstance(fault, OSError | TimeoutError | asyncio.CancelledError):
                raise
