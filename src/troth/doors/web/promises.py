"""Whether the promises are kept: the last report, made again beside the pages when it is old."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from troth.doors.web.ports import Rooms
from troth.kit import clock
from troth.notice import Notice
from troth.policy import Permit
from troth.proofs import Departures, Proven, Report, Standing

FRESH = timedelta(seconds=30)
WORDS: Mapping[str, str] = {
    "kept": "Kept",
    "broken": "Broken",
    "missing": "Not possible yet",
    "blind": "Cannot be checked now",
    "idle": "Not needed yet",
    "unseen": "Not shown yet",
    "stated": "",
}
"""The state of a promise by the kind of its mark. What says how things are has none."""

_logger = logging.getLogger(__name__)


def kind_of(promise: Proven) -> str:
    """The kind of mark that stands beside a promise, of `WORDS`."""
    if promise.standing is Standing.UNPROVEN:
        return "blind" if promise.is_blind else "idle" if promise.is_idle else "unseen"
    named = {Standing.BROKEN: "broken", Standing.NOT_POSSIBLE: "missing", Standing.STATED: "stated"}
    return named.get(promise.standing, "kept")


FEWEST: Final = 5
"""Fewer than this could point to somebody, and are not counted out."""


def counted_words(promise: Proven) -> str:
    """How many of what a promise is about fit it; a small number is not told.

    Args:
        promise: With what its looks counted.
    """
    if not promise.of:
        return ""
    if promise.of < FEWEST:
        return "computed over fewer than five"
    against = promise.of - promise.fits
    if not against:
        return f"computed over all {promise.of:,}"
    return f"{f'{against:,}' if against >= FEWEST else 'fewer than five'} of {promise.of:,} do not fit it"


class Promises:
    """Reports by notice, kept for half a minute.

    Args:
        rooms: What the platform gives this door.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._proofs = rooms.proofs
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
