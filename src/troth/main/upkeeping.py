"""The worker's upkeep: sweeps, ends what was cut short, tells backups what was erased and officers what waits."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

import psycopg

from troth.archive import UpkeepRunning
from troth.kit.errors import TrothError
from troth.ledger import RowsAltered
from troth.main.backup import Following
from troth.main.checkpoints import Checkpoints
from troth.main.first_start import permit_for
from troth.main.reminders import Reminders
from troth.main.wiring import Rooms
from troth.policy import Target

FIRST_SECONDS: Final = 60.0
EVERY_SECONDS: Final = 900.0

_log = logging.getLogger(__name__)


class Upkeeping:
    """Runs beside the other work of a worker.

    Args:
        rooms: Of this process.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def take(self, stop: asyncio.Event) -> None:
        """Look after the archive and its backups until told to stop."""
        await asyncio.gather(self._tend(stop), Following(self._rooms).take(stop))

    async def _tend(self, stop: asyncio.Event) -> None:
        """A fault is written down and tried again the next time."""
        wait = FIRST_SECONDS
        while not await _stopped(stop, wait):
            wait = EVERY_SECONDS
            try:
                await self.once()
            except UpkeepRunning:
                continue
            except (TrothError, psycopg.Error, OSError) as fault:
                _log.warning("upkeep did not succeed: %s", getattr(fault, "slug", type(fault).__name__))

    async def once(self) -> None:
        """One round."""
        rooms = self._rooms
        for place in await rooms.people.organisations():
            permit = await permit_for(rooms, "administer", Target("organisation", place.id, place.id))
            await rooms.archive.resume_erasures(permit)
            await rooms.archive.releasing.release(permit)
            try:
                await rooms.archive.quarantine.expire(permit)
            except RowsAltered as fault:  # where holds were changed past us nothing ends, and elsewhere all goes on
                _log.warning("nothing that is kept apart ended in one organisation: %s", fault.slug)
        await rooms.people.resume_closures()
        await rooms.archive.upkeep.sweep(await permit_for(rooms, "administer", Target("platform")))
        await Checkpoints(rooms).once()
        await Reminders(rooms).once()


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
