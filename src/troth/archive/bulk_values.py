"""A bulk value that the metadata points to, read by ranges and never held whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from troth import dicom

_STEP_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BulkValue:
    """A value in little endian, whatever it is stored in.

    Attributes:
        length_bytes: Its length.
        unit_bytes: Width of the units whose bytes are stored the other way round, else 1.
        read_stored: Reads its stored bytes [start, stop).
    """

    length_bytes: int
    unit_bytes: int
    read_stored: Callable[[int, int], Awaitable[bytes]]

    async def read(self, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of the value."""
        unit = self.unit_bytes
        if unit == 1:
            return await self.read_stored(start, stop)
        first, last = start // unit * unit, min(-(-stop // unit) * unit, self.length_bytes)
        return dicom.swapped(await self.read_stored(first, last), unit)[start - first : stop - first]

    async def stream(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes one stretch after the other.

        Args:
            start: First byte.
            stop: One after the last; None for all.
        """
        stop = self.length_bytes if stop is None else stop
        for at in range(start, stop, _STEP_BYTES):
            yield await self.read(at, min(at + _STEP_BYTES, stop))
