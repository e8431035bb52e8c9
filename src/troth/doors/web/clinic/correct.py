"""Correcting what a study says: the form, what would change, and what was corrected before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import Correctable, CorrectionRefused, PastCorrection, StoredBytesBroken, StudySummary
from troth.dicom import CannotCorrect
from troth.doors.web import forms, words
from troth.doors.web.clinic.studies import title
from troth.doors.web.desk import Desk, Visitor, go, id_of
from troth.doors.web.forms import Fault
from troth.doors.web.patients import PatientLine, of_study
from troth.doors.web.render import Page
from troth.kit.errors import Unavailable
from troth.policy import Actor, Permit

PURPOSES: Final[Mapping[str, str]] = {"clinician": "care", "office": "rights"}
"""What for, by role."""
ACTION: Final = "rectify"
_RECORDED: Final = "A correction is written to the log, and the patient can read that it was made"
_SOURCE: Final = 0x04000564


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of the form.

    Attributes:
        field: Its name in the form.
        kind: Type of the input.
        may_be_empty: Whether it may be emptied.
    """

    field: str
    tag: int
    label: str
    hint: str = ""
    kind: str = "text"
    may_be_empty: bool = True

    def shown(self, text: str) -> str:
        """What an attribute says, as the input shows it."""
        if self.kind == "date" and len(text) == 8 and text.isdigit():
            return f"{text[:4]}-{text[4:6]}-{text[6:]}"
        return text

    def read(self, text: str) -> str:
        """What the input says, as the attribute has it."""
        return text.replace("-", "") if self.kind == "date" else text

    def told(self, text: str) -> str:
        """What an attribute says, for people."""
        return self.shown(text) or "nothing"


ATTRIBUTES: Final = (
    Attribute(
        "name", 0x00100010, "Name", "Family^Given^Middle^Prefix^Suffix, as machines write it.", may_be_empty=False
    ),
    Attribute("born", 0x00100030, "Born", kind="date"),
    Attribute("sex", 0x00100040, "Sex", "M, F or O."),
    Attribute("age", 0x00101010, "Age at the study", "Three digits and Y, M, W or D, as 047Y."),
    Attribute("accession", 0x00080050, "Accession number", "At most 16 characters."),
    Attribute("number", 0x00200010, "Study ID", "At most 16 characters."),
    Attribute("description", 0x00081030, "Study description", "At most 64 characters."),
    Attribute("referrer", 0x00080090, "Referrer", "As the name."),
    Attribute("day", 0x00080020, "Study date", kind="date"),
    Attribute("time", 0x00080030, "Study time", "HHMMSS, as 143005."),
)
"""What is corrected here. The patient's number is not: a number says whose images they are and who may see them, so a
study that came under another one has to go to another patient, not to say another number."""

_BY_TAG: Final = {each.tag: each for each in ATTRIBUTES}


