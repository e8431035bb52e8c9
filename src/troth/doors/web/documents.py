"""What has no picture in a study: reports as text, documents, recordings and plans, said plainly, with their files.

Per: DICOM PS3.3 C.17.3 (content tree of a structured report), PS3.4 B.5 (storage SOP classes).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import ADVICE, Found, Query, StudySummary, Viewing
from troth.doors.web import words
from troth.doors.web.desk import Desk, id_of
from troth.doors.web.patients import PatientLine, of_study
from troth.doors.web.render import Page

MOST_LISTED: Final = 1_000
MOST_READ: Final = 5
MOST_LINES: Final = 2_000
"""Of one report; a longer one is read as its file."""
MOST_ITEMS: Final = 10_000
"""Of one report that are gone through, whether they say anything or not."""
_END: Final = object()
SOP_CLASS, SERIES_DESCRIPTION, TITLE = 0x00080016, 0x0008103E, 0x00420010
_CLASSES: Final = "1.2.840.10008.5.1.4.1.1."
_REPORT: Final = "A report"
_PDF: Final = "A document (PDF)"
KINDS: Final[Mapping[str, str]] = {
    "88.59": "A selection of images that somebody made",
    "88.": _REPORT,
    "104.1": _PDF,
    "104.2": "A document (CDA)",
    "104.": "A model for 3D printing",
    "9.4.": "A sound recording",
    "9.": "A recording of a signal over time, such as an ECG",
    "481.3": "Outlines drawn for radiation therapy",
    "481.5": "A plan for radiation therapy",
    "481.8": "A plan for radiation therapy with ions",
    "481.4": "A record of radiation therapy",
    "481.6": "A record of radiation therapy",
    "481.7": "A record of radiation therapy",
    "481.9": "A record of radiation therapy",
    "66.4": "Areas marked in the images",
    "66.7": "Areas marked in the images",
    "66.5": "Surfaces made from the images",
    "66.": "How images of different scans lie over each other",
    "11.": "How the images were set on a screen",
    "67": "What the brightness of the images stands for",
    "68.": "A model of a surface or a measurement of an eye",
    "79.1": "Measurements of the eye",
}
"""The end of a SOP class, or how it begins, to what people call it; the first that fits counts."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report.

    Attributes:
        depth: How far within others it stands, 0 for the title.
        label: What it says something about.
        value: What it says; empty for a heading.
    """

    depth: int
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Document:
    """One instance without a picture.

    Attributes:
        kind: What people call it.
        name: What the hospital calls it.
        advice: What it is called where a program made it and no person stands for it.
        read_href: Where a browser shows it; empty where none does.
        file_href: Its file; empty where this origin gives none.
        lines: Its text, of a report.
        is_cut: There is more of it in the file.
    """

    kind: str
    name: str
    advice: str
    read_href: str
    file_href: str
    lines: tuple[Line, ...] = ()
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class DocumentsPage:
    """What has no picture in a study.

    Attributes:
        patient: Whose study it is; None on a patient's own page.
    """

    back_href: str
    back: str
    line: str
    patient: PatientLine | None
    documents: tuple[Document, ...]
    has_files: bool


@dataclass(frozen=True, slots=True)
class Audience:
    """Whose page it is.

    Attributes:
        roles: Who reads it.
        purpose: What for.
        here: Entry of the navigation; the addresses of studies lie under it.
        back: Words of the way back.
        title: Of the page.
        recorded: What its foot says.
    """

    roles: tuple[str, ...]
    purpose: str
    here: str
    back: str
    title: str
    recorded: str


class DocumentPages:
    """Handler for what has no picture.

    Args:
        desk: What every handler works with.
        audience: Whose page it is.
    """

    def __init__(self, desk: Desk, audience: Audience) -> None:
        self._desk = desk
        self._audience = audience

    async def documents(self, http_request: Request) -> Response:
        """Each with what it is; the first reports as text."""
        audience, desk = self._audience, self._desk
        visitor, actor = await desk.signed_in(http_request, *audience.roles)
        query = Query(level="instance", limit=MOST_LISTED)
        found, permit = await desk.listed(actor, id_of(http_request), "retrieve", audience.purpose, query)
        without = [each for each in found if kind_of(each.values.get(SOP_CLASS, ""))]
        study, shown = found[0].study, [self._described(each) for each in without]
        reports = [at for at, each in enumerate(shown) if each.kind == _REPORT][:MOST_READ]
        if reports:
            viewing = await desk.rooms.archive.open_study(permit, study.study_uid)
            try:
                for at in reports:
                    lines, is_cut = await _read(viewing, without[at])
                    shown[at] = _with_text(shown[at], lines, is_cut=is_cut)
            finally:
                await viewing.close()
        back = f"{audience.here}/{study.id}" if audience.here == "/scans" else f"{audience.here}?study={study.id}"
        view = DocumentsPage(
            back_href=back,
            back=audience.back,
            line=" · ".join(filter(None, (study.description, words.day(study.study_date)))),
            patient=of_study(study) if audience.here != "/scans" else None,
            documents=tuple(shown),
            has_files=desk.has_images,
        )
        page = Page("patient/documents.html", view)
        return await desk.page(
            http_request, visitor, audience.title, page, here=audience.here, permit=permit, recorded=audience.recorded
        )

    def _described(self, found: Found) -> Document:
        path = f"/dicomweb/studies/{found.study.study_uid}/series/{found.series_uid}/instances/{found.instance_uid}"
        kind = kind_of(found.values.get(SOP_CLASS, ""))
        is_here = self._desk.has_images
        return Document(
            kind=kind,
            name=(found.values.get(TITLE, "") or found.values.get(SERIES_DESCRIPTION, "")).strip(),
            advice=found.values.get(ADVICE, ""),
            read_href=f"{path}/rendered?accept=application/pdf" if kind == _PDF and is_here else "",
            file_href=f"{path}?accept=application/dicom" if is_here else "",
        )


OWN_DOCUMENTS: Final = Audience(
    ("patient",), "own_access", "/scans", "About this scan", "Reports and other files of one of your scans",
    "This visit is on your list",
)  # fmt: skip
CLINIC_DOCUMENTS: Final = Audience(
    ("clinician", "referrer"), "diagnosis", "/studies", "Studies", "Reports and other files",
    "Opening a study is written to the log first",
)  # fmt: skip


def has_documents(study: StudySummary) -> bool:
    """Whether a study holds something that has no picture."""
    return any(map(kind_of, study.sop_classes))


def kind_of(sop_class: str) -> str:
    """What people call an instance that has no picture; empty for images.

    Args:
        sop_class: Its SOP class.
    """
    if not sop_class.startswith(_CLASSES):
        return ""
    end = sop_class.removeprefix(_CLASSES)
    return next((kind for own, kind in KINDS.items() if (end.startswith(own) if own[-1] == "." else end == own)), "")


def _with_text(document: Document, lines: tuple[Line, ...], *, is_cut: bool) -> Document:
    return Document(
        document.kind, document.name, document.advice, document.read_href, document.file_href, lines, is_cut
    )


async def _read(viewing: Viewing, found: Found) -> tuple[tuple[Line, ...], bool]:
    """The text of a report; none of one that is longer than a page takes."""
    (told,) = await (await viewing.description(found.series_uid, found.instance_uid)).tell("")
    if not isinstance(told, bytes):
        return (), True
    return await asyncio.to_thread(lambda: text_of(json.loads(told)))  # a long one holds up nobody else


def text_of(report: Mapping[str, Any]) -> tuple[tuple[Line, ...], bool]:
    """The content tree of a structured report, line by line.

    Args:
        report: Its DICOM JSON.

    Returns:
        The lines in order, and whether there are more than are given.
    """
    lines: list[Line] = []
    todo: list[tuple[int, Iterator[Any]]] = [(0, iter((report,)))]
    passed = 0
    while todo:
        depth, items = todo[-1]
        item = next(items, _END)
        if item is _END:
            todo.pop()
            continue
        if len(lines) == MOST_LINES or passed == MOST_ITEMS:
            return tuple(lines), True
        passed += 1
        if not isinstance(item, dict):
            continue
        label, value = _meaning(item, "0040A043"), _value(item)
        if label or value:
            lines.append(Line(min(depth, 6), label, value))
        todo.append((depth + 1, iter(item.get("0040A730", {}).get("Value", ()))))
    return tuple(lines), False


_PLACES: Final[Mapping[str, str]] = {
    "TEXT": "0040A160", "DATE": "0040A121", "TIME": "0040A122", "DATETIME": "0040A120", "PNAME": "0040A123",
}  # fmt: skip
_POINTS: Final[Mapping[str, str]] = {
    "IMAGE": "an image", "COMPOSITE": "another document", "WAVEFORM": "a recording", "SCOORD": "a place in an image",
    "SCOORD3D": "a place in the scan", "TCOORD": "a moment of a recording",
}  # fmt: skip


def _value(item: Mapping[str, Any]) -> str:
    """What a content item says, as text."""
    kind = str(_first(item, "0040A040") or "")
    if kind == "CODE":
        return _meaning(item, "0040A168")
    if kind == "NUM":
        measured = _first(item, "0040A300")
        if not isinstance(measured, dict):
            return ""
        unit = _meaning(measured, "004008EA")
        number = _first(measured, "0040A30A")
        return f"{'' if number is None else number} {'' if unit in ('no units', '1') else unit}".strip()
    if kind == "PNAME":
        name = _first(item, _PLACES[kind])
        return words.person_name(str(name.get("Alphabetic", ""))) if isinstance(name, dict) else ""
    told = _first(item, _PLACES.get(kind, ""))
    if isinstance(told, str):
        return f"{told[:4]}-{told[4:6]}-{told[6:]}" if kind == "DATE" and len(told) == 8 else told
    return f"see {_POINTS[kind]}" if kind in _POINTS else ""


def _first(item: Mapping[str, Any], key: str) -> Any:
    values: Sequence[Any] = item.get(key, {}).get("Value") or (None,)
    return values[0]


def _meaning(item: Mapping[str, Any], key: str) -> str:
    """What a code stands for, in words."""
    code = _first(item, key)
    return str(_first(code, "00080104") or "") if isinstance(code, dict) else ""
