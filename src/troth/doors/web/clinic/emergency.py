"""Opening what is held of a patient in an emergency: with the reason written down first, for a few hours."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import Query
from troth.doors.web import forms, words
from troth.doors.web.clinic.studies import title
from troth.doors.web.desk import Desk, Visitor, go, id_of, of_organisation
from troth.doors.web.forms import Fault
from troth.doors.web.patients import PatientLine, of_subject
from troth.doors.web.render import Page
from troth.kit.errors import Gone
from troth.people import EMERGENCY_LIFETIME, AssignmentExists, PatientKey, ReasonMissing, SubjectNotFound
from troth.policy import Actor, Permit, Target

PURPOSE = "emergency"
RECORDED = "The reason is written to the log; the patient and the privacy office read it"
_MOST = 50


@dataclass(frozen=True, slots=True)
class EmergencyStudy:
    """One study of the patient."""

    href: str
    title: str
    date: str
    modality: str
    images: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A patient whose studies are open to the reader for now."""

    patient: PatientLine
    studies: tuple[EmergencyStudy, ...]


@dataclass(frozen=True, slots=True)
class EmergencyPage:
    """The form, and what is open now."""

    opened: Opened | None
    hours: int
    patient: str = ""
    issuer: str = ""
    reason: str = ""
    faults: tuple[Fault, ...] = ()


class EmergencyPages:
    """Handlers for emergencies.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def ask(self, http_request: Request) -> Response:
        """The form; sent, the studies of the patient."""
        visitor, actor = await self._desk.signed_in(http_request, "clinician")
        permit = await self._desk.permit(actor, "override", of_organisation(actor), PURPOSE)
        if not forms.is_sent(http_request):
            return await self._page(http_request, visitor, permit, {})
        fields = await self._desk.sent(http_request, visitor)
        try:
            subject_id = await self._claim(permit, actor, fields)
        except SubjectNotFound:
            fault = Fault("patient", "Nobody here has this number")
            return await self._page(http_request, visitor, permit, fields, fault)
        except ReasonMissing as refused:
            fault = Fault("reason", f"{refused.title}. {refused.hint}".rstrip("."))
            return await self._page(http_request, visitor, permit, fields, fault)
        return go(f"/emergency/{subject_id}")

    async def patient(self, http_request: Request) -> Response:
        """The studies of a patient whom the reader wrote a reason for."""
        visitor, actor = await self._desk.signed_in(http_request, "clinician")
        subject_id = id_of(http_request)
        target = Target("subject", subject_id, actor.tenant, subject_id)
        permit = await self._desk.permit(actor, "query", target, PURPOSE)
        found = (await self._desk.rooms.archive.query(permit, Query(limit=_MOST))).found
        subject = await self._desk.rooms.people.subject(permit, subject_id)
        opened = Opened(
            patient=of_subject(subject),
            studies=tuple(
                EmergencyStudy(
                    f"/emergency/{each.study.id}/open",
                    title(each.study),
                    words.day(each.study.study_date) or "no date",
                    ", ".join(each.study.modalities),
                    each.study.instance_count,
                )
                for each in found
            ),
        )
        return await self._page(http_request, visitor, permit, {}, opened=opened)

    async def open(self, http_request: Request) -> Response:
        """Lead to the viewer, after the decision; the viewer's door writes what is opened."""
        _, actor = await self._desk.signed_in(http_request, "clinician")
        study, _ = await self._desk.study(actor, id_of(http_request), "retrieve", PURPOSE)
        return go(self._desk.viewer_of(study))

    async def _claim(self, permit: Permit, actor: Actor, fields: dict[str, str]) -> UUID:
        """Write the reason down; what stands already stands."""
        key = PatientKey(fields.get("patient", ""), fields.get("issuer", ""))
        try:
            subject = await self._desk.rooms.people.find_subject(permit, key)
        except Gone:
            subject = None  # erased
        if subject is None:
            raise SubjectNotFound
        target = Target("subject", subject.id, actor.tenant, subject.id)
        narrow = await self._desk.permit(actor, "override", target, PURPOSE)
        with contextlib.suppress(AssignmentExists):
            await self._desk.rooms.assignments.claim_emergency(narrow, fields.get("reason", ""))
        return subject.id

    async def _page(
        self,
        http_request: Request,
        visitor: Visitor,
        permit: Permit,
        fields: dict[str, str],
        *faults: Fault,
        opened: Opened | None = None,
    ) -> Response:
        view = EmergencyPage(
            opened=opened,
            hours=int(EMERGENCY_LIFETIME.total_seconds() // 3600),
            patient=fields.get("patient", ""),
            issuer=fields.get("issuer", ""),
            reason=fields.get("reason", ""),
            faults=faults,
        )
        return await self._desk.page(
            http_request, visitor, "Emergency", Page("clinic/emergency.html", view),
            here="/emergency", permit=permit, recorded=RECORDED, status=422 if faults else 200,
        )  # fmt: skip
