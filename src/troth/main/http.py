"""HTTP of strangers within bounds.

uvicorn's fast parser has no limit of its own for what stands before, between and after bodies: a header without end
would be kept, and copied anew with each piece that comes. Nor does uvicorn end a connection on which no request ever
comes, or comes to the end of its headers.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BARE_BYTES = 64 << 10
MOST_FIELD_BYTES = 8 << 10
"""Of one field of a header, or of an address; a cookie of ours has a hundred, an Accept of a viewer some hundreds."""
MOST_ADDRESS_BYTES = 16 << 10
MOST_FIELDS = 100
MOST_AHEAD_BYTES = 1 << 20
"""Of a body, how much may wait for whoever reads it; what is read from the socket at once can come on top."""
HEAD_SECONDS = 15.0
STALL_SECONDS = 60.0
"""How long a piece of an answer, of some hundred thousand bytes at most, waits for its reader to take it."""
MOST_IDLE = 2_000
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_AMBIGUOUS = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

_idle: dict[BoundedProtocol, None] = {}
"""Connections of this process on which no request is under way, the one that has waited longest first."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection that ends when more comes in a row than headers or trailers ever need, or nothing comes.

    A field of more than 8 KiB, an address of more than 16 KiB or more than 100 fields are answered 431; two names of a
    host, 400 (RFC 9112 3.2).

    The limit is looked at after each read from the socket, so it is passed by the length of one read at most. From the
    connection, and from the first byte of each further request, the headers have fifteen seconds; between requests
    uvicorn's keep-alive counts. Above two thousand connections without a request the oldest makes room for the newest.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._bare_bytes = 0
        self._is_refused = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A connection opens."""
        super().connection_made(transport)
        self._rest()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._busy()
        self._flows()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The peer does not take what we send as fast as we do; what waits for it is kept small, and not for ever."""
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It has taken it."""
        self._flows()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        if self._is_refused:
            return
        self._bare_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._bare_bytes > MOST_BARE_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._is_between() and self._bare_bytes and self._head_timer is None:
            self._await_head()  # the first bytes of a further request ended uvicorn's own timer

    def on_headers_complete(self) -> None:
        """The parser has the whole head of a request: nothing of it is read that is too long or says two things."""
        self._bare_bytes = 0
        if self._is_refused:
            return
        if (
            len(self.headers) > MOST_FIELDS
            or len(self.url) > MOST_ADDRESS_BYTES
            or any(len(name) + len(value) > MOST_FIELD_BYTES for name, value in self.headers)
        ):
            self._refuse(_TOO_LARGE)
        elif not self._is_for_one_host():
            self._refuse(_AMBIGUOUS)
        else:
            self._busy()
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """The parser has bytes of a body: how many those may be is for whoever reads them."""
        self._bare_bytes = 0
        if self._is_refused:
            return
        cycle = self.cycle
        if cycle.response_complete or self.parser.should_upgrade():
            super().on_body(body)
            return
        # As uvicorn does it, but for the limit: its own stops and starts the reading at every read from the socket.
        cycle.body += body
        if len(cycle.body) > MOST_AHEAD_BYTES:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The parser has a whole request."""
        self._bare_bytes = 0
        if self._is_refused:
            return
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request is answered."""
        super().on_response_complete()
        if self._is_between() and not self.transport.is_closing():
            self._rest()

    def _is_for_one_host(self) -> bool:
        """Whether it names one host, as RFC 9112 3.2 requires; HTTP/1.0 may name none."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        return hosts == 1 or (hosts == 0 and self.parser.get_http_version() == "1.0")

    def _is_between(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _rest(self) -> None:
        _idle[self] = None
        while len(_idle) > MOST_IDLE:
            oldest = next(iter(_idle))
            del _idle[oldest]
            oldest.transport.abort()

    def _busy(self) -> None:
        _idle.pop(self, None)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _flows(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._head_timer = None
        if self._is_between() and not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, answer: bytes) -> None:
        self._is_refused = True
        if self._is_between():
            self.transport.write(answer)
            self.transport.close()
        else:
            self.transport.abort()
