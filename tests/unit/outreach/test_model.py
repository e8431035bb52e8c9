"""What a change would do and whom it is told, from the terms alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from troth.notice import Amendment, Change, Difference, Notice, load
from troth.notice.period import Period
from troth.outreach.model import Consequences, audiences_told, letter, moved_by, spoken

DAY = date(2026, 12, 1)
SMALL = Change("changed", "1.1", "We are A.", "We are B.", ("says",), ("patients", "users"))
LARGE = Change("added", "5.9", "", "A company.", (), ("users",), ("a new recipient",))


@pytest.fixture(scope="module")
def shipped() -> Notice:
    return load(Path(__file__).parents[3] / "notices" / "imaging-cloud")


@pytest.fixture(scope="module")
def promising(shipped: Notice) -> Callable[[str], Notice]:
    def promise(mails: str) -> Notice:
        made = []
        for section in shipped.sections:
            clauses = tuple(
                replace(each, tells=("posted", "mailed"), mails=mails) if isinstance(each, Amendment) else each
                for each in section.clauses
            )
            made.append(replace(section, clauses=clauses))
        return Notice(shipped.head, tuple(made), shipped.path, shipped.source)

    return promise


def test_nobody_is_written_to_without_the_promise(shipped: Notice) -> None:
    assert audiences_told(shipped, Difference((LARGE,)), is_material=True) == ()


def test_who_is_written_to(promising: Callable[[str], Notice]) -> None:
    material, every = promising("material"), promising("every")
    assert audiences_told(material, Difference((SMALL,)), is_material=False) == ()
    assert audiences_told(material, Difference((SMALL, LARGE)), is_material=True) == ("users",)
    assert audiences_told(material, Difference((SMALL,)), is_material=True) == ("patients", "users"), "raised by people"
    assert audiences_told(every, Difference((SMALL,)), is_material=False) == ("patients", "users")
    assert audiences_told(every, Difference(()), is_material=False) == ()


def test_studies_that_move(shipped: Notice) -> None:
    eight = shipped.retention()
    seven, nine = replace(eight, period=Period(years=7)), replace(eight, period=Period(years=9))
    days = [(date(2010, 1, 1), 100), (date(2019, 6, 1), 14_203), (date(2026, 1, 1), 5)]
    assert moved_by(eight, seven, days, DAY) == (14_203, 14_308, 0)
    assert moved_by(eight, nine, days, DAY) == (0, 0, 14_308)
    assert moved_by(eight, eight, days, DAY) == (0, 0, 0)


def test_consequences_are_said() -> None:
    said = Consequences(DAY, True, 14_203, 2, 14_204, True, 1, ("teaching (§ 4.9)",), ("care (§ 4.2)",)).lines
    assert said[0] == "14,203 studies become due on 1 December 2026."
    assert "1 study ends sooner than now." in said
    assert "2 studies are kept longer than now." in said
    assert any("children" in line for line in said)
    assert "The activity teaching (§ 4.9) begins." in said
    assert any(line.startswith("The activity care (§ 4.2) ends") for line in said)
    assert said[-1] == "1 account is written to, once, with the difference."
    assert Consequences(DAY).lines == ("Nobody is written to; the change is posted beside the notice.",)


def test_a_letter_tells_each_reader_what_is_for_them(shipped: Notice) -> None:
    change = Difference((SMALL, LARGE, Change("removed", "9.9", "Gone now.", "", (), ("visitors",))))
    title, text = letter(shipped, shipped, change, ["patients"], "http://x/changes")
    assert title.endswith(spoken(shipped.head.effective_on))
    assert "Before: We are A." in text
    assert "Now: We are B." in text
    assert "A company." not in text
    assert "Gone now." not in text
    assert "http://x/changes" in text
    assert "New (a new recipient), § 5.9" in letter(shipped, shipped, change, ["users"], "u")[1]
