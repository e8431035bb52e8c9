"""Bounded inflation of deflated data sets (DICOM PS3.5 A.5): a bomb is stopped early and never held."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from troth.dicom.errors import HeadTooLarge, Malformed, Truncated
from troth.dicom.walk import Limits

_STEP_BYTES = 256 << 10
_FREE_BYTES = 1 << 20


class Inflater:
    """Inflates a raw deflate stream in small steps, within a ratio over the whole stream."""

    __slots__ = ("_limits", "_seen", "_stream", "_taken")

    def __init__(self, limits: Limits) -> None:
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        self._limits = limits
        self._seen = 0
        self._taken = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Inflate the next bytes.

        Raises:
            HeadTooLarge: More comes out than is taken.
            Malformed: It is not a deflate stream, or something follows it.
        """
        if self._stream.eof:
            self._check_rest(chunk)
            return
        self._seen += len(chunk)
        allowed = min(self._limits.inflated_bytes, self._limits.inflate_ratio * self._seen + _FREE_BYTES)
        is_over = False
        while chunk and not is_over:
            try:
                piece = self._stream.decompress(chunk, _STEP_BYTES)
            except zlib.error:
                raise Malformed("The deflated data set cannot be inflated") from None
            chunk, is_over = self._stream.unconsumed_tail, self._stream.eof
            self._taken += len(piece)
            if self._taken > allowed:
                raise HeadTooLarge("The deflated data set grows beyond what is taken here")
            if piece:
                yield piece
        if is_over:
            self._check_rest(self._stream.unused_data)

    def finish(self) -> None:
        """End the stream.

        Raises:
            Truncated: It is not at its end.
        """
        if not self._stream.eof:
            raise Truncated("The deflated data set is cut short")

    @staticmethod
    def _check_rest(rest: bytes) -> None:
        """A pad byte, or the checksum and length some toolkits add, is dropped; more than that hides something."""
        if len(rest) > 8:
            raise Malformed("There are bytes after the deflated data set")
