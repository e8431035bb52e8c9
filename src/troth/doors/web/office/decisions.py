"""What waits for a person of the privacy office: objections, what programs propose, what was opened in an emergency."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web.desk import Desk, Visitor, go, id_of, of_organisation
from troth.doors.web.forms import Fault
from troth.doors.web.render import Page
from troth.kit.errors import Gone, NotFound
from troth.notice import NoticeVersion
from troth.people import (
    Assignment,
    Choice,
    ChoiceNotFound,
    OwnAssignment,
    PersonNeeded,
    Proposal,
    ReasonMissing,
    User,
)
from troth.policy import Actor, Permit, Target

PURPOSE = "rights"
ADMINISTERING = "administration"
RECORDED = "What you decide, and why, is written to the log; the person can read it"
CLOSURE = "account_closure"
ERASED = "somebody who was erased"
TOLD = {"decided": "It is decided, and the person can read why", "checked": "It is checked"}


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that waits for a person.

    Attributes:
        what: What it is about.
        said: What the person, or the program, says.
        meanwhile: What holds until it is decided.
        yes: Label and what happens, if it is granted or confirmed.
        no: The same, if it is not.
    """

    id: UUID
    who: str
    what: str
    said: str
    meanwhile: str
    since: datetime
    due: datetime | None
    clause: str
    action: str
    yes: str
    no: str


@dataclass(frozen=True, slots=True)
class EmergencyRow:
    """One emergency, checked or not."""

    id: UUID
    who: str
    patient: str
    at: datetime
    until: datetime
    reason: str
    finding: str
    reviewed_at: datetime | None
    is_own: bool


@dataclass(frozen=True, slots=True)
class DecisionsPage:
    """What waits, and tabs to what else the office decides."""

    heading: str
    tabs: tuple[tuple[str, str, bool], ...]
    waiting: tuple[Waiting, ...] = ()
    emergencies: tuple[EmergencyRow, ...] | None = None
    told: str = ""
    faults: tuple[Fault, ...] = ()


def tabs_of(desk: Desk, actor: Actor, here: str) -> tuple[tuple[str, str, bool], ...]:
    """The pages on which the office decides, as far as the notices let it."""
    pages = (
        ("/office/decisions", "Objections and proposals", "decide_request"),
        ("/office/emergencies", "Emergencies", "review"),
        ("/office/holds", "Legal holds", "hold"),
        ("/office/corrections", "Corrections", "rectify"),
    )
    grants = desk.rooms.policy.grants
    return tuple((href, label, href == here) for href, label, needs in pages if grants(actor.role, needs))


