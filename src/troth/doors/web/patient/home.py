"""The patient's own pages: scans, one scan, who looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from urllib.parse import quote
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import Found, Query, StudySummary
from troth.doors.web import forms, looked, requested, words
from troth.doors.web.desk import Desk, go, id_of, of_subject
from troth.doors.web.documents import has_documents
from troth.doors.web.patient import thread as threads
from troth.doors.web.patient.asking import asks, request_line
from troth.doors.web.patient.choices import undo_of
from troth.doors.web.patient.pictures import is_pictured
from troth.doors.web.patient.views import HomePage, LookedPage, ScanLine, StudyPage
from troth.doors.web.render import Page
from troth.kit import clock, numbers
from troth.kit.errors import NotFound
from troth.notice import Notice
from troth.policy import Actor, Permit
from troth.rights import LIST_NAME, RightsRequest, take_list

OWN = "own_access"
RECORDED = "Only you and the people who treat you can open it"
RECENT = timedelta(days=30)
MOST_STUDIES = 200
PAGE = 50
ON_HOME = 4
MOST_OF_STUDY = 100
FILM = 5
MOST_LISTED = 300
INSTANCE_NUMBER = 0x00200013  # DICOM PS3.6


class PatientPages:
    """Handlers for the patient's own data.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def home(self, http_request: Request) -> Response:
        """Own scans, what is open, who looked."""
        visitor, actor = await self._desk.signed_in(http_request, "patient")
        permit = await self._desk.permit(actor, "query", of_subject(actor), OWN)
        found = await self._desk.rooms.archive.query(permit, Query(limit=MOST_STUDIES))
        born, notice = await self._born(permit), await self._notice(permit.actor)
        thread = await self._thread(actor, "all", limit=PAGE, with_proofs=False)
        scans = tuple(scan_line(each.study, born, notice, has_images=self._desk.has_images) for each in found.found)
        begin, log = clock.now() - RECENT, await self._desk.permit(actor, "see_log", of_subject(actor), OWN)
        assert actor.subject_id is not None
        # Of its own, so that no number of other entries hides who looked.
        news = await threads.since(self._desk.rooms, log, actor.subject_id, begin, looked.NEWS, PAGE)
        told = [event for event in news if looked.is_news(event)]
        asked = await self._requests(actor)
        view = HomePage(
            organisation=actor.organisation,
            lead=looked.lead(told, begin, len(scans)),
            requests=tuple(request_line(each) for each in asked if each.is_open),
            studies=scans,
            entries=threads.entries(replace(thread, events=(*news, *thread.events)), actor, told[:ON_HOME]),
            complete=looked.complete_line(thread.complete, thread.tally),
            can_ask=asks(),
            is_live=requested.is_live(*asked),
        )
        page = Page("patient/home.html", view)
        return await self._desk.page(
            http_request, visitor, "Your scans", page, here="/scans", permit=permit, recorded=RECORDED
        )

    async def study(self, http_request: Request) -> Response:
        """One scan: what it is, who looked at it, how long it is kept."""
        visitor, actor = await self._desk.signed_in(http_request, "patient")
        query = Query(level="instance", limit=MOST_LISTED)
        found, permit = await self._desk.listed(actor, id_of(http_request), "query", OWN, query)
        study = found[0].study
        chosen = _shown(http_request)
        thread = await self._thread(actor, chosen, study_id=study.id, limit=MOST_OF_STUDY)
        born, notice = await self._born(permit), await self._notice(permit.actor)
        kept_until, clauses = kept(study, born, notice)
        here = f"/scans/{study.id}"
        view = StudyPage(
            id=study.id,
            title=words.scan(study.modalities),
            line=" · ".join(filter(None, (words.day(study.study_date), actor.organisation))),
            description=study.description,
            advice=await self._desk.advice_of(actor, study, OWN),
            film=film(found) if await self._may_see(actor, permit) else (),
            images=study.instance_count,
            pictures_href=f"{here}/images",
            has_no_pictures=http_request.query_params.get("none") == "pictures",
            can_ask=asks(study.id, "Get a copy", "Erase it"),
            filters=looked.filters(here, chosen),
            entries=threads.entries(thread, actor, thread.events),
            complete=looked.complete_line(thread.complete, thread.tally, is_of_study=True),
            kept_until=kept_until,
            kept_clauses=clauses,
            is_past=kept_until is not None and kept_until <= clock.today(),
            is_restricted=study.is_restricted,
            undo=await undo_of(self._desk, actor, study.id) if study.is_restricted else None,
            can_stop=self._desk.rooms.policy.grants("patient", "restrict"),
            is_cut=thread.is_cut,
            documents_href=f"{here}/documents" if has_documents(study) else "",
        )
        page = Page("patient/study.html", view)
        return await self._desk.page(
            http_request, visitor, "One of your scans", page, here="/scans", permit=permit, recorded=RECORDED
        )

    async def open(self, http_request: Request) -> Response:
        """Lead to the viewer, after the decision; the viewer's door writes what is opened."""
        _, actor = await self._desk.signed_in(http_request, "patient")
        study, _ = await self._desk.study(actor, id_of(http_request), "retrieve", OWN)
        return go(self._desk.viewer_of(study))

    async def looked(self, http_request: Request) -> Response:
        """Everything that was done with what is held about the patient."""
        visitor, actor = await self._desk.signed_in(http_request, "patient")
        chosen = _shown(http_request)
        before = http_request.query_params.get("before", "")
        permit = await self._desk.permit(actor, "see_log", of_subject(actor), OWN)
        thread = await self._thread(actor, chosen, limit=PAGE, before=forms.as_uuid(before) if before else None)
        further = f"/looked?show={quote(chosen)}&before={thread.events[-1].id}" if thread.is_cut else ""
        view = LookedPage(
            organisation=actor.organisation,
            filters=looked.filters("/looked", chosen),
            days=threads.by_day(threads.entries(thread, actor, thread.events)),
            complete=looked.complete_line(thread.complete, thread.tally),
            next_href=further,
        )
        page = Page("patient/looked.html", view)
        return await self._desk.page(
            http_request, visitor, "Who looked", page, here="/looked", permit=permit, recorded=RECORDED
        )

    async def own_list(self, http_request: Request) -> Response:
        """The same list with its proofs, as a file; that it is taken is written before the first byte leaves."""
        _, actor = await self._desk.signed_in(http_request, "patient")
        permit = await self._desk.permit(actor, "see_log", of_subject(actor), OWN)
        assert actor.subject_id is not None
        content = await take_list(self._desk.rooms.rights, permit, actor.subject_id)
        headers = {"Content-Disposition": f'attachment; filename="{LIST_NAME}"', "Cache-Control": "no-store"}
        return Response(content, media_type="application/json", headers=headers)

    async def _thread(
        self,
        actor: Actor,
        chosen: str,
        *,
        study_id: UUID | None = None,
        limit: int,
        before: UUID | None = None,
        with_proofs: bool = True,
    ) -> threads.Thread:
        permit = await self._desk.permit(actor, "see_log", of_subject(actor), OWN)
        assert actor.subject_id is not None
        return await threads.read(
            self._desk.rooms,
            permit,
            actor.subject_id,
            study_id=study_id,
            limit=limit,
            before=before,
            with_proofs=with_proofs,
            is_shown=lambda event: looked.is_kind(event, chosen),
        )

    async def _may_see(self, actor: Actor, permit: Permit) -> bool:
        """Whether images of a study can be shown to the person they are of, also while its use is stopped."""
        return self._desk.has_images and await self._desk.rooms.policy.may(actor, "retrieve", permit.target, OWN)

    async def _requests(self, actor: Actor) -> Sequence[RightsRequest]:
        permit = await self._desk.permit(actor, "see_request", of_subject(actor), OWN)
        assert actor.subject_id is not None
        return await self._desk.rooms.rights.of_subject(permit, actor.subject_id)

    async def _born(self, permit: Permit) -> date | None:
        assert permit.actor.subject_id is not None
        subject = await self._desk.rooms.people.subject(permit, permit.actor.subject_id)
        return subject.demographics.birth_date

    async def _notice(self, actor: Actor) -> Notice | None:
        version = await self._desk.version(actor)
        return version.notice if version is not None else None


