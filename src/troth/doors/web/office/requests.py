"""The privacy office's console: requests by due date, one request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from statistics import median
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import requested, words
from troth.doors.web.desk import Desk, id_of, of_organisation
from troth.doors.web.office.views import ConsolePage, Figure, FilePage, Queue, RequestRow
from troth.doors.web.render import Page
from troth.kit import clock
from troth.people import SubjectNotFound
from troth.policy import Actor, Permit, Target
from troth.rights import RequestNotFound, Right, RightsRequest, State
from troth.vault import KeyDestroyed

PURPOSE = "rights"
RECORDED = "What is decided here is written to the log first"
ERASED = "erased"

Pick = Callable[[RightsRequest], bool]
QUEUES: Mapping[str, tuple[str, Pick]] = {
    "": ("Open", lambda request: request.is_open),
    "failed": ("A step failed", requested.has_failed),
    "waiting": ("Waiting for the person", lambda request: request.state is State.READY),
    "running": ("Running automatically", lambda request: request.is_open and request.state is not State.READY),
    "closed": ("Closed", lambda request: not request.is_open),
}
VERBS: Mapping[Right, tuple[str, str, str]] = {
    Right.ACCESS: ("asks for", "asked for", "a copy of everything"),
    Right.ERASE: ("asks us", "asked us", "to erase something"),
}


class OfficePages:
    """Handlers for the console.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def console(self, http_request: Request) -> Response:
        """Requests of the organisation by due date, what failed first."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        permit = await self._desk.permit(actor, "see_request", of_organisation(actor), PURPOSE)
        held = requested.by_urgency(await self._desk.rooms.rights.of_organisation(permit))
        queue, right = http_request.query_params.get("queue", ""), http_request.query_params.get("right", "")
        if queue not in QUEUES or right not in {"", *(each.value for each in Right)}:
            raise RequestNotFound
        pick: Pick = (lambda request: request.right.value == right) if right else QUEUES[queue][1]
        names = await self._names(permit, held)
        page = Page("office/requests.html", _console(held, pick, queue, right, names))
        return await self._desk.page(
            http_request, visitor, "Requests", page, here="/office/requests", permit=permit, recorded=RECORDED
        )

    async def request(self, http_request: Request) -> Response:
        """One request as the office sees it."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        held = await self._held(actor, id_of(http_request))
        target = Target("request", held.id if held else None, actor.tenant, held.subject_id if held else None)
        permit = await self._desk.permit(actor, "see_request", target, PURPOSE)
        if held is None:
            raise RequestNotFound
        name = (await self._names(permit, [held]))[held.subject_id]
        page = Page("office/request.html", _file(held, name))
        title = f"Request {held.reference}"
        return await self._desk.page(
            http_request, visitor, title, page, here="/office/requests", permit=permit, recorded=RECORDED
        )

    async def _held(self, actor: Actor, request_id: UUID) -> RightsRequest | None:
        permit = await self._desk.permit(actor, "see_request", of_organisation(actor), PURPOSE)
        held = await self._desk.rooms.rights.of_organisation(permit)
        return next((each for each in held if each.id == request_id), None)

    async def _names(self, permit: Permit, requests: Sequence[RightsRequest]) -> dict[UUID, str]:
        names = {}
        for subject_id in {each.subject_id for each in requests}:
            try:
                names[subject_id] = (await self._desk.rooms.people.subject(permit, subject_id)).name or "No name"
            except (KeyDestroyed, SubjectNotFound):
                names[subject_id] = ERASED
        return names


def _console(
    held: Sequence[RightsRequest], pick: Pick, queue: str, right: str, names: Mapping[UUID, str]
) -> ConsolePage:
    now = clock.now()
    opened = [each for each in held if each.is_open]
    late = [each for each in opened if each.due_at < now]
    due_first = min((each.due_at for each in opened if each.due_at >= now), default=None)
    return ConsolePage(
        at=now,
        queues=tuple(_queue(key, held, is_chosen=not right and key == queue) for key in QUEUES),
        rights=tuple(
            Queue(
                requested.right_words(each),
                sum(request.right is each for request in held),
                f"/office/requests?right={each.value}",
                right == each.value,
            )
            for each in Right
            if any(request.right is each for request in held)
        ),
        figures=_figures(held, opened, late),
        rows=tuple(_row(each, names) for each in held if pick(each)),
        late_heading="Nothing is late." if not late else f"{words.counted(len(late), 'request')} past due.",
        next_line=f"The next clock runs out on {words.moment(due_first)}." if due_first else "No clock is running.",
    )


def _queue(key: str, held: Sequence[RightsRequest], *, is_chosen: bool) -> Queue:
    label, test = QUEUES[key]
    href = f"/office/requests?queue={key}" if key else "/office/requests"
    return Queue(label, sum(map(test, held)), href, is_chosen)


def _figures(
    held: Sequence[RightsRequest], opened: Sequence[RightsRequest], late: Sequence[RightsRequest]
) -> tuple[Figure, ...]:
    week = clock.now() + timedelta(days=7)
    took = [(each.closed_at - each.opened_at).days for each in held if each.closed_at is not None]
    figures = [
        Figure("Open", str(len(opened))),
        Figure("Past due", str(len(late))),
        Figure("Due this week", str(sum(each.due_at <= week for each in opened))),
    ]
    if took:
        half = int(median(took))
        figures.append(
            Figure("Median answer time", words.counted(half, "day") if half else "under a day", "limit one month")
        )
        tardy = sum(each.closed_at > each.due_at for each in held if each.closed_at is not None)
        figures.append(Figure("Answered late", str(tardy), f"of {words.number(len(took))}"))
    return tuple(figures)


def _row(request: RightsRequest, names: Mapping[UUID, str]) -> RequestRow:
    return RequestRow(
        reference=request.reference,
        href=f"/office/requests/{request.id}",
        right=requested.right_words(request.right),
        person=names[request.subject_id],
        clock=requested.clock_of(request, clock.now()),
        chip=_chip(request),
        marks=requested.marks_of(request),
        marks_words=requested.summary(request),
        is_open=request.is_open,
        is_alert=requested.has_failed(request),
    )


def _file(request: RightsRequest, name: str) -> FilePage:
    now, then, what = VERBS[request.right]
    return FilePage(
        reference=request.reference,
        heading=f"{name if name != ERASED else 'Somebody who was erased'} {now if request.is_open else then} {what}",
        right=requested.right_words(request.right).lower(),
        clauses=request.clauses,
        opened_at=request.opened_at,
        acknowledged_at=request.acknowledged_at,
        clock=requested.clock_of(request, clock.now()),
        chip=_chip(request),
        items=tuple(replace(each, title=_TITLES.get(each.title, each.title)) for each in requested.items_of(request)),
        items_summary=requested.summary(request),
        is_settled=requested.is_settled(request),
        steps=requested.steps_of(request),
        is_live=requested.is_live(request),
    )


_TITLES: Mapping[str, str] = {"What we know about you": "What we know about the patient"}
"""What is said to whoever asked, as the office reads it."""


def _chip(request: RightsRequest) -> requested.Chip:
    chip = requested.chip_of(request)
    return replace(chip, word="Ready for the patient") if chip == requested.STATES[State.READY] else chip
