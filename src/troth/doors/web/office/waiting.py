"""Everything that waits for the privacy office, whatever its kind, by due date: its first page, and its count."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import requested, words
from troth.doors.web.desk import Desk, go, of_organisation
from troth.doors.web.office.breaches import BreachPages
from troth.doors.web.office.decisions import TOLD, DecisionPages, EmergencyRow, Waiting
from troth.doors.web.office.dues import OFFICE, dues, end_of, objection_due
from troth.doors.web.office.publishing import PUBLISHING, notice_of
from troth.doors.web.office.views import Figure, Queue
from troth.doors.web.render import Page
from troth.doors.web.requested import Chip
from troth.kit import clock
from troth.kit.errors import Gone, NotFound
from troth.people import User
from troth.policy import Actor, Permit
from troth.rights import State

PURPOSE: Final = "rights"
RECORDED: Final = "What is decided here is written to the log first"
ERASED: Final = "somebody who was erased"
HORIZON_DAYS: Final = 35
_WIDTH: Final = 1_000
_DECIDE: Final = Chip("wait", "Needs your decision", "open")
_CHECK: Final = Chip("wait", "Needs review", "open")
_SECOND: Final = Chip("wait", "Second person needed", "open")
_ANSWER: Final = Chip("wait", "Needs an answer", "open")
_MEND: Final = Chip("wait", "Has to be put right", "open")
_STILL: Final = Chip("held", "Still needed?", "held")
Members = Mapping[UUID, User]
"""Those who work here, by id."""
KINDS: Final[Mapping[str, str]] = {
    "promises": "Broken promises",
    "requests": "Requests",
    "objections": "Objections",
    "proposals": "Proposals",
    "emergencies": "Emergencies",
    "holds": "Holds",
    "people": "People",
    "notice": "Notice",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that waits.

    Attributes:
        kind: Of `KINDS`.
        about: Reference and person, below its name.
        since: Since when it waits.
        due: When its clock runs out; None where none runs.
        is_alert: Something failed: it comes first.
    """

    kind: str
    what: str
    about: str
    href: str
    chip: Chip
    since: datetime
    due: datetime | None = None
    is_alert: bool = False

    @property
    def clock(self) -> words.Clock | None:
        """Its time limit in words; None where none runs."""
        return words.clock_of(self.since, self.due, clock.now()) if self.due is not None else None


@dataclass(frozen=True, slots=True)
class Dot:
    """One due date on the picture of what falls due.

    Attributes:
        x, y: Where, in a drawing 1,000 wide.
        tint: Empty, `near` or `late`.
    """

    x: int
    y: int
    label: str
    tint: str


@dataclass(frozen=True, slots=True)
class Horizon:
    """What falls due in the coming weeks, as a picture; the list has the same dates.

    Attributes:
        weekends: Where each begins, and how wide it is.
        ticks: Where a week begins, and its day.
    """

    dots: tuple[Dot, ...]
    weekends: tuple[tuple[int, int], ...]
    ticks: tuple[tuple[int, str], ...]
    says: str


@dataclass(frozen=True, slots=True)
class WaitingPage:
    """Everything that waits."""

    at: datetime
    heading: str
    figures: tuple[Figure, ...]
    horizon: Horizon | None
    kinds: tuple[Queue, ...]
    items: tuple[Item, ...]
    total: int
    is_reminded: bool
    picked: Waiting | EmergencyRow | None = None
    told: str = ""

    @property
    def is_emergency(self) -> bool:
        """The picked thing was opened in an emergency."""
        return isinstance(self.picked, EmergencyRow)

    @property
    def picked_href(self) -> str:
        """Where the picked thing is picked; empty when none is."""
        return href_of(self.picked.id) if self.picked is not None else ""


def href_of(item_id: UUID) -> str:
    """Where one thing stands beside the list."""
    return f"/office?item={item_id}#file"


