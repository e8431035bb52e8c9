"""Periods of ISO 8601 in whole years, months, weeks and days, counted on the calendar."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar

from troth.notice.errors import PeriodMalformed

_LIMIT_YEARS = 150
_UNITS = ("year", "month", "week", "day")
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time as people promise it: eight years, one month, thirty days."""

    PATTERN: ClassVar[str] = r"^P(?=[0-9])([0-9]{1,3}Y)?([0-9]{1,4}M)?([0-9]{1,4}W)?([0-9]{1,5}D)?$"

    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read a period such as `P8Y`, `P1M`, `P30D` or `P1Y6M`.

        Args:
            text: ISO 8601 duration of calendar units; times of day are not periods of a notice.

        Raises:
            PeriodMalformed: Not such a period, zero, or longer than 150 years.

        Per: ISO 8601-1:2019 5.5.2.
        """
        found = re.fullmatch(cls.PATTERN[1:-1], text)
        if found is None:
            raise PeriodMalformed(text)
        period = cls(*(int(part[:-1]) if part else 0 for part in found.groups()))
        rough_days = period.years * 366 + period.months * 31 + period.weeks * 7 + period.days
        if not 0 < rough_days <= _LIMIT_YEARS * 366:
            raise PeriodMalformed(text)
        return period

    def after(self, start: date) -> date:
        """The day on which the period has passed, the same day of the month where there is one, else its last.

        Args:
            start: The day it runs from.
        """
        month = start.month - 1 + self.months
        year = start.year + self.years + month // 12
        month = month % 12 + 1
        if year > date.max.year - 1:
            return date.max
        day = min(start.day, calendar.monthrange(year, month)[1])
        return date(year, month, day) + timedelta(days=self.weeks * 7 + self.days)

    def __str__(self) -> str:
        parts = ((self.years, "Y"), (self.months, "M"), (self.weeks, "W"), (self.days, "D"))
        return "P" + "".join(f"{count}{letter}" for count, letter in parts if count)

    @property
    def words(self) -> str:
        """The period as it is read aloud, such as "eight years" or "one year and six months"."""
        counts = (self.years, self.months, self.weeks, self.days)
        said = [_counted(count, unit) for count, unit in zip(counts, _UNITS, strict=True) if count]
        return " and ".join(said)


def _counted(count: int, unit: str) -> str:
    number = _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"
    return f"{number} {unit}{'' if count == 1 else 's'}"


def birthday(born_on: date, age_years: int) -> date:
    """The day on which a person reaches an age; born on 29 February, in other years on 1 March.

    Args:
        born_on: Day of birth.
        age_years: The age that is reached.
    """
    year = min(born_on.year + age_years, date.max.year)
    if born_on.month == 2 and born_on.day == 29 and not calendar.isleap(year):
        return date(year, 3, 1)
    return born_on.replace(year=year)
