from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth import notice as room
from troth.notice.period import birthday

DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31))


@pytest.mark.parametrize(
    ("studied", "born", "dispose"),
    [
        ("2018-11-14", "1970-01-01", "2026-11-14"),
        ("2020-02-29", "1970-01-01", "2028-02-29"),
        ("2021-02-28", "1970-01-01", "2029-02-28"),
        ("2020-06-01", "2015-05-05", "2040-05-05"),  # a child of five: 25th birthday
        ("2020-06-01", "2003-06-02", "2028-06-02"),  # sixteen, seventeen tomorrow: 25th birthday
        ("2020-06-01", "2003-06-01", "2029-06-01"),  # seventeen today: 26th birthday
        ("2020-06-01", "2002-06-02", "2028-06-02"),  # eighteen tomorrow: 26th birthday
        ("2020-06-01", "2002-06-01", "2028-06-01"),  # eighteen today: grown up
        ("2020-06-01", "2004-02-29", "2029-03-01"),  # born on 29 February
        ("2020-06-01", None, "2046-06-01"),  # nobody knows: as long as any child's term could be
    ],
)
def test_imaging_studies(shipped: room.Notice, studied: str, born: str | None, dispose: str) -> None:
    terms = room.retention(shipped, "imaging_study")
    assert terms.clause_id == "8.1"
    birth_date = date.fromisoformat(born) if born else None
    assert terms.dispose_on(date.fromisoformat(studied), birth_date) == date.fromisoformat(dispose)


@given(DAYS, DAYS)
def test_nothing_goes_before_its_time(shipped: room.Notice, studied: date, born: date) -> None:
    terms = shipped.retention()
    dispose = terms.dispose_on(studied, born)
    assert dispose >= terms.period.after(studied)
    if studied < birthday(born, 18):
        assert dispose >= birthday(born, 25)
    if born <= studied:
        assert dispose <= terms.dispose_on(studied, None)


def test_rules_without_children_need_no_birth_date(shipped: room.Notice) -> None:
    assert shipped.retention("rights_request").dispose_on(date(2026, 11, 22)) == date(2029, 11, 22)


def test_the_law_is_cited_with_its_dates(shipped: room.Notice) -> None:
    law = shipped.retention().law
    assert law is not None
    assert law.effective_on < law.review_on
    assert "Royal College of Radiologists" in law.source


def test_an_unknown_rule_is_a_key_error(shipped: room.Notice) -> None:
    for asked in (shipped.retention, shipped.right, shipped.purpose, shipped.category):
        with pytest.raises(KeyError):
            asked("nothing")
    assert shipped.purpose("diagnosis").id == "4.1"
    assert shipped.category("images").is_special
