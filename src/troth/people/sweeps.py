"""What has been over for a day goes: attempts, links, sessions, invitations, proposals, challenges, drafts."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

import psycopg

from troth.kit import clock
from troth.kit.errors import TrothError
from troth.people import sweeps_store
from troth.people.model import Organisation
from troth.people.room import Room

_logger = logging.getLogger(__name__)

MOST: Final = 640
"""Rows that go in one transaction: the entries that say of each that it is gone hold 64 of them."""


class Sweeps(Room):
    """The part of `People` that deletes what is over."""

    async def sweep(self) -> int:
        """Delete what has been over for a day; when a member was here last is kept. May be cut short and repeated.

        Returns:
            How many rows went.

        Raises:
            TrothError, psycopg.Error: An organisation could not be swept; the others were.
        """
        now, gone = clock.now(), 0
        failed: Exception | None = None
        for place in (None, *await self.organisations()):
            try:
                gone += await self._sweep(place, now)
            except (TrothError, psycopg.Error) as fault:
                _logger.warning("an organisation was not swept: %s", getattr(fault, "slug", type(fault).__name__))
                failed = fault
        if failed is not None:
            raise failed
        return gone

    async def _sweep(self, place: Organisation | None, now: datetime) -> int:
        """One organisation; None for the platform."""
        if place is not None:
            async with self._db.transaction(place) as connection:
                await sweeps_store.note_last_here(connection, now)
        gone = 0
        for table, over in (sweeps_store.OF_PLATFORM if place is None else sweeps_store.OF_TENANT).items():
            some = MOST
            while some == MOST:
                async with self._db.transaction(place) as connection:
                    some = await sweeps_store.delete_over(connection, table, over, now, MOST)
                gone += some
        return gone
