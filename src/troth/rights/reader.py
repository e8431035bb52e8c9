"""Whose clock a copy is written by: that of the account it is for, else the one of the notice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class ReaderClock:
    """A clock that times of a copy are read from.

    Attributes:
        zone: Where it hangs.
        calendar: Where the notice counts days: a time limit ends on the same day for everybody.
    """

    zone: tzinfo
    calendar: tzinfo

    def day(self, at: datetime) -> str:
        """2 Nov 2026, by this clock."""
        here = at.astimezone(self.zone)
        return f"{here.day} {here:%b %Y}"

    def due_day(self, at: datetime) -> str:
        """The last day of a time limit, as the notice counts days."""
        there = at.astimezone(self.calendar)
        return f"{there.day} {there:%b %Y}"

    def moment(self, at: datetime) -> str:
        """2 Nov 2026, 14:05, London time."""
        here, name = at.astimezone(self.zone), str(self.zone)
        place = name.rpartition("/")[2].replace("_", " ")
        return f"{self.day(at)}, {here:%H:%M}{' UTC' if name == 'UTC' else f', {place} time'}"


def clock_for(zones: Iterable[str], calendar: tzinfo) -> ReaderClock:
    """The clock of who reads.

    Args:
        zones: IANA zones of the accounts that it is for, empty where one goes by the notice.
        calendar: Zone of the notice; also taken where several accounts read and do not agree.
    """
    chosen = set(zones)
    only = chosen.pop() if len(chosen) == 1 else ""
    return ReaderClock(ZoneInfo(only) if only else calendar, calendar)
