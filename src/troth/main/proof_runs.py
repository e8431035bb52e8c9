"""The worker's look at the promises: after each start, and whenever the ledger grew, as seldom as it is costly."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Final

import psycopg

from troth.kit import clock
from troth.kit.errors import TrothError
from troth.main.wiring import Rooms

FIRST_SECONDS: Final = 2.0
EVERY_SECONDS: Final = 60.0
AT_LEAST: Final = timedelta(hours=1)
"""What is open breaks by the clock alone, so a ledger that stands still is looked at too."""
REST: Final = 50
"""A run rests for so many times as long as it took: at most 2 % of one core go into proofs, however long the ledger."""

_log = logging.getLogger(__name__)


class ProofRuns:
    """Runs beside the other work of a worker.

    Args:
        rooms: Of this process.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def take(self, stop: asyncio.Event) -> None:
        """Look at the promises until told to stop. A fault is written down and tried again the next time."""
        wait = FIRST_SECONDS
        is_first = True
        while not await _stopped(stop, wait):
            wait = EVERY_SECONDS
            begun = clock.now()
            try:
                if is_first or await self.is_due():
                    await self._rooms.runs.run()
                    is_first = False
            except (TrothError, psycopg.Error, OSError) as fault:
                _log.warning("the promises were not looked at: %s", getattr(fault, "slug", type(fault).__name__))
            wait = max(wait, REST * (clock.now() - begun).total_seconds())

    async def is_due(self) -> bool:
        """Whether something happened since the last run, or it was long ago."""
        last = await self._rooms.runs.last_size()
        if last is None:
            return True
        size, ended_at = last
        async with self._rooms.database.transaction(None) as connection:
            checkpoint = await self._rooms.ledger.checkpoint(connection)
        has_grown = checkpoint is not None and checkpoint.size > size
        return has_grown or clock.now() - ended_at >= AT_LEAST


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
