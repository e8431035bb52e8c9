"""Looking for work again and again, without looking all the time where nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

MOST_SECONDS = 5.0


class Bell:
    """Rings when something was written that may mean work. Belongs to one event loop.

    Args:
        most_seconds: Longest rest of whoever hears nothing; what is due by the clock alone is found that late.
    """

    def __init__(self, most_seconds: float = MOST_SECONDS) -> None:
        self.most_seconds = most_seconds
        self._next = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """Set when it rings the next time; to be asked for before looking, so that nothing is missed meanwhile."""
        return self._next

    def ring(self) -> None:
        """Wake everybody."""
        rung, self._next = self._next, asyncio.Event()
        rung.set()


async def looks(stop: asyncio.Event, pause_seconds: float, bell: Bell | None = None) -> AsyncIterator[None]:
    """Whenever it is time to look for work, until told to stop.

    Args:
        stop: Ends it.
        pause_seconds: Shortest rest between two looks, and the only one without a bell.
        bell: After the pause, rests on until this rings.
    """
    while not stop.is_set():
        rung = bell.next if bell is not None else None
        yield
        await _first(stop, None, pause_seconds)
        if bell is not None and not stop.is_set():
            await _first(stop, rung, bell.most_seconds)


async def _first(stop: asyncio.Event, other: asyncio.Event | None, seconds: float) -> None:
    """Wait for one of two, but not for ever."""
    waiting = [asyncio.ensure_future(each.wait()) for each in (stop, other) if each is not None]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
