"""Legal holds: what must stay although its time is over or somebody asks to have it erased."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms
from troth.doors.web.desk import Desk, Visitor, go, id_of, of_organisation
from troth.doors.web.forms import Fault, ending_fault, reason_faults
from troth.doors.web.office.decisions import ERASED, PURPOSE, tabs_of
from troth.doors.web.render import Page
from troth.kit import clock
from troth.kit.errors import Gone, NotFound
from troth.lifecycle import Hold, HoldIncomplete
from troth.people import PatientKey
from troth.policy import Actor, Permit, Target

RECORDED = "A hold and its end are written to the log; whom it is about can read it"
_REVIEW = timedelta(days=90)
_MOST_REASON = 500
_SCOPES: Mapping[str, str] = {
    "subject": "Everything of one patient",
    "study": "One study",
    "organisation": "Everything of this organisation",
}


@dataclass(frozen=True, slots=True)
class HoldRow:
    """One hold in force."""

    id: UUID
    what: str
    reason: str
    document: str
    since: datetime
    review_on: date
    is_review_due: bool
    ends_on: date | None


@dataclass(frozen=True, slots=True)
class HoldsPage:
    """Holds in force, and the form to place one."""

    tabs: tuple[tuple[str, str, bool], ...]
    rows: tuple[HoldRow, ...]
    scopes: tuple[tuple[str, str], ...]
    typed: Mapping[str, str]
    told: str = ""
    faults: tuple[Fault, ...] = ()


class HoldPages:
    """Handlers for legal holds.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def holds(self, http_request: Request) -> Response:
        """What is in force; placing one."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        permit = await self._desk.permit(actor, "hold", of_organisation(actor), PURPOSE)
        if not forms.is_sent(http_request):
            return await self._page(http_request, visitor, actor, permit, {})
        fields = await self._desk.sent(http_request, visitor)
        faults = _faults(fields)
        if not faults:
            target = await self._target(actor, permit, fields)
            if target is None:
                field = "study" if fields["about"] == "study" else "patient"
                faults = (Fault(field, "Nothing here has this number"),)
        if faults:
            return await self._page(http_request, visitor, actor, permit, fields, *faults)
        assert target is not None
        narrow = await self._desk.permit(actor, "hold", target, PURPOSE)
        try:
            await self._desk.rooms.lifecycle.place_hold(
                narrow,
                fields["reason"],
                review_on=date.fromisoformat(fields["review_on"]),
                ends_on=date.fromisoformat(fields["ends_on"]) if fields.get("ends_on") else None,
                document=fields["document"],
            )
        except HoldIncomplete as refused:
            return await self._page(http_request, visitor, actor, permit, fields, Fault("review_on", refused.title))
        return go("/office/holds?told=placed")

    async def release(self, http_request: Request) -> Response:
        """Release one: what it covered may be erased again."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        fields = await self._desk.sent(http_request, visitor)
        permit = await self._desk.permit(actor, "hold", of_organisation(actor), PURPOSE)
        try:
            narrow = await self._about(actor, permit, id_of(http_request))
            await self._desk.rooms.lifecycle.release_hold(narrow, id_of(http_request), fields.get("reason", ""))
        except HoldIncomplete:
            return await self._page(http_request, visitor, actor, permit, {}, ending_fault(id_of(http_request)))
        return go("/office/holds?told=released")

    async def _about(self, actor: Actor, permit: Permit, hold_id: UUID) -> Permit:
        """The permit for what a hold covers, so that the person it is about reads of its end."""
        held = next((each for each in await self._desk.rooms.lifecycle.holds(permit) if each.id == hold_id), None)
        if held is None or held.scope == "organisation":
            return permit
        target = Target("subject", held.target_id, actor.tenant, held.target_id)
        if held.scope == "study":
            target = await self._desk.rooms.archive.target_of(actor, held.target_id)
        return await self._desk.permit(actor, "hold", target, PURPOSE) if target.id is not None else permit

    async def _target(self, actor: Actor, permit: Permit, fields: Mapping[str, str]) -> Target | None:
        """What is held: None where nothing here has the number."""
        if fields["about"] == "organisation":
            return of_organisation(actor)
        if fields["about"] == "study":
            study = await self._desk.rooms.archive.target(actor, fields.get("study", ""))
            return study if study.id is not None else None
        key = PatientKey(fields.get("patient", ""), fields.get("issuer", ""))
        try:
            subject = await self._desk.rooms.people.find_subject(permit, key)
        except Gone:
            return None
        return Target("subject", subject.id, actor.tenant, subject.id) if subject is not None else None

    async def _page(
        self,
        http_request: Request,
        visitor: Visitor,
        actor: Actor,
        permit: Permit,
        fields: Mapping[str, str],
        *faults: Fault,
    ) -> Response:
        held = await self._desk.rooms.lifecycle.holds(permit)
        typed = {name: fields.get(name, "") for name in (*_ASKED, "issuer", "ends_on", "patient", "study")}
        typed["review_on"] = typed["review_on"] or (clock.today() + _REVIEW).isoformat()
        told = {"placed": "It is held from now on", "released": "It is held no longer"}
        view = HoldsPage(
            tabs=tabs_of(self._desk, actor, "/office/holds"),
            rows=tuple([await self._row(permit, each) for each in held]),
            scopes=tuple(_SCOPES.items()),
            typed=typed,
            told=told.get(http_request.query_params.get("told", ""), ""),
            faults=faults,
        )
        return await self._desk.page(
            http_request, visitor, "Legal holds", Page("office/holds.html", view),
            here="/office/decisions", permit=permit, recorded=RECORDED, status=422 if faults else 200,
        )  # fmt: skip

    async def _row(self, permit: Permit, hold: Hold) -> HoldRow:
        return HoldRow(
            id=hold.id,
            what=await self._called(permit, hold),
            reason=hold.reason,
            document=hold.document,
            since=hold.made_at,
            review_on=hold.review_on,
            is_review_due=hold.is_review_due(clock.today()),
            ends_on=hold.ends_on,
        )

    async def _called(self, permit: Permit, hold: Hold) -> str:
        """What a hold covers, as the office calls it."""
        if hold.scope == "organisation":
            return _SCOPES["organisation"]
        try:
            if hold.scope == "subject":
                subject = await self._desk.rooms.people.subject(permit, hold.target_id)
                return f"Everything of {subject.name or subject.patient.patient_id or 'a patient without a name'}"
            target = await self._desk.rooms.archive.target_of(permit.actor, hold.target_id)
            if target.subject_id is None:
                return "A study that is gone"
            subject = await self._desk.rooms.people.subject(permit, target.subject_id)
        except (Gone, NotFound):
            return ERASED.capitalize()
        return f"One study of {subject.name or subject.patient.patient_id or 'a patient without a name'}"


_ASKED = ("about", "reason", "document", "review_on")


def _faults(fields: Mapping[str, str]) -> tuple[Fault, ...]:
    """What is missing or no day, before anything is looked up."""
    faults = []
    if fields.get("about") not in _SCOPES:
        faults.append(Fault("about", "Choose what is held"))
    elif fields["about"] == "subject" and not fields.get("patient"):
        faults.append(Fault("patient", "Write the patient's number"))
    elif fields["about"] == "study" and not fields.get("study"):
        faults.append(Fault("study", "Write the number of the study (Study Instance UID)"))
    faults += reason_faults(fields.get("reason", ""), _MOST_REASON)
    if len(fields.get("document", "")) > _MOST_REASON:
        faults.append(Fault("document", f"Name the document in at most {_MOST_REASON} characters"))
    elif not fields.get("document"):
        faults.append(Fault("document", "Name the document that it rests on"))
    for name in ("review_on", "ends_on"):
        if (name == "review_on" or fields.get(name)) and not _is_day(fields.get(name, "")):
            faults.append(Fault(name, "Choose a day"))
    return tuple(faults)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
