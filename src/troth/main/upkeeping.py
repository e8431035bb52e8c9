"""The worker's upkeep: sweeps, ends what was cut short, tells backups what was erased and officers what waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final

import psycopg

from troth.archive import UpkeepRunning
from troth.kit.errors import TrothError
from troth.main.backup import Following
from troth.main.checkpoints import Checkpoints
from troth.main.first_start import permit_for
from troth.main.reminders import Reminders
from troth.main.wiring import Rooms
from troth.people import Organisation
from troth.policy import Target

FIRST_SECONDS: Final = 60.0
EVERY_SECONDS: Final = 900.0
FAULTS: Final = (TrothError, psycopg.Error, OSError)

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
            except FAULTS as fault:
                _log.warning("upkeep did not succeed: %s", getattr(fault, "slug", type(fault).__name__))

    async def once(self) -> None:
        """One round. A step that does not succeed is named in the log and tried the next time; the others go on.

        Raises:
            UpkeepRunning: Another process of this machine is at it, and does what comes after the sweep.
        """
        rooms = self._rooms
        for place in await rooms.people.organisations():
            await _tried("an organisation", self._place(place))
        await _tried("accounts that are being closed", rooms.people.resume_closures())
        await _tried("what is over", rooms.people.sweep())
        await _tried("the archive", self._archive())
        await _tried("the checkpoint", Checkpoints(rooms).once())
        await _tried("reminders", Reminders(rooms).once())

    async def _place(self, place: Organisation) -> None:
        archive = self._rooms.archive
        permit = await permit_for(self._rooms, "administer", Target("organisation", place.id, place.id))
        await _tried("erasures", archive.resume_erasures(permit))
        await _tried("what waits for its release", archive.releasing.release(permit))
        await _tried("what is kept apart", archive.quarantine.expire(permit))

    async def _archive(self) -> None:
        permit = await permit_for(self._rooms, "administer", Target("platform"))
        await self._rooms.archive.upkeep.sweep(permit)


async def _tried(step: str, work: Awaitable[object]) -> None:
    """One step of a round, whose faults are written down and end no other step."""
    try:
        await work
    except UpkeepRunning:
        raise
    except FAULTS as fault:
        _log.warning("upkeep: %s did not succeed: %s", step, getattr(fault, "slug", type(fault).__name__))


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