class WaitingPages:
    """Handlers for what waits.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def waiting(self, http_request: Request) -> Response:
        """All of it, or one kind."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        permit = await self._desk.permit(actor, "see_request", of_organisation(actor), PURPOSE)
        kind = http_request.query_params.get("kind", "")
        if kind and kind not in KINDS:
            raise NotFound
        item = http_request.query_params.get("item", "")
        items = await self.items(actor, permit)
        is_reminded = await self._desk.rooms.people.is_reminded(permit)
        picked = await DecisionPages(self._desk).picked(actor, item) if item else None
        told = TOLD.get(http_request.query_params.get("told", ""), "")
        view = replace(page_of(items, kind, is_reminded=is_reminded), picked=picked, told=told)
        page = Page("office/waiting.html", view)
        return await self._desk.page(
            http_request, visitor, "What waits", page, here="/office", permit=permit, recorded=RECORDED
        )

    async def turn(self, http_request: Request) -> Response:
        """Have the daily mail about what waits, or not."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        fields = await self._desk.sent(http_request, visitor)
        permit = await self._desk.permit(actor, "see_request", of_organisation(actor), PURPOSE)
        await self._desk.rooms.people.turn_reminder(permit, is_on=fields.get("act") == "on")
        return go("/office")

    async def counts(self, actor: Actor) -> dict[str, int]:
        """How many things wait for whoever looks, by the entry of the navigation where they do."""
        if actor.role != OFFICE or actor.id is None:
            return {}
        waits = await dues(self._desk.rooms, partial(self._allowed, actor), actor.id, await self._desk.version())
        every = sum(map(len, waits.values())) if "requests" in waits else 0
        return {"/office": every, "/office/promises": len(waits.get("promises", ()))}

    async def items(self, actor: Actor, permit: Permit) -> list[Item]:
        """Everything that waits, what failed first, then by due date, then by age.

        Args:
            actor: Who looks.
            permit: To see the requests of their organisation.
        """
        members = {each.id: each for each in await self._desk.rooms.people.users(permit)}
        sources: tuple[Callable[[Actor, Permit, Members], AsyncIterator[Item]], ...] = (
            self._promises,
            self._requests,
            self._decisions,
            self._emergencies,
            self._holds,
            self._people,
            self._notice,
        )
        found = [item for source in sources async for item in source(actor, permit, members)]
        never = datetime.max.replace(tzinfo=words.calendar())
        return sorted(found, key=lambda item: (not item.is_alert, item.due or never, item.since))

    async def _promises(self, actor: Actor, permit: Permit, members: Members) -> AsyncIterator[Item]:
        for each in await BreachPages(self._desk).waiting(actor):
            chip = _SECOND if each.said_by is not None else _ANSWER if each.against else _MEND
            href = f"/office/breaches#h{each.id}"
            about = f"§ {each.clause} · found {words.moment(each.found_at)}"
            yield Item("promises", "Broken promise", about, href, chip, each.found_at, is_alert=True)

    async def _requests(self, actor: Actor, permit: Permit, members: Members) -> AsyncIterator[Item]:
        for each in await self._desk.rooms.rights.of_organisation(permit):
            if not each.is_open or each.state is State.READY:
                continue
            person = await self._name(permit, each.subject_id, members)
            yield Item(
                "requests",
                requested.right_words(each.right),
                f"{each.reference} · {person}",
                f"/office/requests/{each.id}",
                requested.chip_of(each),
                each.opened_at,
                each.due_at,
                is_alert=requested.has_failed(each),
            )

    async def _decisions(self, actor: Actor, permit: Permit, members: Members) -> AsyncIterator[Item]:
        allowed = await self._allowed(actor, "decide_request")
        if allowed is None:
            return
        version = await self._desk.version()
        for each in await self._desk.rooms.choices.waiting_objections(allowed):
            due = objection_due(version, each.made_at)
            who = await self._name(allowed, each.holder_id, members)
            about = f"{each.reference} · {who}"
            yield Item("objections", "Objection", about, href_of(each.id), _DECIDE, each.made_at, due)
        for proposal in await self._desk.rooms.choices.proposals(allowed):
            who = await self._name(allowed, proposal.holder_id, members)
            what = "Close an unused account" if proposal.what == "account_closure" else "Something a program proposes"
            yield Item("proposals", what, who, href_of(proposal.id), _DECIDE, proposal.made_at)

    async def _emergencies(self, actor: Actor, permit: Permit, members: Members) -> AsyncIterator[Item]:
        allowed = await self._allowed(actor, "review")
        for each in await self._desk.rooms.assignments.emergencies(allowed) if allowed else ():
            if each.reviewed_at is None and each.account_id != actor.id:
                who = members[each.account_id].name if each.account_id in members else "somebody who left"
                about = f"by {who}"
                yield Item("emergencies", "Emergency opening", about, href_of(each.id), _CHECK, each.made_at)

    async def _holds(self, actor: Actor, permit: Permit, members: Members) -> AsyncIterator[Item]:
        allowed = await self._allowed(actor, "hold")
        for each in await self._desk.rooms.lifecycle.holds(allowed) if allowed else ():
            if each.is_review_due(clock.today()):
                due = end_of(each.review_on)
                yield Item("holds", "Legal hold to review", each.document, "/office/holds", _STILL, each.made_at, due)

    async def _people(self, actor: Actor, permit: Permit, members: Members) -> AsyncIterator[Item]:
        allowed = await self._allowed(actor, "invite")
        for each in await self._desk.rooms.people.admissions(allowed) if allowed else ():
            if each.proposed_by != actor.id:
                what = f"{each.name or 'Somebody'} as {words.role(each.role)}"
                yield Item("people", "A person to approve", what, "/office/people", _SECOND, each.proposed_at)

    async def _notice(self, actor: Actor, permit: Permit, members: Members) -> AsyncIterator[Item]:
        may = await self._allowed(actor, "publish_notice")
        for each in await self._desk.rooms.proposals.all() if may else ():
            if each.is_open and each.proposed_by != actor.id:
                what = f"{each.notice.label}, version {each.notice.version}"
                yield Item("notice", "Change of the notice", what, "/office/notice", _SECOND, each.proposed_at)

    async def _allowed(self, actor: Actor, action: str) -> Permit | None:
        """The permit for one kind of work, where the notice gives it to this office."""
        target = notice_of(actor) if action == "publish_notice" else of_organisation(actor)
        purpose = PUBLISHING if action in ("invite", "publish_notice") else PURPOSE
        if not await self._desk.rooms.policy.may(actor, action, target, purpose):
            return None
        return await self._desk.permit(actor, action, target, purpose)

    async def _name(self, permit: Permit, holder_id: UUID, members: Members) -> str:
        if holder_id in members:
            return members[holder_id].name
        try:
            subject = await self._desk.rooms.people.subject(permit, holder_id)
        except (Gone, NotFound):
            return ERASED
        return subject.name or subject.patient.patient_id or "No name"


def page_of(items: Sequence[Item], kind: str, *, is_reminded: bool = True) -> WaitingPage:
    """The page: figures and picture of all, the list of one kind.

    Args:
        items: All of it, in order.
        kind: Of `KINDS`; empty for all.
        is_reminded: Whoever reads gets a mail about it.
    """
    now = clock.now()
    timed = [item for item in items if item.due is not None]
    late = sum(item.due < now for item in timed if item.due)
    today = words.counted_day(now)
    week = [item for item in timed if item.due and words.counted_day(item.due) <= today + timedelta(days=7)]
    counts = Counter(item.kind for item in items)
    chosen = tuple(item for item in items if kind in ("", item.kind))
    return WaitingPage(
        at=now,
        heading="Nothing is waiting" if not items else f"{words.counted(len(items), 'item is', 'items are')} waiting",
        figures=(
            Figure("Past due", words.number(late)),
            Figure("Due today", words.number(sum(words.counted_day(item.due) == today for item in timed if item.due))),
            Figure("Due this week", words.number(len(week))),
        ),
        horizon=horizon(timed, today) if timed else None,
        kinds=(
            Queue("All", len(items), "/office", kind == ""),
            *(Queue(KINDS[key], counts[key], f"/office?kind={key}", kind == key) for key in KINDS if counts[key]),
        ),
        items=chosen,
        total=len(items),
        is_reminded=is_reminded,
    )


def horizon(timed: Sequence[Item], today: date) -> Horizon:
    """The picture of what falls due in the coming weeks; what is late stands on the line of today.

    Args:
        timed: What has a clock.
        today: As the notice counts days.
    """
    step = _WIDTH / HORIZON_DAYS
    stacked: Counter[int] = Counter()
    dots = []
    for item in timed:
        assert item.due is not None
        assert item.clock is not None
        days = max((words.counted_day(item.due) - today).days, 0)
        if days < HORIZON_DAYS and stacked[days // 4] < 4:
            x = round(days * step + step / 2)
            dots.append(Dot(x, 66 - 18 * stacked[days // 4], item.about.partition(" · ")[0][:16], item.clock.tint))
            stacked[days // 4] += 1
    weekends = tuple(
        (round(day * step), round(2 * step)) for day in range(HORIZON_DAYS) if (today.weekday() + day) % 7 == 5
    )
    ticks = tuple((round(day * step), words.day(today + timedelta(days=day))[:-5]) for day in range(0, HORIZON_DAYS, 7))
    last = words.day(today + timedelta(days=HORIZON_DAYS - 1))
    return Horizon(
        tuple(dots), weekends, ticks, f"What falls due from today to {last}. The list below has the same dates."
    )
