"""The worker's look at the promises: after each start, and whenever the ledger grew, as seldom as it is costly.

Three depths, each as often as it can be: the rows of the registers every ten minutes; the whole ledger with what is
looked at on this machine, whenever it grew; all that is held, study by study, once a night.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import datetime, time, timedelta
from typing import Final

import psycopg

from troth.kit import clock
from troth.kit.errors import TrothError
from troth.ledger import AlteredRow
from troth.main.wiring import Rooms
from troth.proofs import Seen

FIRST_SECONDS: Final = 2.0
EVERY: Final = timedelta(minutes=1)
GLANCE_SECONDS: Final = 3.0
"""How soon a version that came into force is seen: what it promises should not stand there unchecked."""
ROWS_EVERY: Final = timedelta(minutes=10)
AT_LEAST: Final = timedelta(hours=1)
"""What is open breaks by the clock alone, so a ledger that stands still is looked at too."""
NIGHT: Final = time(2)
"""From when, in UTC, all that is held is looked through, once."""
REST: Final = 50
"""A run rests for so many times as long as it took: at most 2 % of one core go into proofs, however long the ledger."""

_log = logging.getLogger(__name__)


class ProofRuns:
    """Runs beside the other work of a worker; of several workers one computes at a time.

    Args:
        rooms: Of this process.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._started = clock.now()
        self._rows_at = self._started
        self._rests_until = self._started
        self._named = frozenset[AlteredRow]()
        self._tried = frozenset[Seen]()

    async def take(self, stop: asyncio.Event) -> None:
        """Look at the promises until told to stop. A fault is written down and tried again the next time."""
        wait, next_at = FIRST_SECONDS, clock.now()
        while not await _stopped(stop, wait):
            wait = GLANCE_SECONDS
            try:
                if clock.now() >= next_at:
                    next_at = clock.now() + EVERY
                    await self.once()
                else:
                    await self.look_at_new()
            except (TrothError, psycopg.Error, OSError) as fault:
                _log.warning("the promises were not looked at: %s", getattr(fault, "slug", type(fault).__name__))

    async def once(self) -> None:
        """Look if it is due. A run that failed, or that altered rows asked for, is rested from as from any other."""
        if await self.look_at_new():
            return
        if clock.now() >= self._rests_until and await self.is_due():
            await self._run(is_deep=await self.is_deep_due())
        elif await self.are_rows_due():
            found = frozenset(await self._rooms.registers.bound())
            is_new, self._named = bool(found - self._named), found
            if is_new:  # at once: it names them, and writes it down; what it has named waits for the next one
                await self._run(is_deep=False)

    async def look_at_new(self) -> bool:
        """Look at once where a version is in force at which no run looked; once for each, whatever comes of it.

        Returns:
            Whether it was looked, or somebody else looks.
        """
        new = await self._rooms.runs.unseen() - self._tried
        if not new:
            return False
        self._tried |= new
        if not await self._run(is_deep=False):
            self._tried -= new  # what another process computes now may have begun before
        return True

    async def _run(self, *, is_deep: bool) -> bool:
        begun = clock.now()
        try:
            return await self._rooms.runs.try_run(is_deep=is_deep) is not None
        finally:
            self._rests_until = clock.now() + REST * (clock.now() - begun)

    async def is_due(self) -> bool:
        """Whether something happened since the last run that the run itself did not write, or it was long ago."""
        last = await self._rooms.runs.last_size()
        if last is None:
            return True
        size, ended_at = last
        if ended_at < self._started:
            return True
        async with self._rooms.database.transaction(None) as connection:
            checkpoint = await self._rooms.ledger.checkpoint(connection)
        has_grown = checkpoint is not None and checkpoint.size > size
        return has_grown or clock.now() - ended_at >= AT_LEAST or await self.is_deep_due()

    async def is_deep_due(self) -> bool:
        """Whether all that is held was not looked through since last night."""
        last = await self._rooms.runs.last_deep()
        return last is None or last < _last_night(clock.now())

    async def are_rows_due(self) -> bool:
        """Whether the rows of the registers were not looked at for ten minutes; asking counts as looking."""
        last = await self._rooms.runs.last_size()
        seen = max(self._rows_at, last[1]) if last else self._rows_at
        if clock.now() - seen < ROWS_EVERY:
            return False
        self._rows_at = clock.now()
        return True


def _last_night(now: datetime) -> datetime:
    """The last moment at which a night's look was due."""
    tonight = datetime.combine(now.date(), NIGHT, now.tzinfo)
    return tonight if tonight <= now else tonight - timedelta(days=1)


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
