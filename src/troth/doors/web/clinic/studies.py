"""The study list: search, filters, a preview that opens nothing, the way to the viewer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import Match, Query, SearchTooBroad, SearchValueInvalid, StudySummary, advice_in
from troth.doors.web import words
from troth.doors.web.clinic.views import Chosen, Prior, StudiesPage, StudyRow
from troth.doors.web.desk import Desk, clauses_of, go, id_of, of_organisation
from troth.doors.web.forms import Fault
from troth.doors.web.looked import Filter
from troth.doors.web.render import Page
from troth.kit import clock, numbers
from troth.kit.errors import NotFound
from troth.policy import Actor, Permit, Target

# Search keys, DICOM PS3.6
STUDY_DATE, ACCESSION, MODALITIES_IN_STUDY = 0x00080020, 0x00080050, 0x00080061
PATIENT_NAME, PATIENT_ID, ISSUER = 0x00100010, 0x00100020, 0x00100021

ROLES = ("clinician", "referrer")
PURPOSE = "diagnosis"
INVITING = "care"
RECORDED = "Opening a study is written to the ledger first"
PAGE = 50
MOST_PAGES = 200
PRIORS = 6
_MOST_WORDS = 4
DAYS: Mapping[str, tuple[str, int]] = {"1": ("Today", 0), "3": ("3 days", 2), "7": ("7 days", 6), "30": ("30 days", 29)}
MODALITIES = ("CT", "MR", "CR", "DX", "US", "MG", "NM", "PT")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of the list asks for.

    Attributes:
        search: Starts of names in any order, or of a patient ID or accession number.
        days: Key of `DAYS`, or empty.
        modality: One of `MODALITIES`, or empty.
        page: From 1.
        chosen: The picked study, or empty.
    """

    search: str
    days: str
    modality: str
    page: int
    chosen: str

    def href(self, **changed: str | int) -> str:
        """The address with something changed; a new filter starts at the first page and picks nothing."""
        fields: dict[str, str | int] = {"q": self.search, "days": self.days, "modality": self.modality, "page": 1}
        fields |= changed
        told = {name: value for name, value in fields.items() if value and (name, value) != ("page", 1)}
        return "/studies?" + urlencode(told) if told else "/studies"


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
        asked = asked_of(http_request)
        permit = await self._desk.permit(actor, "query", of_organisation(actor), PURPOSE)
        faults: tuple[Fault, ...] = ()
        studies, is_more = list[StudySummary](), False
        try:
            studies, is_more = await self._search(permit, asked)
        except (SearchValueInvalid, SearchTooBroad) as refused:
            faults = (Fault("q", refused.detail.rstrip(".")),)
        chosen = await self._chosen(actor, permit, studies, asked) if asked.chosen else None
        first, version = (asked.page - 1) * PAGE + 1, await self._desk.version(actor)
        view = StudiesPage(
            count_line=_count_line(len(studies), is_more, first),
            search=asked.search,
            kept_fields=_kept(asked),
            dates=_filters(
                asked, "days", asked.days, {"": "Any day"} | {key: label for key, (label, _) in DAYS.items()}
            ),
            modalities=_filters(asked, "modality", asked.modality, {"": "Any"} | {each: each for each in MODALITIES}),
            faults=faults,
            rows=tuple(_row(study, asked) for study in studies),
            range_line=f"Rows {first}–{first + len(studies) - 1}" if len(studies) != 1 else f"Row {first}",
            previous_href=asked.href(page=asked.page - 1) if asked.page > 1 else "",
            next_href=asked.href(page=asked.page + 1) if is_more and asked.page < MOST_PAGES else "",
            is_filtered=bool(asked.search or asked.days or asked.modality),
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

    async def _search(self, permit: Permit, asked: Asked) -> tuple[list[StudySummary], bool]:
        """One page of studies, newest first, whichever of the searches of the field found them."""
        common = []
        if asked.days:
            first = clock.today() - timedelta(days=DAYS[asked.days][1])
            common.append(Match(STUDY_DATE, f"{first:%Y%m%d}-"))
        if asked.modality:
            common.append(Match(MODALITIES_IN_STUDY, asked.modality))
        found: dict[UUID, StudySummary] = {}
        is_more = False
        for matches in _searches(asked.search):
            query = Query(matches=(*common, *matches), limit=PAGE, offset=(asked.page - 1) * PAGE)
            page = await self._desk.rooms.archive.query(permit, query)
            found |= {each.study.id: each.study for each in page.found}
            is_more = is_more or page.is_more
        newest = sorted(found.values(), key=lambda study: (study.study_date or date.min, study.id), reverse=True)
        return newest[:PAGE], is_more or len(newest) > PAGE

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
        facts = (
            ("Series", words.number(study.series_count)),
            ("Images", words.number(study.instance_count)),
            ("Modality", ", ".join(study.modalities)),
            ("Born", born(study)),
            ("Patient ID given out by", study.values.get(ISSUER, "")),
            ("Accession", study.accession),
            ("Referrer", words.person_name(study.referrer)),
            ("Stored", words.moment(study.stored_at)),
            ("Advice of a program", _advice(study)),
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
            priors=tuple(
                Prior(words.day(each.study_date) or "no date", title(each), asked.href(study=str(each.id)))
                for each in priors[:PRIORS]
            ),
            images=study.instance_count,
            purpose=words.purpose(permit.purpose),
            clauses=permit.clauses,
        )

    async def _picked(self, actor: Actor, study_id: str) -> StudySummary:
        try:
            return (await self._desk.study(actor, UUID(study_id), "query", PURPOSE))[0]
        except ValueError:
            raise NotFound from None

    async def _of_patient(self, permit: Permit, study: StudySummary) -> Sequence[StudySummary]:
        if not study.patient_id:
            return ()
        query = Query(matches=(Match(PATIENT_ID, study.patient_id),), limit=PRIORS + 1)
        page = await self._desk.rooms.archive.query(permit, query)
        return [each.study for each in page.found if each.study.subject_id == study.subject_id]


def asked_of(http_request: Request) -> Asked:
    """What the address asks for; a filter that is not ours is refused, not ignored.

    Raises:
        NotFound: A filter that does not exist.
    """
    fields = http_request.query_params
    days, modality = fields.get("days", ""), fields.get("modality", "")
    page = numbers.whole(fields.get("page", "1"), least=1, most=MOST_PAGES)
    if page is None or (days and days not in DAYS) or (modality and modality not in MODALITIES):
        raise NotFound
    return Asked(fields.get("q", "").strip()[:64], days, modality, page, fields.get("study", ""))


def _searches(text: str) -> list[tuple[Match, ...]]:
    """The searches of the one field: the start of an ID or accession number, or of names in any order.

    "Lovelace, Ada" says which is the family name; "Ada Lovelace" and "Lovelace Ada" may be either, and each part may
    have several words. One word is the start of a family or a given name, or an ID without a figure.
    """
    if not text:
        return [()]
    plain = re.sub(r"[*?\\^=]", " ", text).strip()
    family, comma, given = (part.strip() for part in plain.partition(","))
    words_of = plain.replace(",", " ").split()[:_MOST_WORDS]
    if not words_of:
        return [()]
    if comma and family and given:
        return [(Match(PATIENT_NAME, f"{family}*^{given}*"),)]
    if len(words_of) == 1:
        (word,) = words_of
        ids: list[tuple[Match, ...]] = [(Match(PATIENT_ID, f"{word}*"),), (Match(ACCESSION, f"{word}*"),)]
        if any(letter.isdigit() for letter in word):
            return ids
        return [(Match(PATIENT_NAME, f"{word}*"),), (Match(PATIENT_NAME, f"*^{word}*"),), *ids]
    whole = " ".join(words_of)
    found = [f"{whole}*"]
    for at in range(1, len(words_of)):
        first, second = " ".join(words_of[:at]), " ".join(words_of[at:])
        found += [f"{first}*^{second}*", f"{second}*^{first}*"]
    searches: list[tuple[Match, ...]] = [(Match(PATIENT_NAME, name),) for name in found]
    if any(map(str.isdigit, whole)):
        searches += [(Match(PATIENT_ID, whole),), (Match(ACCESSION, whole),)]
    return searches


def _kept(asked: Asked) -> tuple[tuple[str, str], ...]:
    """Filters that a new search keeps."""
    return tuple((name, value) for name, value in (("days", asked.days), ("modality", asked.modality)) if value)


def _filters(asked: Asked, name: str, chosen: str, labels: Mapping[str, str]) -> tuple[Filter, ...]:
    return tuple(Filter(label, asked.href(**{name: key}), key == chosen) for key, label in labels.items())


def _count_line(count: int, is_more: bool, first: int) -> str:
    so_far = words.counted(first + count - 1, "study", "studies")
    return f"more than {so_far}" if is_more else so_far


def title(study: StudySummary) -> str:
    """What a clinician calls a study."""
    return study.description or " ".join(study.modalities) or "Study"


def born(study: StudySummary) -> str:
    """Birth date as a list shows it; what is no date is shown as it stands."""
    text = study.birth_date
    if len(text) == 8 and text.isascii() and text.isdigit() and 1 <= int(text[4:6]) <= 12:
        return f"{int(text[6:])} {words.MONTHS[int(text[4:6]) - 1]} {text[:4]}"
    return text


def _advice(study: StudySummary) -> str:
    """What a program found in a study, by class; it stands nowhere as a result."""
    found = ", ".join(advice_in(study.sop_classes))
    return f"{found}; no result, a person reports" if found else ""


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
