"""Tells privacy officers by mail that something waits for them: in the morning, at most once a day."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

from troth.doors import web
from troth.kit import clock
from troth.kit.errors import TrothError
from troth.main.first_start import permit_for
from troth.main.wiring import Rooms
from troth.people import Organisation
from troth.policy import Target

_logger = logging.getLogger(__name__)

FROM_HOUR: Final = 7
"""Not before, by the notice's clocks: it is read on the day it is sent."""


class Reminders:
    """Writes to those for whom something waits.

    Args:
        rooms: Of this process.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def once(self) -> int:
        """Write to each who was not written to today.

        Returns:
            How many were written to.

        Raises:
            TrothError: One of them was not taken, or cannot be written; it is tried again the next time, and the others
                have theirs. Or an organisation could not be looked at.
        """
        now = await self._here()
        if now.hour < FROM_HOUR:
            return 0
        sent: int = 0
        failed: TrothError | None = None
        for place in await self._rooms.people.organisations():
            try:
                told, fault = await self._house(place, now)
            except TrothError as broken:  # the other organisations have theirs
                _logger.warning("an organisation's reminders were not written: %s", broken.slug)
                told, fault = 0, broken
            sent, failed = sent + told, fault or failed
        if failed is not None:
            raise failed
        return sent

    async def _house(self, place: Organisation, now: datetime) -> tuple[int, TrothError | None]:
        """Write to those of one organisation; how many were written to, and what was not taken."""
        sent, people = 0, self._rooms.people
        failed: TrothError | None = None
        permit = await permit_for(self._rooms, "administer", Target("organisation", place.id, place.id))
        for each in await people.to_remind(permit, web.reminder.ROLE, now.date()):
            try:
                text = await web.reminder.text_for(self._rooms, permit, place.name, each)
                if not text:
                    continue
                await self._rooms.mail.send(each.email, web.reminder.TITLE, text)
                await people.note_reminded(permit, each.id, now.date())
            except TrothError as fault:  # the others of the organisation have theirs
                failed = fault
                continue
            sent += 1
        return sent, failed

    async def _here(self) -> datetime:
        """Now, by the clocks of the notice in force."""
        current = await self._rooms.notices.current()
        return clock.now().astimezone(current[0].notice.zone if current else UTC)
