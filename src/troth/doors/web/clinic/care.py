"""Who takes part in whose care: the administrator's page for the house, and the care team's for one patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms, words
from troth.doors.web.clinic.studies import INVITING, PURPOSE, ROLES
from troth.doors.web.desk import Desk, Visitor, go, id_of, of_organisation
from troth.doors.web.forms import Fault, ending_fault
from troth.doors.web.patients import PatientLine, of_study
from troth.doors.web.render import Page
from troth.kit import clock
from troth.kit.errors import Gone
from troth.people import (
    Assignment,
    AssignmentExists,
    AssignmentTooLong,
    OwnAssignment,
    PatientKey,
    ReasonMissing,
    SubjectNotFound,
    User,
    UserNotFound,
)
from troth.policy import Actor, Permit, Target

ADMINISTERING = "administration"
RECORDED = "Each change is written to the log, and the patient can read it"
DUTY = "Everybody, on duty"
_USUAL = timedelta(days=30)
_TREATING = ("clinician", "referrer")


@dataclass(frozen=True, slots=True)
class CareRow:
    """One assignment in force."""

    id: UUID
    who: str
    role: str
    of: str
    way: str
    since: datetime
    until: datetime
    reason: str
    end_path: str


@dataclass(frozen=True, slots=True)
class CarePage:
    """Who takes part in whose care, and the form to say so.

    Attributes:
        lead: What the page is about; of one patient, `whose` says it.
        is_house: The whole organisation's page: the form asks for the patient too.
        colleagues: Who can be assigned: id and name.
    """

    heading: str
    is_house: bool
    action: str
    back_href: str
    rows: tuple[CareRow, ...]
    colleagues: tuple[tuple[str, str], ...]
    lead: str = ""
    whose: PatientLine | None = None
    told: str = ""
    person: str = ""
    patient: str = ""
    issuer: str = ""
    until: str = ""
    reason: str = ""
    faults: tuple[Fault, ...] = ()


class CarePages:
    """Handlers for assignments.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # The house

    async def house(self, http_request: Request) -> Response:
        """What is in force in the organisation; assigning somebody to a patient's care or to duty."""
        visitor, actor = await self._desk.signed_in(http_request, "admin")
        permit = await self._desk.permit(actor, "assign", of_organisation(actor), ADMINISTERING)
        if not forms.is_sent(http_request):
            return await self._house_page(http_request, visitor, actor, permit, {})
        fields = await self._desk.sent(http_request, visitor)
        faults: tuple[Fault, ...] = ()
        try:
            target = await self._target_of(permit, actor, fields)
            asked = permit if target is None else await self._desk.permit(actor, "assign", target, ADMINISTERING)
            await self._assign(asked, fields)
        except SubjectNotFound:
            faults = (Fault("patient", "Nobody here has this number; look at the request form"),)
        except (AssignmentTooLong, AssignmentExists, OwnAssignment, ReasonMissing, UserNotFound) as refused:
            faults = (_fault(refused),)
        if faults:
            return await self._house_page(http_request, visitor, actor, permit, fields, *faults)
        return go("/admin/care?told=assigned")

    async def end_in_house(self, http_request: Request) -> Response:
        """End an assignment of the organisation."""
        visitor, actor = await self._desk.signed_in(http_request, "admin")
        fields = await self._desk.sent(http_request, visitor)
        permit = await self._desk.permit(actor, "assign", of_organisation(actor), ADMINISTERING)
        if not fields.get("reason"):
            fault = ending_fault(id_of(http_request))
            return await self._house_page(http_request, visitor, actor, permit, {}, fault)
        await self._desk.rooms.assignments.end(permit, id_of(http_request), fields["reason"])
        return go("/admin/care?told=ended")

    async def _target_of(self, permit: Permit, actor: Actor, fields: dict[str, str]) -> Target | None:
        """Whom it is about: a patient by their number, or None for duty.

        Raises:
            SubjectNotFound: Nobody here has the number.
        """
        number = fields.get("patient", "")
        if not number:
            return None
        key = PatientKey(number, fields.get("issuer", ""))
        try:
            subject = await self._desk.rooms.people.find_subject(permit, key)
        except Gone:
            subject = None  # erased
        if subject is None:
            raise SubjectNotFound
        return Target("subject", subject.id, actor.tenant, subject.id)

    async def _house_page(
        self,
        http_request: Request,
        visitor: Visitor,
        actor: Actor,
        permit: Permit,
        fields: dict[str, str],
        *faults: Fault,
    ) -> Response:
        held = await self._desk.rooms.assignments.in_force(permit)
        members = await self._desk.rooms.people.users(permit)
        view = CarePage(
            heading="Who treats whom",
            whose=None,
            lead=f"Of {actor.organisation}. Nobody opens a scan of a patient they are not assigned to.",
            is_house=True,
            action="/admin/care",
            back_href="/admin",
            rows=await self._rows(permit, held, members, "/admin/care"),
            colleagues=_assignable(members, actor),
            faults=faults,
            **_typed(http_request, fields),
        )
        return await self._page(http_request, visitor, view, permit, "/admin/care")

    # One patient

    async def team(self, http_request: Request) -> Response:
        """Who takes part in the care of the patient of a study; taking a colleague in."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        study, _ = await self._desk.study(actor, id_of(http_request), "query", PURPOSE)
        target = Target("subject", study.subject_id, study.tenant, study.subject_id)
        permit = await self._desk.permit(actor, "assign", target, INVITING)
        path = f"/studies/{study.id}/care"
        fields = dict[str, str]()
        faults: tuple[Fault, ...] = ()
        if forms.is_sent(http_request):
            fields = await self._desk.sent(http_request, visitor)
            try:
                ended = forms.uuid(fields, "ended", UserNotFound) if fields.get("ended") else None
                if ended is None:
                    await self._assign(permit, fields)
                    return go(f"{path}?told=assigned")
                if fields.get("reason"):
                    await self._desk.rooms.assignments.end(permit, ended, fields["reason"])
                    return go(f"{path}?told=ended")
                faults = (ending_fault(ended),)
            except (AssignmentTooLong, AssignmentExists, OwnAssignment, ReasonMissing, UserNotFound) as refused:
                faults = (_fault(refused),)
        held = await self._desk.rooms.assignments.in_force(permit)
        members = await self._desk.rooms.people.users(permit)
        view = CarePage(
            heading="Who takes part in this patient's care",
            whose=of_study(study),
            is_house=False,
            action=path,
            back_href=f"/studies?study={study.id}",
            rows=await self._rows(permit, held, members, ""),
            colleagues=_assignable(members, actor),
            faults=faults,
            **_typed(http_request, fields),
        )
        return await self._page(http_request, visitor, view, permit, "/studies")

    # Both

    async def _assign(self, permit: Permit, fields: dict[str, str]) -> None:
        until = _end_of(fields.get("until", ""))
        person = forms.uuid(fields, "person", UserNotFound)
        await self._desk.rooms.assignments.assign(permit, person, until, fields.get("reason", ""))

    async def _rows(
        self, permit: Permit, held: Sequence[Assignment], members: Sequence[User], base: str
    ) -> tuple[CareRow, ...]:
        by_id = {each.id: each for each in members}
        called: dict[UUID, str] = {}
        for each in held:
            if each.subject_id is not None and each.subject_id not in called:
                try:
                    subject = await self._desk.rooms.people.subject(permit, each.subject_id)
                    called[each.subject_id] = subject.patient.patient_id or "no number"
                except Gone:
                    called[each.subject_id] = "somebody who was erased"
        return tuple(
            CareRow(
                id=each.id,
                who=by_id[each.account_id].name if each.account_id in by_id else "somebody who left",
                role=words.role(by_id[each.account_id].role) if each.account_id in by_id else "",
                of=called.get(each.subject_id, "") if each.subject_id else DUTY,
                way="emergency" if each.way == "emergency" else "one study" if each.study_id else "",
                since=each.made_at,
                until=each.until,
                reason=each.reason,
                end_path=f"{base}/{each.id}/end" if base else "",
            )
            for each in held
        )

    async def _page(
        self, http_request: Request, visitor: Visitor, view: CarePage, permit: Permit, here: str
    ) -> Response:
        return await self._desk.page(
            http_request, visitor, view.heading, Page("clinic/care.html", view),
            here=here, permit=permit, recorded=RECORDED, status=422 if view.faults else 200,
        )  # fmt: skip


def _typed(http_request: Request, fields: dict[str, str]) -> dict[str, str]:
    """What was typed, and what was done just now."""
    told = {"assigned": "They can open it from now on", "ended": "It has ended; what they had open is closed"}
    return {
        "told": told.get(http_request.query_params.get("told", ""), ""),
        "person": fields.get("person", ""),
        "patient": fields.get("patient", ""),
        "issuer": fields.get("issuer", ""),
        "until": fields.get("until", "") or (clock.today() + _USUAL).isoformat(),
        "reason": fields.get("reason", ""),
    }


def _assignable(members: Sequence[User], actor: Actor) -> tuple[tuple[str, str], ...]:
    """Those who treat patients here; nobody assigns themselves."""
    return tuple(
        (str(each.id), f"{each.name}, {words.role(each.role)}")
        for each in sorted(members, key=lambda one: one.name)
        if each.is_active and each.role in _TREATING and each.id != actor.id
    )


def _end_of(text: str) -> datetime:
    """The end of a day.

    Raises:
        AssignmentTooLong: It is no day.
    """
    try:
        return datetime.combine(date.fromisoformat(text), time(23, 59, 59), words.calendar())
    except ValueError:
        raise AssignmentTooLong(hint="Choose a day.") from None


def _fault(
    refused: AssignmentTooLong | AssignmentExists | OwnAssignment | ReasonMissing | UserNotFound,
) -> Fault:
    if isinstance(refused, UserNotFound):
        return Fault("person", "Choose somebody who treats patients here")
    field = "until" if isinstance(refused, AssignmentTooLong) else "person"
    said = f"{refused.title}. {refused.hint}" if refused.hint else refused.title
    return Fault("reason" if isinstance(refused, ReasonMissing) else field, said.rstrip("."))
