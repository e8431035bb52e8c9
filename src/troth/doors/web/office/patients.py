"""Numbers that may be of one patient: compared side by side, merged by a person, and taken apart again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import CorrectionRefused
from troth.doors.web import forms, words
from troth.doors.web.desk import Desk, Visitor, go, id_of, of_organisation
from troth.doors.web.forms import Fault
from troth.doors.web.office.decisions import PURPOSE
from troth.doors.web.office.patients_views import MergePage, MergeRow, PairPage, PairRow, PatientsPage, Side
from troth.doors.web.render import Page
from troth.kit.errors import Gone, NotFound
from troth.people import Candidates, Merge, MergeRefused, PatientKey, ReasonMissing, Subject
from troth.policy import Actor, Permit, Target

RECORDED = "That numbers are compared, merged or taken apart is written to the log; the patients can read it"
_PATH = "/office/patients"
_TOLD = {"merged": "They are one patient from now on", "apart": "Noted: they are two people", "undone": "Taken apart"}
_TOLD |= {"write": "Written into images; see what is left below", "back": "Written back; see what is left below"}


class MergePages:
    """Handlers for merging patients.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def patients(self, http_request: Request) -> Response:
        """What may be one patient, what is merged; a form to compare any two numbers."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        permit = await self._desk.permit(actor, "merge", of_organisation(actor), PURPOSE)
        typed = dict.fromkeys(("first", "first_issuer", "second", "second_issuer"), "")
        faults: list[Fault] = []
        if forms.is_sent(http_request):
            typed |= await self._desk.sent(http_request, visitor)
            found = {}
            for name in ("first", "second"):
                found[name] = await self._named(permit, typed[name], typed[f"{name}_issuer"])
                if found[name] is None:
                    faults.append(Fault(name, "Nobody here has this number; look at who gave it out"))
            first, second = found["first"], found["second"]
            if first is not None and second is not None:
                if first.id != second.id:
                    return go(f"{_PATH}/{first.id}/{second.id}")
                faults.append(Fault("second", "Both are one patient already"))
        people = self._desk.rooms.people
        view = PatientsPage(
            candidates=tuple(_pair_row(each) for each in await people.candidates(permit)),
            merges=tuple([await self._merge_row(permit, each) for each in await people.merges(permit)]),
            typed=typed,
            told=_TOLD.get(http_request.query_params.get("told", ""), ""),
            faults=tuple(faults),
        )
        return await self._page(http_request, visitor, "Patients", Page("office/patients.html", view), permit, faults)

    async def pair(self, http_request: Request) -> Response:
        """Two subjects side by side; merging them, or noting that they are two people."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        permit = await self._desk.permit(actor, "merge", of_organisation(actor), PURPOSE)
        both = id_of(http_request), id_of(http_request, "other")
        fields: Mapping[str, str] = {}
        faults: tuple[Fault, ...] = ()
        if forms.is_sent(http_request):
            fields = await self._desk.sent(http_request, visitor)
            try:
                if told := await self._decide(permit, both, fields):
                    return go(f"{_PATH}?told={told}")
                faults = (Fault("stays", "Choose the number that stays"),)
            except (MergeRefused, ReasonMissing) as refused:
                faults = (Fault("reason" if isinstance(refused, ReasonMissing) else "", refused.detail),)
        first, second = await self._desk.rooms.people.compared(permit, both)
        seeing = await self._desk.permit(actor, "see_request", of_organisation(actor), PURPOSE)
        view = PairPage(
            path=f"{_PATH}/{both[0]}/{both[1]}",
            first=await self._side(permit, seeing, actor, first),
            second=await self._side(permit, seeing, actor, second),
            stays=fields.get("stays", ""),
            reason=fields.get("reason", ""),
            hindrance=await self._desk.rooms.archive.merging.hindrance(permit, *both),
            faults=faults,
        )
        page = Page("office/patients_pair.html", view)
        return await self._page(http_request, visitor, "One patient or two", page, permit, faults)

    async def merge(self, http_request: Request) -> Response:
        """One merge: what undoing it would do, and doing it."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        permit = await self._desk.permit(actor, "merge", of_organisation(actor), PURPOSE)
        rooms, held = self._desk.rooms, await self._desk.rooms.people.merge_of(permit, id_of(http_request))
        faults: tuple[Fault, ...] = ()
        fields: Mapping[str, str] = {}
        if forms.is_sent(http_request):
            fields = await self._desk.sent(http_request, visitor)
            try:
                if (act := fields.get("act")) in ("write", "back"):
                    await rooms.archive.identifying.write(permit, held, is_back=act == "back")
                    return go(f"/office/merges/{held.id}?told={act}")
                await rooms.archive.merging.unmerge(permit, held.id, fields.get("reason", ""))
                return go(f"{_PATH}?told=undone")
            except (MergeRefused, ReasonMissing, CorrectionRefused) as refused:
                faults = (Fault("reason" if isinstance(refused, ReasonMissing) else "", refused.detail),)
        both = held.subject_id, held.surviving_id
        merged, surviving = await rooms.people.compared(permit, both)
        seeing = await self._desk.permit(actor, "see_request", of_organisation(actor), PURPOSE)
        view = MergePage(
            path=f"/office/merges/{held.id}",
            merged=await self._side(permit, seeing, actor, merged),
            surviving=await self._side(permit, seeing, actor, surviving),
            since=held.made_at,
            reason=held.reason,
            is_by_rule=held.rule_id is not None,
            hindrance=await rooms.archive.merging.hindrance(permit, *both, held.made_at),
            images=await rooms.archive.identifying.written(permit, held),
            typed=fields.get("reason", ""),
            told=_TOLD.get(http_request.query_params.get("told", ""), ""),
            faults=faults,
        )
        page = Page("office/patients_merge.html", view)
        return await self._page(http_request, visitor, "Take a merge apart", page, permit, faults)

    async def _decide(self, permit: Permit, both: tuple[UUID, UUID], fields: Mapping[str, str]) -> str:
        """Do what was chosen; the word for it, or nothing where nothing was."""
        rooms, stays = self._desk.rooms, fields.get("stays", "")
        if fields.get("act") == "apart":
            await rooms.people.set_apart(permit, *both)
            return "apart"
        if stays not in ("first", "second"):
            return ""
        merged, surviving = both if stays == "second" else (both[1], both[0])
        await rooms.archive.merging.merge(permit, merged, surviving, fields.get("reason", ""))
        return "merged"

    async def _named(self, permit: Permit, number: str, issuer: str) -> Subject | None:
        try:
            return await self._desk.rooms.people.find_subject(permit, PatientKey(number, issuer))
        except Gone:
            return None  # erased

    async def _side(self, permit: Permit, seeing: Permit, actor: Actor, subject: Subject) -> Side:
        rooms = self._desk.rooms
        studies = await rooms.archive.merging.studies_of(permit, subject.id)
        days = sorted(study.study_date for study in studies if study.study_date is not None)
        requests = [each for each in await rooms.rights.of_subject(seeing, subject.id) if each.closed_at is None]
        open_there = {
            "open request": len(requests),
            "restriction": len(await rooms.choices.restrictions_of(seeing, subject.id)),
            "legal hold": len(await self._holds(permit, actor, subject)),
        }
        return Side(
            id=subject.id,
            name=words.person_name(subject.demographics.name) or "No name",
            born=subject.demographics.birth_date,
            sex=words.sex(subject.demographics.sex) or "not said",
            number=subject.patient.patient_id or "No number",
            issuer=subject.patient.issuer if subject.patient.patient_id else "",
            studies=len(studies),
            newest=days[-1] if days else None,
            accounts=len(await rooms.people.accounts_of_subject(permit, subject.id)),
            open=tuple(words.counted(count, what) for what, count in open_there.items() if count),
        )

    async def _holds(self, permit: Permit, actor: Actor, subject: Subject) -> Sequence[object]:
        return await self._desk.rooms.lifecycle.holds_on(
            permit, Target("subject", subject.id, actor.tenant, subject.id)
        )

    async def _merge_row(self, permit: Permit, held: Merge) -> MergeRow:
        people = self._desk.rooms.people
        try:
            surviving = await people.subject(permit, held.surviving_id)
            merged = await people.subject(permit, held.subject_id)
        except (Gone, NotFound):
            return _row(held, "Somebody who was erased", "", "", can_undo=False)
        name = words.person_name(surviving.demographics.name) or "No name"
        return _row(held, name, _number(surviving), _number(merged), can_undo=True)

    async def _page(
        self,
        http_request: Request,
        visitor: Visitor,
        title: str,
        page: Page,
        permit: Permit,
        faults: Sequence[Fault],
    ) -> Response:
        return await self._desk.page(
            http_request, visitor, title, page,
            here=_PATH, permit=permit, recorded=RECORDED, status=422 if faults else 200,
        )  # fmt: skip


def _pair_row(pair: Candidates) -> PairRow:
    first, second = pair.first.demographics, pair.second.demographics
    names = {words.person_name(each.name): None for each in (first, second) if each.name}
    births: dict[str, datetime | None] = {words.day(each.birth_date): None for each in (first, second)}
    return PairRow(
        href=f"{_PATH}/{pair.first.id}/{pair.second.id}",
        name=" / ".join(names) or "No name",
        born=" / ".join(each or "not said" for each in births),
        numbers=(_number(pair.first), _number(pair.second)),
        why="One number, but birth date or sex differ" if pair.by_rule else "Same name and birth date",
    )


def _row(held: Merge, name: str, number: str, merged: str, *, can_undo: bool) -> MergeRow:
    return MergeRow(
        href=f"/office/merges/{held.id}",
        name=name,
        number=number,
        merged=merged,
        since=held.made_at,
        reason=held.reason,
        is_by_rule=held.rule_id is not None,
        can_undo=can_undo,
    )


def _number(subject: Subject) -> str:
    """A number as the office says it: with who gave it out, where that is known."""
    patient = subject.patient
    if not patient.patient_id:
        return "no number"
    return f"{patient.patient_id} of {patient.issuer}" if patient.issuer else patient.patient_id
