"""What waits for the privacy office: counts agree, what failed comes first, and late things stand on today."""

from __future__ import annotations

from datetime import timedelta

from troth.doors.web import words
from troth.doors.web.office.waiting import HORIZON_DAYS, Item, horizon, page_of
from troth.doors.web.requested import Chip
from troth.kit import clock

CHIP = Chip("wait", "Needs your decision", "open")


def item(kind: str, days: float | None, **told: object) -> Item:
    now = clock.now()
    due = None if days is None else now + timedelta(days=days)
    return Item(kind, "Thing", "R-1 · Somebody", "/office", CHIP, now - timedelta(days=3), due, **told)  # type: ignore[arg-type]


def test_nothing_waits() -> None:
    page = page_of([], "")
    assert page.heading == "Nothing is waiting"
    assert (page.horizon, page.items) == (None, ())


def test_counts_agree() -> None:
    items = [item("requests", -1), item("requests", 20), item("holds", 3), item("notice", None)]
    page = page_of(items, "requests")
    assert page.heading == "4 items are waiting"
    assert [(kind.label, kind.count) for kind in page.kinds] == [
        ("All", 4),
        ("Requests", 2),
        ("Holds", 1),
        ("Notice", 1),
    ]
    assert [figure.value for figure in page.figures] == ["1", "0", "2"]
    assert len(page.items) == 2
    assert page_of([items[0]], "").heading == "1 item is waiting"


def test_the_picture_has_what_is_late_on_today_and_nothing_beyond_its_end() -> None:
    today = words.local(clock.now()).date()
    picture = horizon([item("requests", -9), item("requests", 10), item("requests", HORIZON_DAYS + 5)], today)
    late, soon = picture.dots
    assert late.x < soon.x < 1000
    assert (late.tint, soon.tint) == ("late", "")
    crowded = horizon([item("requests", 1) for _ in range(30)], today)
    assert len({(dot.x, dot.y) for dot in crowded.dots}) == len(crowded.dots) <= 4
    assert all(dot.y > 0 for dot in crowded.dots)
