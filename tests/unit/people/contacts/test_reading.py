"""A list of people: what is taken of it, and what is refused with its line."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as some

from troth.people import ListMalformed
from troth.people.contacts.reading import LIMIT_BYTES, LONGEST, read

TODAY = date(2026, 11, 22)


def test_columns_go_by_their_usual_names_and_separators() -> None:
    for text in (
        "email,name,counts_from\nA@x.example,Ada,2026-01-02\n",
        "\ufeffE-Mail;Name;Counts from\r\na@x.example;Ada;2026-01-02\r\n",
        "mail\tname\tcounts_from\na@x.example\tAda\t2026-01-02",
    ):
        [line] = read(text.encode(), TODAY).lines
        assert (line.number, line.email, line.told, line.anchor_on) == (
            2, "a@x.example", {"name": "Ada"}, date(2026, 1, 2),
        )  # fmt: skip


def test_who_stands_twice_is_one_and_keeps_what_was_said_first() -> None:
    found = read(b"email,name,title,counts_from\na@x.example,Ada,,2026-01-02\nA@X.example,Eve,Dr,2026-03-04\n", TODAY)
    [line] = found.lines
    assert found.merged == 1
    assert line.told == {"name": "Ada", "title": "Dr"}
    assert line.anchor_on == date(2026, 3, 4)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("bad,Ada,", "mail cannot be sent"),
        ("a@x.example,Ada", "2 fields"),
        ("a@x.example,Ada,yesterday", "not written like"),
        ("a@x.example,Ada,2026-11-23", "still to come"),
        (f"a@x.example,{'a' * (LONGEST + 1)},", "longer than"),
        ("a@x.example,A\x07da,", "cannot be shown"),
    ],
)
def test_a_line_is_refused_with_its_number_and_the_others_go_on(row: str, why: str) -> None:
    found = read(f"email,name,counts_from\nfirst@x.example,F,\n{row}\nlast@x.example,L,\n".encode(), TODAY)
    assert [line.number for line in found.lines] == [2, 4]
    [refused] = found.refused
    assert refused.number == 3
    assert why in refused.why
    assert "Ada" not in refused.why


def test_a_day_may_be_today() -> None:
    assert read(b"email,counts_from\na@x.example,2026-11-22\n", TODAY).lines


def test_what_is_too_large_is_not_read() -> None:
    with pytest.raises(ListMalformed, match="larger than"):
        read(b"e" * (LIMIT_BYTES + 1), TODAY)


@given(some.binary(max_size=400))
def test_whatever_comes_is_read_or_refused(content: bytes) -> None:
    try:
        found = read(b"email,name\n" + content, TODAY)
    except ListMalformed:
        return
    assert all("@" in line.email for line in found.lines)
