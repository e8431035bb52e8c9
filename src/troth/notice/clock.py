"""When an answer is due: calendar months, not thirty days.

EU: Regulation 1182/71 Art. 3(2)(c) and 3(4): a period in months ends with the last hour of the day that bears the
same number as the day of the event; where the month has no such day, of its last day; where that is a Saturday,
Sunday or public holiday, of the following working day. UK: the ICO's guidance on the right of access gives the same
corresponding date, last day and next working day. Both count from the day of receipt.

There is no table of public holidays yet: a day counts as a working day unless it is a Saturday or Sunday, or the
caller names it as a holiday. Without the table an answer is due on the holiday itself, so it is early, never late.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from troth.notice.period import Period


def due_on(
    received_on: date, period: str | Period, *, extension: str | Period | None = None, holidays: Collection[date] = ()
) -> date:
    """The last day on which the answer is in time.

    Args:
        received_on: The day on which everything was there that starts the clock.
        period: Such as `P1M`.
        extension: Further period that was told to the person in time, such as `P2M`; counted from the start as one
            period, so 31 January with one month and two more ends on 30 April.
        holidays: Public holidays that count as no working days.

    Per: GDPR Art. 12(3), Regulation (EEC, Euratom) 1182/71 Art. 3; UK GDPR Art. 12(3).
    """
    last = _sum(_period(period), _period(extension) if extension else None).after(received_on)
    while not is_working_day(last, holidays):
        last += timedelta(days=1)
    return last


def due_at(
    received_at: datetime,
    period: str | Period,
    *,
    extension: str | Period | None = None,
    zone: tzinfo = UTC,
    holidays: Collection[date] = (),
) -> datetime:
    """The last second in which the answer is in time, in UTC.

    Args:
        received_at: The instant at which everything was there that starts the clock; with its zone.
        period: Such as `P1M`.
        extension: Further period that was told to the person in time.
        zone: Where the person and the organisation count their days; the notice's `zone`.
        holidays: Public holidays that count as no working days.

    Returns:
        23:59:59 of the due day in that zone, so its date there is the date to show.
    """
    last = due_on(received_at.astimezone(zone).date(), period, extension=extension, holidays=holidays)
    return datetime.combine(last, time(23, 59, 59), zone).astimezone(UTC)


def is_working_day(day: date, holidays: Collection[date] = ()) -> bool:
    """Whether offices work on this day: not on Saturdays, Sundays and the holidays given."""
    return day.weekday() < 5 and day not in holidays


def _period(value: str | Period) -> Period:
    return value if isinstance(value, Period) else Period.parse(value)


def _sum(first: Period, further: Period | None) -> Period:
    if further is None:
        return first
    return Period(
        first.years + further.years,
        first.months + further.months,
        first.weeks + further.weeks,
        first.days + further.days,
    )
