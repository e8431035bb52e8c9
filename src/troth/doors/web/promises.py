"""Whether the promises are kept: the last report, made again beside the pages when it is old."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta

from troth.doors.web.ports import Rooms
from troth.kit import clock
from troth.notice import Notice
from troth.policy import Permit
from troth.proofs import Departures, Proofs, Report, Site, Standing

FRESH = timedelta(seconds=30)
WORDS: Mapping[Standing, tuple[str, str]] = {
    Standing.KEPT: ("kept", "Kept"),
    Standing.UNPROVEN: ("open", "Nothing to prove yet"),
    Standing.BROKEN: ("broken", "Broken"),
}

_logger = logging.getLogger(__name__)


class Promises:
    """Reports by notice, kept for half a minute.

    Args:
        rooms: What the platform gives this door.
    """

    def __init__(self, rooms: Rooms) -> None:
        settings = rooms.settings
        listeners = {"pages": settings.http, "viewer": settings.viewer, "dicom": settings.dicom}
        places = {name: (address.host, address.port) for name, address in listeners.items()}
        site = Site.of(settings.data_dir, places, is_https=settings.is_https)
        self._proofs = Proofs(rooms.database, rooms.ledger, rooms.dsn_sequencer, site)
        self._reports: dict[str, Report] = {}
        self._departures: Departures | None = None
        self._counting = asyncio.Lock()
        self._making: dict[str, asyncio.Task[None]] = {}

    async def report(self, notice: Notice) -> Report | None:
        """The last report of a notice; the first one is waited for, later ones are made beside.

        Returns:
            None when it could not be made; the pages then say that nothing was checked.
        """
        held = self._reports.get(notice.label)
        if held is None or clock.now() - held.at > FRESH:
            task = self._making.get(notice.label)
            if task is None or task.done():
                task = self._making[notice.label] = asyncio.create_task(self._make(notice))
            if held is None:
                await asyncio.shield(task)
        return self._reports.get(notice.label)

    async def departures(self) -> Departures | None:
        """What left for somebody outside, counted at most half a minute ago.

        Returns:
            None when it could not be counted; the page then says so.
        """
        if self._departures is None or clock.now() - self._departures.at > FRESH:
            async with self._counting:
                if self._departures is None or clock.now() - self._departures.at > FRESH:
                    try:
                        self._departures = await self._proofs.departures()
                    except Exception as fault:  # the page still says what is promised
                        _logger.warning("what left could not be counted: %s", type(fault).__name__)
                        return None
        return self._departures

    async def within(self, notice: Notice, permit: Permit) -> Report:
        """A report made now, with the evidence of one organisation.

        Args:
            notice: The notice.
            permit: To see proofs there.
        """
        return await self._proofs.report(notice, permit)

    async def _make(self, notice: Notice) -> None:
        try:
            self._reports[notice.label] = await self._proofs.report(notice)
        except Exception as fault:  # a page about promises must not fall with the proof of one
            _logger.warning("the promises could not be checked: %s", type(fault).__name__)
