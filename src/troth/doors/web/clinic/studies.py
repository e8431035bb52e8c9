"""The study list: search, filters, a preview that opens nothing, the way to the viewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import Match, Query, SearchTooBroad, SearchValueInvalid, StudySummary
from troth.doors.web import forms, words
from troth.doors.web.clinic.filters import (
    DAYS,
    MODALITIES,
    MOST_PAGES,
    NEWEST,
    ORDERS,
    PATIENT_ID,
    Asked,
    asked_of,
    searches,
    ticket_for,
)
from troth.doors.web.clinic.views import Chosen, Column, Prior, StudiesPage, StudyRow
from troth.doors.web.desk import Desk, clauses_of, go, id_of, of_organisation
from troth.doors.web.documents import has_documents
from troth.doors.web.forms import Fault
from troth.doors.web.looked import Filter
from troth.doors.web.patient.pictures import parts_of
from troth.doors.web.patients import born
from troth.doors.web.render import Page
from troth.kit import clock
from troth.policy import Actor, Permit, Target

ISSUER = 0x00100021

ROLES = ("clinician", "referrer")
PURPOSE = "diagnosis"
INVITING = "care"
RECORDED = "Opening a study is written to the log first"
PAGE = 50
MOST_SORTED = 500
"""Studies that are put in order of something else than their date, or found by words: each has to be opened for it."""
PRIORS = 6
PICTURES = 3
MOST_INSTANCES = 1_000
_COLUMNS: Mapping[str, str] = {
    "patient": "Patient",
    "born": "Born",
    "number": "Patient ID",
    "modality": "Mod.",
    "study": "Study",
    "images": "Images",
    "accession": "Accession",
    "referrer": "Referrer",
    "done": "Done",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of the list.

    Attributes:
        total: All that match, of other pages too; None where more match than were looked through.
        is_more: Another page follows.
    """

    studies: Sequence[StudySummary]
    total: int | None
    is_more: bool = False


