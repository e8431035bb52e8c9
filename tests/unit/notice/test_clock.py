from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.notice import Period, PeriodMalformed, clock
from troth.notice.period import birthday

DAYS = st.dates(date(1900, 1, 1), date(2300, 12, 31))


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-01-31", "2026-03-02"),  # 28 February is a Saturday; ICO's example shape: last day, then working day
        ("2027-01-31", "2027-03-01"),  # 28 February 2027 is a Sunday
        ("2028-01-31", "2028-02-29"),  # leap year, a Tuesday
        ("2026-02-28", "2026-03-30"),  # 28 March is a Saturday
        ("2026-11-22", "2026-12-22"),
        ("2026-11-26", "2026-12-28"),  # 26 December is a Saturday; 28 December is a bank holiday we do not know
        ("2026-12-31", "2027-02-01"),  # 31 January is a Sunday
        ("2026-08-31", "2026-09-30"),
    ],
)
def test_one_month_is_a_calendar_month(received: str, due: str) -> None:
    assert clock.due_on(date.fromisoformat(received), "P1M") == date.fromisoformat(due)


def test_an_extension_is_counted_from_the_start() -> None:
    assert clock.due_on(date(2026, 1, 31), "P1M", extension="P2M") == date(2026, 4, 30)


def test_a_holiday_that_is_named_moves_the_day() -> None:
    holidays = {date(2026, 12, 25), date(2026, 12, 28)}
    assert clock.due_on(date(2026, 11, 25), "P1M", holidays=holidays) == date(2026, 12, 29)


def test_days_are_counted_where_the_person_is() -> None:
    late_evening = datetime(2026, 6, 30, 23, 30, tzinfo=UTC)  # 1 July in London
    assert clock.due_at(late_evening, "P1M", zone=ZoneInfo("Europe/London")) == datetime(
        2026, 8, 3, 22, 59, 59, tzinfo=UTC
    )
    assert clock.due_at(late_evening, Period(months=1)) == datetime(2026, 7, 30, 23, 59, 59, tzinfo=UTC)


@given(DAYS, st.integers(1, 36))
def test_due_days_are_working_days_near_the_same_day_of_the_month(start: date, months: int) -> None:
    period = Period(months=months)
    exact = period.after(start)
    due = clock.due_on(start, period)
    assert clock.is_working_day(due)
    assert 0 <= (due - exact).days <= 2
    assert (exact.year * 12 + exact.month) - (start.year * 12 + start.month) == months
    assert exact.day == start.day or (
        exact.day < start.day and (exact.replace(day=28).month != (exact.fromordinal(exact.toordinal() + 1)).month)
    )


@given(DAYS, DAYS, st.integers(1, 36))
def test_who_asks_later_is_never_due_earlier(one: date, other: date, months: int) -> None:
    first, second = sorted((one, other))
    assert clock.due_on(first, Period(months=months)) <= clock.due_on(second, Period(months=months))


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_a_period_is_read_as_it_is_written(years: int, months: int, weeks: int, days: int) -> None:
    period = Period(years, months, weeks, days)
    if years or months or weeks or days:
        assert Period.parse(str(period)) == period
    else:
        with pytest.raises(PeriodMalformed):
            Period.parse(str(period))


@pytest.mark.parametrize(
    "text",
    ["", "P", "P0D", "P1X", "P-1Y", "-P1Y", "PT1H", "P1Y ", "P999Y", "p1y", "1Y", "P1M1Y", "P1.5Y", "P99999D", "P٣Y"],
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(PeriodMalformed):
        Period.parse(text)


def test_a_period_is_read_aloud() -> None:
    assert Period.parse("P8Y").words == "eight years"
    assert Period.parse("P1M").words == "one month"
    assert Period.parse("P1Y6M").words == "one year and six months"
    assert Period.parse("P30D").words == "30 days"


def test_the_end_of_the_calendar_is_not_passed() -> None:
    assert Period(years=150).after(date(9990, 1, 1)) == date.max


def test_birthdays() -> None:
    assert birthday(date(2000, 2, 29), 25) == date(2025, 3, 1)
    assert birthday(date(2000, 2, 29), 24) == date(2024, 2, 29)
    assert birthday(date(2000, 12, 31), 18) == date(2018, 12, 31)