class DecisionPages:
    """Handlers for decisions of the office.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # Objections and proposals

    async def decisions(self, http_request: Request) -> Response:
        """The queue, oldest first."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        return await self._queue(http_request, visitor, actor)

    async def objection(self, http_request: Request) -> Response:
        """Decide an objection."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        fields = await self._desk.sent(http_request, visitor)
        permit = await self._desk.permit(actor, "decide_request", of_organisation(actor), PURPOSE)
        is_granted = _yes(fields)
        try:
            made = await self._desk.rooms.choices.decide_objection(
                permit, id_of(http_request), fields.get("reason", ""), is_granted=is_granted
            )
        except PersonNeeded:
            return await self._queue(http_request, visitor, actor, _reason(http_request))
        except ChoiceNotFound as gone:
            return await self._queue(http_request, visitor, actor, Fault("", gone.hint or "It does not wait any more"))
        await self._desk.rooms.choices.write_of_decision(permit, made.holder_id)
        return go(_back(http_request, "/office/decisions", "decided"))

    async def proposal(self, http_request: Request) -> Response:
        """Decide what a program proposed; confirmed, it is done at once."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        fields = await self._desk.sent(http_request, visitor)
        permit = await self._desk.permit(actor, "decide_request", of_organisation(actor), PURPOSE)
        found = [each for each in await self._desk.rooms.choices.proposals(permit) if each.id == id_of(http_request)]
        if not found:
            return await self._queue(http_request, visitor, actor, Fault("", "It does not wait any more"))
        about = found[0]
        target = Target(
            "account", about.holder_id, actor.tenant, about.holder_id, attributes=(("decision", about.what),)
        )
        narrow = await self._desk.permit(actor, "decide_about", target, ADMINISTERING)
        try:
            await self._desk.rooms.choices.decide_proposal(
                narrow, about.id, fields.get("reason", ""), is_confirmed=_yes(fields)
            )
        except PersonNeeded:
            return await self._queue(http_request, visitor, actor, _reason(http_request))
        except ChoiceNotFound:
            return await self._queue(http_request, visitor, actor, Fault("", "It does not wait any more"))
        state = "confirmed" if _yes(fields) else "dismissed"
        await self._desk.rooms.choices.write_of_proposal(narrow, about.holder_id, about.what, state)
        return go(_back(http_request, "/office/decisions", "decided"))

    async def picked(self, actor: Actor, item: str) -> Waiting | EmergencyRow | None:
        """One thing that waits for a decision, to be shown beside the list; None where it does not wait, or not here.

        Args:
            actor: The officer.
            item: Its id, as an address names it.
        """
        may, here = self._desk.rooms.policy.may, of_organisation(actor)
        if await may(actor, "decide_request", here, PURPOSE):
            permit = await self._desk.permit(actor, "decide_request", here, PURPOSE)
            for each in await self._waiting(permit):
                if str(each.id) == item:
                    return each
        if await may(actor, "review", here, PURPOSE):
            permit = await self._desk.permit(actor, "review", here, PURPOSE)
            members = {each.id: each for each in await self._desk.rooms.people.users(permit)}
            for held in await self._desk.rooms.assignments.emergencies(permit):
                if str(held.id) == item:
                    return await self._emergency(permit, held, members, actor)
        return None

    async def _waiting(self, permit: Permit) -> list[Waiting]:
        rooms = self._desk.rooms
        members = {each.id: each for each in await rooms.people.users(permit)}
        version = await self._desk.version()
        objections = await rooms.choices.waiting_objections(permit)
        return [
            *[await self._objection(permit, each, members, version) for each in objections],
            *[_proposal(each, members) for each in await rooms.choices.proposals(permit)],
        ]

    async def _queue(self, http_request: Request, visitor: Visitor, actor: Actor, *faults: Fault) -> Response:
        permit = await self._desk.permit(actor, "decide_request", of_organisation(actor), PURPOSE)
        view = DecisionsPage(
            heading="Decisions",
            tabs=tabs_of(self._desk, actor, "/office/decisions"),
            waiting=tuple(sorted(await self._waiting(permit), key=lambda each: each.since)),
            told=TOLD.get(http_request.query_params.get("told", ""), ""),
            faults=faults,
        )
        return await self._page(http_request, visitor, view, permit)

    async def _objection(
        self, permit: Permit, choice: Choice, members: dict[UUID, User], version: NoticeVersion | None
    ) -> Waiting:
        who = (
            members[choice.holder_id].name
            if choice.holder_id in members
            else await self._patient(permit, choice.holder_id)
        )
        events = choice.record.get("events") or [{}]
        due = None
        if version is not None:
            with contextlib.suppress(KeyError):
                due = version.notice.right("object").due_at(choice.made_at)
        return Waiting(
            id=choice.id,
            who=who,
            what=f"objects to: {choice.wording}",
            said=str(events[-1].get("reason", "")) or "No reason was given, and none is needed.",
            meanwhile=choice.ground,
            since=choice.made_at,
            due=due,
            clause=choice.clause,
            action=f"/office/decisions/objections/{choice.id}",
            yes="Grant it: it stays stopped",
            no="Refuse it: it may go on",
        )

    # Emergencies

    async def emergencies(self, http_request: Request) -> Response:
        """What was opened in an emergency; first what nobody has checked."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        return await self._emergencies(http_request, visitor, actor)

    async def review(self, http_request: Request) -> Response:
        """Check one."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        fields = await self._desk.sent(http_request, visitor)
        permit = await self._desk.permit(actor, "review", of_organisation(actor), PURPOSE)
        try:
            await self._desk.rooms.assignments.review(
                permit, id_of(http_request), fields.get("finding", ""), is_justified=_yes(fields)
            )
        except ReasonMissing as refused:
            return await self._emergencies(
                http_request,
                visitor,
                actor,
                Fault(f"r{id_of(http_request)}", f"{refused.title}. {refused.hint}".rstrip(".")),
            )
        except OwnAssignment as refused:
            return await self._emergencies(http_request, visitor, actor, Fault("", refused.title))
        return go(_back(http_request, "/office/emergencies", "checked"))

    async def _emergencies(self, http_request: Request, visitor: Visitor, actor: Actor, *faults: Fault) -> Response:
        permit = await self._desk.permit(actor, "review", of_organisation(actor), PURPOSE)
        members = {each.id: each for each in await self._desk.rooms.people.users(permit)}
        held = await self._desk.rooms.assignments.emergencies(permit)
        view = DecisionsPage(
            heading="Emergencies",
            tabs=tabs_of(self._desk, actor, "/office/emergencies"),
            emergencies=tuple([await self._emergency(permit, each, members, actor) for each in held]),
            told=TOLD.get(http_request.query_params.get("told", ""), ""),
            faults=faults,
        )
        return await self._page(http_request, visitor, view, permit)

    async def _emergency(
        self, permit: Permit, held: Assignment, members: dict[UUID, User], actor: Actor
    ) -> EmergencyRow:
        return EmergencyRow(
            id=held.id,
            who=members[held.account_id].name if held.account_id in members else "somebody who left",
            patient=await self._patient(permit, held.subject_id),
            at=held.made_at,
            until=held.ended_at or held.until,
            reason=held.reason,
            finding=held.finding,
            reviewed_at=held.reviewed_at,
            is_own=held.account_id == actor.id,
        )

    # All

    async def _patient(self, permit: Permit, subject_id: UUID | None) -> str:
        if subject_id is None:
            return ""
        try:
            subject = await self._desk.rooms.people.subject(permit, subject_id)
        except (Gone, NotFound):
            return ERASED
        return subject.name or subject.patient.patient_id or "No name"

    async def _page(self, http_request: Request, visitor: Visitor, view: DecisionsPage, permit: Permit) -> Response:
        return await self._desk.page(
            http_request, visitor, view.heading, Page("office/decisions.html", view),
            here="/office/decisions", permit=permit, recorded=RECORDED, status=422 if view.faults else 200,
        )  # fmt: skip


