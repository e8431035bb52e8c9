"""What the privacy office's pages show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from troth.doors.web.requested import Chip, ItemLine, StepLine
from troth.doors.web.words import Clock


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue and how many wait in it."""

    label: str
    count: int
    href: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the console."""

    label: str
    value: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request in the console."""

    reference: str
    href: str
    right: str
    person: str
    clock: Clock
    chip: Chip
    marks: tuple[str, ...]
    marks_words: str
    is_open: bool
    is_alert: bool


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """Requests by due date."""

    at: datetime
    queues: tuple[Queue, ...]
    rights: tuple[Queue, ...]
    figures: tuple[Figure, ...]
    rows: tuple[RequestRow, ...]
    late_heading: str
    next_line: str


@dataclass(frozen=True, slots=True)
class FilePage:
    """One request as the office sees it."""

    reference: str
    heading: str
    right: str
    clauses: tuple[str, ...]
    opened_at: datetime
    acknowledged_at: datetime | None
    clock: Clock
    chip: Chip
    items: tuple[ItemLine, ...]
    items_summary: str
    is_settled: bool
    steps: tuple[StepLine, ...]
    is_live: bool = False
