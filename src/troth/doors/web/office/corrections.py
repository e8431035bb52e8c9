"""The privacy office's way to a study that says something wrong: by the patient's number, or by the study's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import StudySummary
from troth.doors.web import forms, words
from troth.doors.web.desk import Desk, Visitor, go
from troth.doors.web.forms import Fault
from troth.doors.web.office.decisions import PURPOSE, tabs_of
from troth.doors.web.render import Page
from troth.kit.errors import Gone, NotFound
from troth.people import PatientKey
from troth.policy import Actor, Permit, Target

_RECORDED = "That a patient’s studies were read is written to the log"
_ACTION = "rectify"


@dataclass(frozen=True, slots=True)
class Correctable:
    """One study that was found."""

    id: UUID
    title: str
    patient: str
    done: str
    images: int
    accession: str


@dataclass(frozen=True, slots=True)
class CorrectionsPage:
    """The way to a study, and the studies that were found."""

    tabs: tuple[tuple[str, str, bool], ...]
    typed: Mapping[str, str]
    rows: tuple[Correctable, ...] = ()
    faults: tuple[Fault, ...] = ()


class CorrectionsPages:
    """Handlers for the office's way to corrections.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def find(self, http_request: Request) -> Response:
        """Ask for a number; lead to the study, or list the patient's."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        if not self._desk.rooms.policy.grants(actor.role, _ACTION):
            raise NotFound
        if not forms.is_sent(http_request):
            return await self._page(http_request, visitor, actor, {})
        fields = await self._desk.sent(http_request, visitor)
        if fields.get("study"):
            study = await self._desk.rooms.archive.target(actor, fields["study"])
            if study.id is None:
                return await self._missing(http_request, visitor, actor, fields, "study")
            return go(f"/studies/{study.id}/correct")
        if not fields.get("patient"):
            fault = Fault("patient", "Write the patient’s number, or that of the study")
            return await self._page(http_request, visitor, actor, fields, fault)
        subject = await self._subject(actor, fields)
        if subject is None:
            return await self._missing(http_request, visitor, actor, fields, "patient")
        permit = await self._desk.permit(actor, _ACTION, subject, PURPOSE)
        assert subject.id is not None
        found = await self._desk.rooms.archive.correctable_studies(permit, subject.id)
        if not found:
            return await self._missing(http_request, visitor, actor, fields, "patient")
        return await self._page(http_request, visitor, actor, fields, found=found, permit=permit)

    async def _subject(self, actor: Actor, fields: Mapping[str, str]) -> Target | None:
        try:
            key = PatientKey(fields["patient"], fields.get("issuer", ""))
            subject = await self._desk.rooms.people.find_subject(actor, key)
        except Gone:
            return None
        return Target("subject", subject.id, actor.tenant, subject.id) if subject is not None else None

    async def _missing(
        self, http_request: Request, visitor: Visitor, actor: Actor, fields: Mapping[str, str], field: str
    ) -> Response:
        return await self._page(http_request, visitor, actor, fields, Fault(field, "Nothing here has this number"))

    async def _page(
        self,
        http_request: Request,
        visitor: Visitor,
        actor: Actor,
        fields: Mapping[str, str],
        *faults: Fault,
        found: list[StudySummary] | None = None,
        permit: Permit | None = None,
    ) -> Response:
        view = CorrectionsPage(
            tabs=tabs_of(self._desk, actor, "/office/corrections"),
            typed={name: fields.get(name, "") for name in ("patient", "issuer", "study")},
            rows=tuple(map(_row, found or ())),
            faults=faults,
        )
        return await self._desk.page(
            http_request, visitor, "Corrections", Page("office/corrections.html", view),
            here="/office/decisions", permit=permit, recorded=_RECORDED, status=422 if faults else 200,
        )  # fmt: skip


def _row(study: StudySummary) -> Correctable:
    return Correctable(
        study.id,
        study.description or " ".join(study.modalities) or "Study",
        words.person_name(study.name) or "No name",
        words.day(study.study_date) or "no date",
        study.instance_count,
        study.accession,
    )
