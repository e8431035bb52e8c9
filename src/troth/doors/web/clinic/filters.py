"""What the study list was asked for: it stands in the address, but for the words, which only the session can read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request

from troth import vault
from troth.archive import Match, StudySummary
from troth.doors.web import words
from troth.kit import clock, numbers
from troth.kit.errors import NotFound

# Search keys, DICOM PS3.6
STUDY_DATE, ACCESSION, MODALITIES_IN_STUDY = 0x00080020, 0x00080050, 0x00080061
PATIENT_NAME, PATIENT_ID = 0x00100010, 0x00100020

MOST_PAGES: Final = 200
MOST_LETTERS: Final = 64
_MOST_WORDS: Final = 4
_USE: Final = "study list"
DAYS: Final[Mapping[str, tuple[str, int]]] = {
    "1": ("Today", 0),
    "3": ("3 days", 2),
    "7": ("7 days", 6),
    "30": ("30 days", 29),
}
MODALITIES: Final = ("CT", "MR", "CR", "DX", "US", "MG", "NM", "PT")
NEWEST: Final = "-done"
ORDERS: Final[Mapping[str, Callable[[StudySummary], Any]]] = {
    "patient": lambda study: words.person_name(study.name).casefold(),
    "born": lambda study: study.birth_date,
    "number": lambda study: study.patient_id.casefold(),
    "modality": lambda study: study.modalities,
    "study": lambda study: study.description.casefold(),
    "images": lambda study: study.instance_count,
    "accession": lambda study: study.accession.casefold(),
    "referrer": lambda study: words.person_name(study.referrer).casefold(),
    "done": lambda study: study.study_date or date.min,
}
"""What the list can be put in order of; with a minus sign before it, the other way round."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of the list asks for.

    Attributes:
        search: Starts of names in any order, or of a patient ID or accession number.
        ticket: The same as the address says it.
        days: Key of `DAYS`, or empty.
        first, last: Study dates, both included; None for any.
        modality: One of `MODALITIES`, or empty.
        order: Of `ORDERS`, perhaps with a minus sign.
        page: From 1.
        chosen: The picked study, or empty.
        with_film: Show pictures of the picked study.
        misread: Which of `from` and `to` is no date.
        is_ended: The address says a search that this session never made, so nothing is listed for it.
    """

    search: str = ""
    ticket: str = ""
    days: str = ""
    first: date | None = None
    last: date | None = None
    modality: str = ""
    order: str = NEWEST
    page: int = 1
    chosen: str = ""
    with_film: bool = False
    misread: tuple[str, ...] = ()
    is_ended: bool = False

    @property
    def is_filtered(self) -> bool:
        """Anything is left out."""
        return bool(self.search or self.days or self.first or self.last or self.modality)

    @property
    def fields(self) -> dict[str, str | int]:
        """What the address says, but for the page and the picked study."""
        return {
            "s": self.ticket,
            "days": self.days,
            "from": self.first.isoformat() if self.first else "",
            "to": self.last.isoformat() if self.last else "",
            "modality": self.modality,
            "order": self.order,
            "film": "1" if self.with_film else "",
        }

    def href(self, **changed: str | int) -> str:
        """The address with something changed; a new filter starts at the first page and picks nothing."""
        fields = self.fields | {"page": 1} | changed
        usual = (("page", 1), ("order", NEWEST))
        told = {name: value for name, value in fields.items() if value and (name, value) not in usual}
        return "/studies?" + urlencode(told) if told else "/studies"

    def matches(self) -> list[Match]:
        """Search keys of date and modality."""
        first = clock.today() - timedelta(days=DAYS[self.days][1]) if self.days else self.first
        last = None if self.days else self.last
        found = []
        if first or last:
            found.append(Match(STUDY_DATE, "-".join(f"{day:%Y%m%d}" if day else "" for day in (first, last))))
        if self.modality:
            found.append(Match(MODALITIES_IN_STUDY, self.modality))
        return found


def asked_of(http_request: Request, session: str) -> Asked:
    """What the address asks for; a filter that is not ours is refused, not ignored.

    Args:
        http_request: With the address.
        session: Its secret: what was searched in another session is not known any more, and nothing is searched.

    Raises:
        NotFound: A filter that does not exist.
    """
    fields = http_request.query_params
    days, modality, order = fields.get("days", ""), fields.get("modality", ""), fields.get("order", NEWEST)
    page = numbers.whole(fields.get("page", "1"), least=1, most=MOST_PAGES)
    ticket = fields.get("s", "")
    search = vault.text_of(session, _USE, ticket) if ticket else None
    days_of = {name: _day(fields.get(name, "")) for name in ("from", "to")}
    misread = tuple(name for name, day in days_of.items() if day is None and fields.get(name))
    is_known = (not days or days in DAYS) and (not modality or modality in MODALITIES)
    if page is None or not is_known or order.removeprefix("-") not in ORDERS:
        raise NotFound
    return Asked(
        search=search or "",
        ticket=ticket if search else "",
        days=days,
        first=days_of["from"],
        last=days_of["to"],
        modality=modality,
        order=order,
        page=page,
        chosen=fields.get("study", ""),
        with_film=fields.get("film") == "1",
        misread=misread,
        is_ended=bool(ticket) and search is None,
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def ticket_for(session: str, search: str) -> str:
    """What was searched for, as an address may say it; empty for nothing."""
    plain = search.replace("\0", "").strip()[:MOST_LETTERS]
    return vault.ticket_of(session, _USE, plain) if plain else ""


def searches(text: str) -> list[tuple[Match, ...]]:
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
