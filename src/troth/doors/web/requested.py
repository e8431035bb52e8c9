"""Requests of data subjects as pages show them: chips, items, steps, sentences. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from troth.doors.web import words
from troth.kit import clock
from troth.rights import Item, Outcome, Right, RightsRequest, State, Step

RIGHTS: Mapping[Right, str] = {
    Right.ACCESS: "Copy",
    Right.ERASE: "Erase",
}
HEADINGS: Mapping[Right, str] = {
    Right.ACCESS: "You asked for a copy of everything",
    Right.ERASE: "You asked us to erase something",
}
ASKED: Mapping[Right, str] = {
    Right.ACCESS: "a copy of everything",
    Right.ERASE: "to have something erased",
}


@dataclass(frozen=True, slots=True)
class Chip:
    """An outcome in a word: rings, tint and the word itself."""

    rings: str
    word: str
    tint: str = ""


@dataclass(frozen=True, slots=True)
class ItemLine:
    """One thing a request touches."""

    title: str
    chip: Chip
    ground: str
    clause: str
    until: date | None
    is_alert: bool


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step, done or still to come."""

    name: str
    detail: str
    at: datetime | None
    mark: str


STATES: Mapping[State, Chip] = {
    State.OPENED: Chip("open", "Received"),
    State.ACKNOWLEDGED: Chip("open", "Receipt given"),
    State.UNDER_WAY: Chip("open", "Under way", "open"),
    State.READY: Chip("kept", "Ready for you", "kept"),
    State.FULFILLED: Chip("kept", "Done and verified", "kept"),
    State.PARTLY_FULFILLED: Chip("kept", "Done in part, with grounds", "kept"),
    State.REFUSED: Chip("refused", "Refused with ground"),
}
OUTCOMES: Mapping[Outcome, Chip] = {
    Outcome.WAITING: Chip("wait", "Waits"),
    Outcome.UNDER_WAY: Chip("open", "Under way", "open"),
    Outcome.DONE_VERIFIED: Chip("kept", "Done and verified", "kept"),
    Outcome.REFUSED: Chip("refused", "Refused with ground"),
    Outcome.FAILED: Chip("broken", "Failed", "broken"),
}
LIVE_FOR = timedelta(minutes=10)
SETTLED = frozenset({Outcome.DONE_VERIFIED, Outcome.REFUSED})


def has_failed(request: RightsRequest) -> bool:
    """Whether one of its items failed: such a request comes first."""
    return any(item.outcome is Outcome.FAILED for item in request.items)


def is_live(*requests: RightsRequest) -> bool:
    """Whether something is done about one of them at this moment, so that a page looks again by itself.

    Only for a while: a page that asks keeps its session awake.
    """
    return any(each.is_open and clock.now() - each.opened_at < LIVE_FOR for each in requests)


def chip_of(request: RightsRequest) -> Chip:
    """Where a request stands, in a word."""
    if has_failed(request):
        return Chip("broken", "A step failed", "broken")
    return STATES[State.FULFILLED if request.state is State.READY and not has_copy(request) else request.state]


def clock_of(request: RightsRequest, now: datetime) -> words.Clock:
    """The time limit of a request."""
    return words.clock_of(request.opened_at, request.due_at, now, request.closed_at)


def items_of(request: RightsRequest) -> tuple[ItemLine, ...]:
    """What it touches, failed things first."""
    lines = (
        ItemLine(
            item.title, OUTCOMES[item.outcome], _ground(item), item.clause, item.until, item.outcome is Outcome.FAILED
        )
        for item in request.items
    )
    return tuple(sorted(lines, key=lambda line: not line.is_alert))


def _ground(item: Item) -> str:
    if item.ground:
        return item.ground
    return {
        Outcome.DONE_VERIFIED: "Read back and checked.",
        Outcome.FAILED: "It is tried again automatically.",
        Outcome.UNDER_WAY: "Not read back yet.",
    }.get(item.outcome, "")


def is_settled(request: RightsRequest) -> bool:
    """Whether nothing is open any more in what it touches."""
    return bool(request.items) and all(item.outcome in SETTLED for item in request.items)


def summary(request: RightsRequest) -> str:
    """How many things stand how, in one line."""
    counts = Counter(OUTCOMES[item.outcome].word.lower() for item in request.items)
    return " · ".join(f"{count} {word}" for word, count in counts.items())


def steps_of(request: RightsRequest) -> tuple[StepLine, ...]:
    """The steps, those to come dotted."""
    return tuple(_step(step) for step in request.steps)


def _step(step: Step) -> StepLine:
    return StepLine(step.name, step.detail, step.at, "done" if step.at is not None else "later")


def has_copy(request: RightsRequest) -> bool:
    """Whether a copy waits that was read back and whose time is not over."""
    is_in_time = request.copy_expires_at is not None and request.copy_expires_at > clock.now()
    return not request.is_open and request.copy_bytes > 0 and is_in_time


def now_words(request: RightsRequest) -> str:
    """What the person who asked should know now, in two sentences."""
    due = words.due_day(request.due_at)
    if has_failed(request):
        return (
            f"One step did not work and is tried again. Nothing for you to do; you hear from us by {due} at the latest."
        )
    if request.state in {State.READY, State.FULFILLED} and request.right is Right.ACCESS:
        if has_copy(request):
            by = words.day(request.copy_expires_at)
            return f"Your copy is ready. Every file was read back and checked. Take it by {by}."
        return f"Your copy was made and checked {words.day(request.closed_at)}. It is not here any more; ask again."
    if request.state in {State.READY, State.FULFILLED}:
        return f"It is done, and read back. Answered {words.day(request.closed_at)}."
    if request.state is State.PARTLY_FULFILLED:
        gone = "We erased everything the law does not require us to keep."
        return f"{gone} The rest stays, with its ground and its end date below."
    if request.state is State.REFUSED:
        return "We could not do it. The ground and its end date are below. You may complain to us or to the authority."
    settled, held = sum(item.outcome in SETTLED for item in request.items), len(request.items)
    progress = f" {settled} of {held} items are settled." if held else ""
    return f"We know it is you.{progress} You can leave this page: you hear from us by {due} at the latest."


def marks_of(request: RightsRequest) -> tuple[str, ...]:
    """One pair of rings for each thing it touches."""
    return tuple(OUTCOMES[item.outcome].rings for item in request.items)


def heading(right: Right) -> str:
    """The request as its own headline, said to who asked."""
    return HEADINGS[right]


def right_words(right: Right) -> str:
    """The right in one word."""
    return RIGHTS[right]


def by_urgency(requests: Sequence[RightsRequest]) -> list[RightsRequest]:
    """Failed first, then open by due date, then closed, the last one first."""
    opened = sorted((each for each in requests if each.is_open), key=lambda each: (not has_failed(each), each.due_at))
    closed = sorted((each for each in requests if not each.is_open), key=lambda each: each.opened_at, reverse=True)
    return [*opened, *closed]