@dataclass(frozen=True, slots=True)
class InputView:
    """One input."""

    attribute: Attribute
    value: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One attribute that would change: what images say now, with how many say it, and what they would say."""

    label: str
    before: tuple[tuple[str, int], ...]
    after: str


@dataclass(frozen=True, slots=True)
class PastView:
    """One correction of before."""

    at: datetime
    by: str
    what: tuple[tuple[str, str, str], ...]
    instances: int
    is_coerced: bool
    source: str


@dataclass(frozen=True, slots=True)
class CorrectPage:
    """The form; or what would change, to be looked at before it is done."""

    patient: PatientLine
    line: str
    action: str
    back_href: str
    back_label: str
    total: int
    inputs: tuple[InputView, ...]
    source: str = ""
    changes: tuple[ChangeView, ...] = ()
    instances: int = 0
    past: tuple[PastView, ...] = ()
    told: str = ""
    faults: tuple[Fault, ...] = ()


class CorrectPages:
    """Handlers for the correction of a study.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def correct(self, http_request: Request) -> Response:
        """Ask what is right, show what would change, then change it."""
        visitor, actor = await self._desk.signed_in(http_request, *PURPOSES)
        archive, study_id = self._desk.rooms.archive, id_of(http_request)
        target = await archive.target_of(actor, study_id)
        permit = await self._desk.permit(actor, ACTION, target, PURPOSES[actor.role])
        if not forms.is_sent(http_request):
            seen = await archive.correctable(permit, study_id)
            return await self._page(http_request, visitor, permit, seen, {})
        fields = await self._desk.sent(http_request, visitor)
        seen, source = await archive.correctable(permit, study_id), fields.get("source", "")
        if fields.get("sure") == "no":  # what was typed is looked over once more
            return await self._page(http_request, visitor, permit, seen, fields)
        values = _changed(fields, seen.study)
        if not values:
            fault = Fault("", "Nothing is different from what the study says. Change what is wrong")
            return await self._page(http_request, visitor, permit, seen, fields, fault)
        try:
            if fields.get("sure") != "yes":
                seen = await archive.preview_correction(permit, seen, values, source=source)
                return await self._page(http_request, visitor, permit, seen, fields, values=values)
            done = await archive.correct(permit, study_id, values, reason="CORRECT", source=source)
        except (CorrectionRefused, CannotCorrect, StoredBytesBroken, Unavailable) as refused:
            return await self._page(http_request, visitor, permit, seen, fields, _fault(refused))
        return go(f"/studies/{study_id}/correct?told={quote(str(done.instances))}")

    async def _page(
        self,
        http_request: Request,
        visitor: Visitor,
        permit: Permit,
        seen: Correctable,
        fields: Mapping[str, str],
        *faults: Fault,
        values: Mapping[int, str] | None = None,
    ) -> Response:
        study, actor = seen.study, permit.actor
        past = await self._desk.rooms.archive.corrections(permit, study.id)
        told = http_request.query_params.get("told", "")
        back_href, back_label = _back(actor, study.id)
        view = CorrectPage(
            patient=of_study(study),
            line=" · ".join(filter(None, (title(study), words.day(study.study_date)))),
            action=f"/studies/{study.id}/correct",
            back_href=back_href,
            back_label=back_label,
            total=seen.total,
            inputs=tuple(
                InputView(each, fields.get(each.field, each.shown(study.values.get(each.tag, ""))))
                for each in ATTRIBUTES
            ),
            source=fields.get("source", ""),
            changes=tuple(_change(tag, text, seen) for tag, text in (values or {}).items()),
            instances=seen.instances,
            past=tuple(map(_past, past)),
            told=words.number(int(told)) if told.isascii() and told.isdigit() and len(told) < 7 and past else "",
            faults=faults,
        )
        return await self._desk.page(
            http_request,
            visitor,
            "Correct a study",
            Page("clinic/correct.html", view),
            here="/office/decisions" if actor.role == "office" else "/studies",
            permit=permit,
            recorded=_RECORDED,
            status=422 if faults else 200,
        )


def _changed(fields: Mapping[str, str], study: StudySummary) -> dict[int, str]:
    """What is typed otherwise than the study says it."""
    return {
        each.tag: each.read(fields[each.field])
        for each in ATTRIBUTES
        if each.field in fields and fields[each.field] != each.shown(study.values.get(each.tag, ""))
    }


def _change(tag: int, text: str, seen: Correctable) -> ChangeView:
    attribute = _BY_TAG[tag]
    said = sorted(seen.before.get(tag, {}).items(), key=lambda pair: -pair[1])
    return ChangeView(attribute.label, tuple((attribute.told(one), count) for one, count in said), attribute.told(text))


def _past(past: PastCorrection) -> PastView:
    what = []
    for tag, text in past.values.items():
        attribute = _BY_TAG.get(tag) or Attribute("", tag, _OTHER.get(tag, "Another attribute"))
        said = " or ".join(attribute.told(one) for one in past.before.get(tag, ())) or attribute.told(text)
        what.append((attribute.label, said, attribute.told(text)))
    return PastView(past.made_at, past.by, tuple(what), past.instances, past.reason == "COERCE", past.source)


_OTHER: Final[Mapping[int, str]] = {0x00100020: "Patient ID", 0x00100021: "Who gave out the patient ID"}


def _fault(refused: Exception) -> Fault:
    """What is to be mended in the form."""
    if isinstance(refused, CorrectionRefused):
        attribute = _BY_TAG.get(refused.tag)
        field = "source" if refused.tag == _SOURCE else attribute.field if attribute else ""
        return Fault(field, _without_keyword(refused.detail, attribute.label if attribute else ""))
    if isinstance(refused, CannotCorrect):
        return Fault("", "The images are written in letters that cannot hold what you typed. Write it in plain letters")
    if isinstance(refused, StoredBytesBroken):
        return Fault("", "An image of this study is damaged, so nothing was changed. Tell whoever runs the archive")
    return Fault("", "Images are arriving for this study right now, so nothing was changed. Try again in a minute")


def _without_keyword(detail: str, label: str) -> str:
    """The sentence of the archive with the word that stands on the page, without its full stop."""
    word, _, rest = detail.partition(" ")
    return f"{label} {rest}".rstrip(".") if label and word[:1].isupper() else detail.rstrip(".")


def _back(actor: Actor, study_id: UUID) -> tuple[str, str]:
    if actor.role == "office":
        return "/office/corrections", "Corrections"
    return f"/studies?study={study_id}", "Studies"
