from __future__ import annotations

from contextvars import copy_context
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from troth.doors.web import words

START = datetime(2026, 11, 12, 9, 30, tzinfo=UTC)
DUE = datetime(2026, 12, 12, 23, 59, tzinfo=UTC)


def test_dates_have_the_month_as_a_word() -> None:
    assert words.day(date(2026, 11, 2)) == "2 Nov 2026"
    assert words.moment(datetime(2026, 11, 22, 14, 5, tzinfo=UTC)) == "22 Nov 2026, 14:05"
    assert (words.day(None), words.moment(None), words.iso(None)) == ("", "", "")


def test_times_are_read_from_the_readers_clock_and_days_are_not() -> None:
    """Half the year a clock in London is an hour ahead of UTC, and what happened at night is of another day there."""

    def read() -> None:
        words.read_in(ZoneInfo("Europe/London"))
        assert words.time_of_zone() == "London time"
        assert words.moment(datetime(2026, 7, 22, 23, 5, tzinfo=UTC)) == "23 Jul 2026, 00:05"
        assert words.day(datetime(2026, 7, 22, 23, 5, tzinfo=UTC)) == "23 Jul 2026"
        assert words.moment(datetime(2026, 11, 22, 14, 5, tzinfo=UTC)) == "22 Nov 2026, 14:05"
        assert words.day(date(2026, 7, 22)) == "22 Jul 2026"
        due = datetime(2026, 7, 31, 22, 59, 59, tzinfo=UTC)  # the last second of the day there
        shown = words.clock_of(datetime(2026, 7, 1, 23, 30, tzinfo=UTC), due, datetime(2026, 7, 30, 23, 30, tzinfo=UTC))
        assert (shown.left, shown.by) == ("due today", "by 31 Jul 2026")

    copy_context().run(read)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Sample^Anna^^Dr", "Sample, Anna"),
        ("Sample", "Sample"),
        ("^Anna", "Anna"),
        ("", ""),
        ("Yamada^Tarou=山田^太郎", "Yamada, Tarou"),
        ("Sample^Anna^Maria", "Sample, Anna Maria"),
    ],
)
def test_names_are_shown_family_name_first(name: str, shown: str) -> None:
    assert words.person_name(name) == shown


@pytest.mark.parametrize(
    ("now", "closed", "left", "tint"),
    [
        (START, None, "30 days left", ""),
        (START + timedelta(days=11), None, "19 days left", ""),
        (START + timedelta(days=20), None, "10 days left", "near"),
        (START + timedelta(days=30), None, "due today", "near"),
        (START + timedelta(days=32), None, "2 days late", "late"),
        (START + timedelta(days=40), START + timedelta(days=3), "answered after 3 days", "off"),
        (START + timedelta(days=40), START + timedelta(hours=1), "answered on the same day", "off"),
        (START + timedelta(days=40), START + timedelta(days=32), "answered after 30 days", "late"),
    ],
)
def test_a_clock_says_days_left_and_turns_amber_in_its_last_third(
    now: datetime, closed: datetime | None, left: str, tint: str
) -> None:
    clock = words.clock_of(START, DUE, now, closed)
    assert (clock.left, clock.tint) == (left, tint)
    assert "12 Dec 2026" in clock.by
    assert 0 <= clock.day <= clock.days == 30


def test_numbers_say_of_what() -> None:
    assert words.counted(1, "image") == "1 image"
    assert words.counted(1204, "image") == "1,204 images"
    assert words.counted(2, "entry", "entries") == "2 entries"
    assert words.length(88_400_000) == "88.4 MB"
    assert words.length(12) == "12 bytes"
    assert words.length(5_200_000_000) == "5.2 GB"
    assert words.entry_number(51877).split() == ["51", "877"]


def test_a_fingerprint_is_eight_groups_and_never_the_whole() -> None:
    assert words.fingerprint(bytes(range(32))) == "0001 0203 0405 0607 · 0809 0a0b 0c0d 0e0f"


def test_a_scan_has_an_everyday_name() -> None:
    assert words.scan(["SR", "CT"]) == "CT scan"
    assert words.scan(["DX"]) == "X-ray"
    assert words.scan([]) == "Images"


def test_who_sent_and_who_it_is_are_said_in_words() -> None:
    assert [words.sex(each) for each in ("F", "m", "O", "X", "")] == ["female", "male", "other", "X", ""]
    assert words.sender("CT1") == "CT1"
    assert words.sender(words.BEARER) == "a program with a token"


@pytest.mark.asvs("V1.1.2")
def test_a_name_that_turns_the_line_round_turns_only_itself() -> None:
    assert words.person_name("\u202eEvil^Name") == "\u2068\u202eEvil, Name\u2069"
    assert words.person_name("A\u2069B\u202e^C") == "\u2068AB\u202e, C\u2069", "it cannot end its own isolation"
    assert words.person_name("Müller^Jörg") == "Müller, Jörg"
