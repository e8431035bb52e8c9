"""Who tried to connect and is not registered: counted, and told to the ledger once in a while.

One entry for each attempt would let anybody fill the ledger.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from troth.doors.dimse.gate import Shown
from troth.doors.dimse.ports import People

_log = logging.getLogger("troth.doors.dimse")
_MOST = 100
_EVERY_SECONDS = 60.0
_OTHERS = ("", "", "others")


class Strangers:
    """Attempts since the last entry.

    Args:
        people: Writes them down.
    """

    def __init__(self, people: People) -> None:
        self._people = people
        self._seen: Counter[tuple[str, str, str]] = Counter()

    def note(self, shown: Shown) -> None:
        """One more."""
        one = (shown.calling_ae, shown.called_ae, shown.address)
        self._seen[one if one in self._seen or len(self._seen) < _MOST else _OTHERS] += 1

    async def follow(self) -> None:
        """Tell the ledger once a minute, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            await self.tell()

    async def tell(self) -> None:
        """Tell the ledger now; what could not be told is kept for the next time."""
        seen, self._seen = self._seen, Counter()
        if not seen:
            return
        try:
            await self._people.record_strangers(seen)
        except Exception as fault:
            _log.error("dimse.strangers.untold: %s", type(fault).__name__)
            self._seen.update(seen)
