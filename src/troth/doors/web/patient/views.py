"""What the patient's pages show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from troth.doors.web.forms import Fault
from troth.doors.web.looked import CompleteLine, Filter, Looked
from troth.doors.web.patient.choice_views import Press
from troth.doors.web.requested import Chip, ItemLine, StepLine
from troth.doors.web.words import Clock


@dataclass(frozen=True, slots=True)
class Ask:
    """Something one can ask for, with its address."""

    label: str
    href: str


@dataclass(frozen=True, slots=True)
class ScanLine:
    """One scan on the home page.

    Attributes:
        tile: What kind it is, where no picture stands for it.
        cover: Address of the picture that stands for it; that it is shown is recorded like any look.
    """

    id: UUID
    title: str
    line: str
    tile: str
    href: str
    pictures_href: str
    cover: str
    kept_until: date | None
    kept_clauses: tuple[str, ...]
    is_past: bool = False
    is_restricted: bool = False


@dataclass(frozen=True, slots=True)
class RequestLine:
    """One request in a list."""

    reference: str
    heading: str
    right_words: str
    opened_at: datetime
    clock: Clock
    chip: Chip
    now: str
    href: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class HomePage:
    """Own scans, what is open, who looked."""

    organisation: str
    lead: str
    requests: tuple[RequestLine, ...]
    studies: tuple[ScanLine, ...]
    entries: tuple[Looked, ...]
    complete: CompleteLine | None
    can_ask: tuple[Ask, ...]
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class StudyPage:
    """One scan: images, who looked, how long it is kept.

    Attributes:
        is_cut: Older entries about it stand on the page of all entries only.
        undo: Allows the use again, where this person stopped it.
        can_stop: The notice lets them stop it.
        advice: What programs made of it and no person stands for; empty where there is nothing.
        documents_href: What has no picture; empty where everything has.
    """

    id: UUID
    title: str
    line: str
    description: str
    film: tuple[str, ...]
    images: int
    pictures_href: str
    can_ask: tuple[Ask, ...]
    filters: tuple[Filter, ...]
    entries: tuple[Looked, ...]
    complete: CompleteLine | None
    kept_until: date | None
    kept_clauses: tuple[str, ...]
    is_past: bool
    is_restricted: bool
    is_cut: bool = False
    has_no_pictures: bool = False
    undo: Press | None = None
    can_stop: bool = False
    advice: str = ""
    documents_href: str = ""


@dataclass(frozen=True, slots=True)
class LookedPage:
    """Everything that was done with what is held about somebody."""

    organisation: str
    filters: tuple[Filter, ...]
    days: tuple[tuple[str, tuple[Looked, ...]], ...]
    complete: CompleteLine | None
    next_href: str


@dataclass(frozen=True, slots=True)
class RequestsPage:
    """All own requests."""

    requests: tuple[RequestLine, ...]
    can_ask: tuple[Ask, ...]
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class CopyView:
    """A copy that waits."""

    href: str
    bytes: int
    expires_at: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class RequestPage:
    """One own request with its clock, steps and outcomes."""

    reference: str
    heading: str
    clauses: tuple[str, ...]
    opened_at: datetime
    acknowledged_at: datetime | None
    clock: Clock
    chip: Chip
    now_heading: str
    now: str
    copy: CopyView | None
    certificate_href: str
    items_heading: str
    items: tuple[ItemLine, ...]
    items_summary: str
    is_settled: bool
    steps: tuple[StepLine, ...]
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One scan to choose, with what the notice says about keeping it."""

    id: UUID
    title: str
    line: str
    note: str
    clauses: tuple[str, ...]
    is_chosen: bool
    is_kept: bool


@dataclass(frozen=True, slots=True)
class AskPage:
    """Starting a request: what one gets, or what goes for good and what stays, before anything happens.

    Attributes:
        kind: `access` or `erase`.
        step: `choose` or `look`, for erasure.
        terms: By when it is answered.
        has_copy: A copy that was made for the person waits; what is erased goes from it too.
        is_everything: It is about who they are and their account too.
    """

    kind: str
    step: str
    heading: str
    lead: str
    terms: str
    clauses: tuple[str, ...]
    organisation: str
    choices: tuple[Choice, ...] = ()
    has_copy: bool = False
    is_everything: bool = False
    faults: tuple[Fault, ...] = ()

    @property
    def goes_whole(self) -> bool:
        """Whether the person and their account go: everything was chosen, and no law keeps any of it."""
        return self.is_everything and not any(each.is_kept for each in self.choices)

    @property
    def chosen(self) -> tuple[Choice, ...]:
        """What was picked."""
        return tuple(each for each in self.choices if each.is_chosen)

    @property
    def goes(self) -> tuple[Choice, ...]:
        """What of it goes for good."""
        return tuple(each for each in self.chosen if not each.is_kept)

    @property
    def stays(self) -> tuple[Choice, ...]:
        """What of it a law keeps."""
        return tuple(each for each in self.chosen if each.is_kept)