class StudyPages:
    """Handlers for the study list.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def studies(self, http_request: Request) -> Response:
        """The list, and the picked study beside it."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        asked = asked_of(http_request, visitor.session)
        permit = await self._desk.permit(actor, "query", of_organisation(actor), PURPOSE)
        faults = _faults(asked)
        found = Listed((), 0)
        try:
            if not faults:
                found = await self._search(permit, asked)
        except (SearchValueInvalid, SearchTooBroad) as refused:
            faults = (Fault("q", refused.detail.rstrip(".")),)
        studies = found.studies
        chosen = await self._chosen(actor, permit, studies, asked) if asked.chosen else None
        first, version = (asked.page - 1) * PAGE + 1, await self._desk.version(actor)
        view = StudiesPage(
            count_line=_count_line(found, first),
            search=asked.search,
            first=asked.first.isoformat() if asked.first else "",
            last=asked.last.isoformat() if asked.last else "",
            kept_fields=_kept(asked),
            columns=tuple(_column(asked, key) for key in _COLUMNS),
            dates=_filters(
                asked,
                "days",
                "-" if asked.first or asked.last else asked.days,
                {"": "Any day"} | {key: label for key, (label, _) in DAYS.items()},
            ),
            modalities=_filters(asked, "modality", asked.modality, {"": "Any"} | {each: each for each in MODALITIES}),
            faults=faults,
            rows=tuple(_row(study, asked) for study in studies),
            range_line=f"Rows {first}–{first + len(studies) - 1}" if len(studies) != 1 else f"Row {first}",
            previous_href=asked.href(page=asked.page - 1) if asked.page > 1 else "",
            next_href=asked.href(page=asked.page + 1) if found.is_more and asked.page < MOST_PAGES else "",
            is_filtered=asked.is_filtered,
            chosen=chosen,
            stopped_clauses=clauses_of(version.notice if version else None, "right", right="restrict"),
        )
        page = Page("clinic/studies.html", view)
        return await self._desk.page(
            http_request,
            visitor,
            "Studies",
            page,
            here="/studies",
            permit=permit,
            recorded=RECORDED,
            status=422 if faults else 200,
        )

    async def open(self, http_request: Request) -> Response:
        """Lead to the viewer, after the decision; the viewer's door writes what is opened."""
        _, actor = await self._desk.signed_in(http_request, *ROLES)
        study, _ = await self._desk.study(actor, id_of(http_request), "retrieve", PURPOSE)
        return go(self._desk.viewer_of(study))

    async def search(self, http_request: Request) -> Response:
        """Lead to the list of what was searched for: the words are sent, so that no address shows them."""
        visitor, _ = await self._desk.signed_in(http_request, *ROLES)
        fields = await self._desk.sent(http_request, visitor)
        told = {name: fields.get(name, "") for name in ("days", "from", "to", "modality", "order", "film")}
        if told["from"] or told["to"]:
            told["days"] = ""
        return go(Asked().href(s=ticket_for(visitor.session, fields.get("q", "")), **told))

    async def _search(self, permit: Permit, asked: Asked) -> Listed:
        """One page of studies, whichever of the searches of the field found them."""
        offset, common = (asked.page - 1) * PAGE, asked.matches()
        if not asked.search and asked.order == NEWEST:
            query = Query(matches=tuple(common), limit=PAGE, offset=offset, is_counted=True)
            page = await self._desk.rooms.archive.query(permit, query)
            return Listed(tuple(each.study for each in page.found), page.total, page.is_more)
        found: dict[UUID, StudySummary] = {}
        is_more = False
        # By date each search gives its own newest, and of those the newest are the newest of all: no more is opened.
        limit = min(offset + PAGE, MOST_SORTED) if asked.order == NEWEST else MOST_SORTED
        for matches in searches(asked.search):
            page = await self._desk.rooms.archive.query(permit, Query(matches=(*common, *matches), limit=limit))
            found |= {each.study.id: each.study for each in page.found}
            is_more = is_more or page.is_more
        if is_more and (asked.order != NEWEST or offset + PAGE > MOST_SORTED):
            raise SearchTooBroad(f"More than {MOST_SORTED} studies match. Choose dates or search to put them in order")
        newest = sorted(found.values(), key=lambda study: (study.study_date or date.min, study.id), reverse=True)
        ordered = sorted(newest, key=ORDERS[asked.order.removeprefix("-")], reverse=asked.order.startswith("-"))
        total = None if is_more else len(ordered)
        return Listed(tuple(ordered[offset : offset + PAGE]), total, is_more or len(ordered) > offset + PAGE)

    async def _chosen(self, actor: Actor, permit: Permit, studies: Sequence[StudySummary], asked: Asked) -> Chosen:
        """The picked study; one that is not on this page is looked up, one that is not there is not found."""
        study = next((each for each in studies if str(each.id) == asked.chosen), None)
        if study is None:
            study = await self._picked(actor, asked.chosen)
        subject = Target("subject", study.subject_id, study.tenant, study.subject_id)
        may_assign = await self._desk.rooms.policy.may(actor, "assign", subject, INVITING)
        may_correct = await self._desk.rooms.policy.may(
            actor, "rectify", await self._desk.rooms.archive.target_of(actor, study.id), INVITING
        )
        may_invite = await self._desk.rooms.policy.may(actor, "invite", subject, INVITING)
        priors = [each for each in await self._of_patient(permit, study) if each.id != study.id]
        advice = await self._desk.advice_of(actor, study, PURPOSE)
        facts = (
            ("Series", words.number(study.series_count)),
            ("Images", words.number(study.instance_count)),
            ("Modality", ", ".join(study.modalities)),
            ("Born", born(study)),
            ("Patient ID given out by", study.values.get(ISSUER, "")),
            ("Accession", study.accession),
            ("Referrer", words.person_name(study.referrer)),
            ("Stored", words.moment(study.stored_at)),
            ("Advice of a program", f"{advice}; no result, a person reports" if advice else ""),
        )
        return Chosen(
            patient=words.person_name(study.name) or "No name",
            patient_id=study.patient_id,
            line=" · ".join(filter(None, (study.description, words.day(study.study_date)))),
            open_href=f"/studies/{study.id}/open",
            invite_href=f"/studies/{study.id}/invite" if may_invite else "",
            correct_href=f"/studies/{study.id}/correct" if may_correct else "",
            care_href=f"/studies/{study.id}/care" if may_assign else "",
            facts=tuple((label, text) for label, text in facts if text),
            film=await self._film(actor, study.id) if asked.with_film else (),
            film_href=asked.href(page=asked.page, study=asked.chosen, film="" if asked.with_film else "1") + "#chosen",
            priors=tuple(
                Prior(words.day(each.study_date) or "no date", title(each), asked.href(study=str(each.id)))
                for each in priors[:PRIORS]
            ),
            images=study.instance_count,
            purpose=words.purpose(permit.purpose),
            clauses=permit.clauses,
            documents_href=f"/studies/{study.id}/documents" if has_documents(study) else "",
        )

    async def _film(self, actor: Actor, study_id: UUID) -> tuple[str, ...]:
        """Some pictures of its longest series, evenly apart; the DICOMweb door decides on each and writes it down."""
        query = Query(level="instance", limit=MOST_INSTANCES)
        found, _ = await self._desk.listed(actor, study_id, "retrieve", PURPOSE, query)
        pictures = max((part.pictures for part in parts_of(found)), key=len, default=())
        places = {len(pictures) * step // (PICTURES + 1) for step in range(1, PICTURES + 1)} if pictures else set()
        return tuple(pictures[place].href(most_edge=256) for place in sorted(places))

    async def _picked(self, actor: Actor, study_id: str) -> StudySummary:
        return (await self._desk.study(actor, forms.as_uuid(study_id), "query", PURPOSE))[0]

    async def _of_patient(self, permit: Permit, study: StudySummary) -> Sequence[StudySummary]:
        if not study.patient_id:
            return ()
        query = Query(matches=(Match(PATIENT_ID, study.patient_id),), limit=PRIORS + 1)
        page = await self._desk.rooms.archive.query(permit, query)
        return [each.study for each in page.found if each.study.subject_id == study.subject_id]


def _faults(asked: Asked) -> tuple[Fault, ...]:
    """What is wrong with the dates, or with a search that ended with its session or was altered."""
    if asked.is_ended:
        return (Fault("q", "This search has ended. Type it again"),)
    if asked.first and asked.last and asked.first > asked.last:
        return (Fault("from", "The first day is after the last"),)
    return tuple(Fault(name, f"Write the day like {clock.today().isoformat()}") for name in asked.misread)


def _kept(asked: Asked) -> tuple[tuple[str, str], ...]:
    """Filters that a new search keeps."""
    kept = ("days", "modality", "order", "film")
    return tuple((name, str(value)) for name, value in asked.fields.items() if name in kept and value)


def _column(asked: Asked, key: str) -> Column:
    """A heading that puts the list in order of its column, and pressed again, the other way round."""
    is_down = asked.order == f"-{key}"
    is_up = asked.order == key
    begins_down = key in ("done", "images")
    order = f"-{key}" if is_up or (begins_down and not is_down) else key
    direction = "descending" if is_down else "ascending" if is_up else ""
    return Column(_COLUMNS[key], asked.href(order=order), direction, is_number=key == "images")


def _filters(asked: Asked, name: str, chosen: str, labels: Mapping[str, str]) -> tuple[Filter, ...]:
    ranges: dict[str, str | int] = {"from": "", "to": ""} if name == "days" else {}
    return tuple(Filter(label, asked.href(**ranges, **{name: key}), key == chosen) for key, label in labels.items())


def _count_line(found: Listed, first: int) -> str:
    if found.total is not None:
        return words.counted(found.total, "study", "studies")
    so_far = words.counted(first + len(found.studies) - 1, "study", "studies")
    return f"more than {so_far}" if found.is_more else f"at least {so_far}"


def title(study: StudySummary) -> str:
    """What a clinician calls a study."""
    return study.description or " ".join(study.modalities) or "Study"


def _row(study: StudySummary, asked: Asked) -> StudyRow:
    return StudyRow(
        id=study.id,
        href=asked.href(page=asked.page, study=str(study.id)) + "#chosen",
        patient=words.person_name(study.name) or "No name",
        born=born(study),
        patient_id=study.patient_id,
        modality=", ".join(study.modalities),
        description=title(study),
        images=study.instance_count,
        accession=study.accession,
        referrer=words.person_name(study.referrer),
        done=words.day(study.study_date) or "no date",
        is_chosen=str(study.id) == asked.chosen,
    )
