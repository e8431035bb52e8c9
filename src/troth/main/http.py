"""HTTP of strangers within bounds.

uvicorn's fast parser has no limit of its own for what stands before, between and after bodies: a header without end
would be kept, and copied anew with each piece that comes.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BARE_BYTES = 64 << 10
_ANSWER = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """One connection that ends when more comes in a row than headers or trailers ever need.

    The limit is looked at after each read from the socket, so it is passed by the length of one read at most.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._bare_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        self._bare_bytes += len(data)
        super().data_received(data)
        if self._bare_bytes > MOST_BARE_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_headers_complete(self) -> None:
        """The parser has the whole head of a request."""
        self._bare_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """The parser has bytes of a body: how many those may be is for whoever reads them."""
        self._bare_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The parser has a whole request."""
        self._bare_bytes = 0
        super().on_message_complete()

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_ANSWER)
            self.transport.close()
        else:
            self.transport.abort()