def _back(http_request: Request, queue: str, told: str) -> str:
    """Where a decision leads: to the list that it was taken beside, else to its queue."""
    is_beside = getattr(http_request.state, "here", "").startswith("/office?")
    return f"{'/office' if is_beside else queue}?told={told}"


def _reason(http_request: Request) -> Fault:
    """A decision without its reason; the field is that of the one decided."""
    return Fault(f"r{id_of(http_request)}", "Write down why; the person reads it")


def _proposal(proposal: Proposal, members: dict[UUID, User]) -> Waiting:
    what = "to close this account" if proposal.what == CLOSURE else proposal.what.replace("_", " ")
    return Waiting(
        id=proposal.id,
        who=members[proposal.holder_id].name if proposal.holder_id in members else "Somebody",
        what=f"A program proposes {what}.",
        said=proposal.ground,
        meanwhile="Nothing happens until you decide.",
        since=proposal.made_at,
        due=None,
        clause="",
        action=f"/office/decisions/proposals/{proposal.id}",
        yes="Close the account" if proposal.what == CLOSURE else "Do it",
        no="Keep it open",
    )


def _yes(fields: dict[str, str]) -> bool:
    """Which of the two buttons was pressed; anything else is refused.

    Raises:
        NotFound: Neither.
    """
    outcome = fields.get("outcome", "")
    if outcome not in ("yes", "no"):
        raise NotFound
    return outcome == "yes"
