"""Whether the promises are kept, as the last run found it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from troth.doors.web.ports import Rooms
from troth.kit.errors import TrothError
from troth.proofs import Proven, Result, Standing

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
    """What the last run of our own programs found; a page reads it, and nobody who reads it makes anything computed.

    Args:
        rooms: What the platform gives this door.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._runs = rooms.runs

    async def last(self) -> Result | None:
        """What was found last.

        Returns:
            None before the first run, or when it cannot be read; the pages then say that nothing was checked.
        """
        try:
            return await self._runs.last()
        except TrothError as fault:  # a page about promises must not fall with the proof of one
            _logger.warning("the last run could not be read: %s", fault.slug)
            return None
