"""What the page of choices shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Press:
    """One button with what it sends.

    Attributes:
        act: What is done.
        about: To what.
        label: What happens, as the button says it.
        more: The rest of the label, for those who cannot see what is beside it.
    """

    act: str
    about: str
    label: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """A choice that stands: what, until when, by which clause, and how to undo it.

    Attributes:
        rings: The sign beside the state.
        href: Of the receipt to keep; empty where there is none.
        undo: The way back: as many presses as the way there; None where nothing is to be undone.
    """

    anchor: str
    title: str
    text: str
    rings: str
    state: str
    since: datetime
    until: datetime | None
    notice: str
    clauses: tuple[str, ...]
    reference: str
    href: str
    undo: Press | None


@dataclass(frozen=True, slots=True)
class Question:
    """A consent: yes and no weigh the same, and the answer that holds is pressed and said in words.

    Attributes:
        answer: `yes`, `no`, or empty where none was given.
        since: Since when it holds.
    """

    anchor: str
    text: str
    clauses: tuple[str, ...]
    yes: Press
    no: Press
    answer: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stoppable:
    """Something that goes on, and what an objection or a restriction would come to.

    Attributes:
        outcome: What would come of it, said before.
        press: None where it is stopped already.
        href: Where the consequences are shown before it is stopped; empty where a press is enough.
        undo: The way back where it is stopped.
    """

    title: str
    outcome: str
    clauses: tuple[str, ...]
    press: Press | None
    href: str = ""
    undo: Press | None = None


@dataclass(frozen=True, slots=True)
class ChoicesPage:
    """Everything that somebody chose, and can choose."""

    organisation: str
    receipts: tuple[ReceiptView, ...]
    questions: tuple[Question, ...]
    activities: tuple[Stoppable, ...]
    studies: tuple[Stoppable, ...]
    channels: tuple[Stoppable, ...]
    version: Stoppable | None


@dataclass(frozen=True, slots=True)
class StopPage:
    """Before the use of a scan, or of everything, is stopped: what follows from it.

    Attributes:
        title: What it is about.
        is_everything: Every scan, also those that come later.
        emergency: What follows for an emergency; empty where there is nothing to say.
        back: Where cancelling leads.
    """

    title: str
    organisation: str
    is_everything: bool
    emergency: str
    clauses: tuple[str, ...]
    press: Press
    back: str


@dataclass(frozen=True, slots=True)
class ReceiptPage:
    """One receipt, to be kept.

    Attributes:
        rows: Term and words, in the order of the record.
        json_href: The signed record.
        fingerprint: Of the record.
    """

    reference: str
    title: str
    state: str
    rings: str
    wording: str
    ground: str
    clauses: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]
    json_href: str
    fingerprint: str