def kept(study: StudySummary, born: date | None, notice: Notice | None) -> tuple[date | None, tuple[str, ...]]:
    """Until when the notice keeps a study, and the clause that says so.

    Args:
        study: The study.
        born: Birth date of the subject, where it is known: children's scans are kept longer.
        notice: The notice in force.
    """
    if notice is None:
        return None, ()
    try:
        terms = notice.retention("imaging_study")
    except KeyError:
        return None, ()
    return terms.dispose_on(study.study_date or study.stored_at.date(), born), (terms.id,)


def scan_line(study: StudySummary, born: date | None, notice: Notice | None, *, has_images: bool) -> ScanLine:
    """One scan of the home page.

    Args:
        study: The study.
        born: Birth date of the subject, where it is known.
        notice: The notice in force.
        has_images: Whether this origin can show images.
    """
    until, clauses = kept(study, born, notice)
    title = words.scan(study.modalities)
    images = words.counted(study.instance_count, "image")
    return ScanLine(
        id=study.id,
        title=title,
        line=" · ".join(filter(None, (words.day(study.study_date), study.description, images))),
        tile=study.modalities[0] if study.modalities else "–",
        href=f"/scans/{study.id}",
        pictures_href=f"/scans/{study.id}/images",
        cover=f"/scans/{study.id}/cover" if has_images else "",
        kept_until=until,
        kept_clauses=clauses,
        is_past=until is not None and until <= clock.today(),
        is_restricted=study.is_restricted,
    )


def film(found: Sequence[Found]) -> tuple[str, ...]:
    """Addresses of a few images of a study, evenly chosen. The door that shows them writes that they were opened.

    Args:
        found: Instances of the study.
    """
    pictures = [each for each in found if is_pictured(each)]
    pictures.sort(key=lambda each: (each.series_uid, _whole_number(each.values.get(INSTANCE_NUMBER, ""))))
    count = min(len(pictures), FILM)
    chosen = [pictures[(2 * place + 1) * len(pictures) // (2 * count)] for place in range(count)]
    return tuple(
        f"/dicomweb/studies/{each.study.study_uid}/series/{each.series_uid}/instances/{each.instance_uid}"
        "/rendered?viewport=256,256"
        for each in chosen
    )


def _whole_number(text: str) -> int:
    return numbers.whole(text, most=999_999_999) or 0


def _shown(http_request: Request) -> str:
    """The filter that an address names.

    Raises:
        NotFound: There is none of this name.
    """
    chosen = http_request.query_params.get("show", "")
    if chosen not in looked.FILTERS:
        raise NotFound
    return chosen
