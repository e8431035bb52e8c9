from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from troth.doors.web import requested
from troth.doors.web.patient.asking import request_line, request_page
from troth.kit import clock
from troth.rights import Item, Outcome, Right, RightsRequest, State, Step

OPENED = datetime(2026, 11, 12, tzinfo=UTC)
DUE = datetime(2026, 12, 12, tzinfo=UTC)


def item(outcome: Outcome, **more: object) -> Item:
    return replace(Item(uuid4(), "study", uuid4(), "CT scan · 14 Nov 2026", outcome), **more)  # type: ignore[arg-type]


def request(right: Right = Right.ACCESS, state: State = State.OPENED, *items: Item, **more: object) -> RightsRequest:
    made = RightsRequest(
        id=uuid4(),
        tenant=uuid4(),
        number=2041,
        right=right,
        state=state,
        subject_id=uuid4(),
        opened_at=OPENED,
        due_at=DUE,
        acknowledged_at=OPENED,
        closed_at=None,
        clauses=("9.1",),
        items=items,
        steps=(Step("Received", OPENED), Step("Answered", None)),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def with_copy(until: datetime) -> RightsRequest:
    closed = {"closed_at": OPENED, "copy_bytes": 9, "copy_sha256": "9f" * 32, "copy_expires_at": until}
    return request(Right.ACCESS, State.READY, item(Outcome.DONE_VERIFIED), **closed)


def test_a_copy_is_offered_as_long_as_it_is_there() -> None:
    there, over = with_copy(clock.now() + timedelta(days=1)), with_copy(clock.now() - timedelta(seconds=1))
    assert request_page(there).copy is not None
    assert requested.chip_of(there).word == "Ready for you"
    assert "Your copy is ready" in request_page(there).now
    assert request_page(over).copy is None
    assert requested.chip_of(over).word == "Done and verified"
    assert "It is not here any more" in request_page(over).now
    unread = replace(there, closed_at=None)
    assert request_page(unread).copy is None


def test_done_is_said_of_nothing_that_failed() -> None:
    failed = request(Right.ERASE, State.UNDER_WAY, item(Outcome.DONE_VERIFIED), item(Outcome.FAILED))
    assert requested.chip_of(failed).word == "A step failed"
    assert [line.is_alert for line in requested.items_of(failed)] == [True, False]
    assert not requested.is_settled(failed)
    assert "tried again" in request_line(failed).now


def test_a_refusal_carries_its_ground_clause_and_end() -> None:
    refused = item(Outcome.REFUSED, ground="The law keeps it.", clause="8.1", until=date(2034, 11, 14))
    line = requested.items_of(request(Right.ERASE, State.REFUSED, refused))[0]
    assert (line.ground, line.clause, line.until, line.chip.tint) == (
        "The law keeps it.",
        "8.1",
        date(2034, 11, 14),
        "",
    )


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("right", Right)
def test_every_state_of_every_right_has_words(right: Right, state: State) -> None:
    closed = OPENED if state in {State.FULFILLED, State.PARTLY_FULFILLED, State.REFUSED, State.READY} else None
    page = request_page(request(right, state, item(Outcome.DONE_VERIFIED), closed_at=closed))
    assert page.heading.startswith("You ")
    assert page.now.endswith((".", "again."))
    assert [step.mark for step in page.steps] == ["done", "later"]


def test_what_failed_comes_first_then_what_is_due() -> None:
    late, soon = request(due_at=DUE), request(due_at=DUE - timedelta(days=3))
    failed = request(Right.ERASE, State.UNDER_WAY, item(Outcome.FAILED))
    closed = request(state=State.REFUSED, closed_at=OPENED)
    assert requested.by_urgency([closed, late, soon, failed]) == [failed, soon, late, closed]
