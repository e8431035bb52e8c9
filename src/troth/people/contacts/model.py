"""Lists of people, and the contacts that came of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from troth.people.contacts.reading import Refused


@dataclass(frozen=True, slots=True)
class Preview:
    """What would come of a list, counted before anything is taken in.

    Attributes:
        new: People who are not known yet.
        known: People who are known already; the source is added to what is held of them.
        merged: Lines that name somebody whom another line names too.
        refused: Lines that are not taken in, and why.
        ending: People who are on the list before and not on this one.
    """

    new: int
    known: int
    merged: int
    refused: tuple[Refused, ...]
    ending: int = 0


@dataclass(frozen=True, slots=True)
class PeopleList:
    """A list of people that was handed over.

    Attributes:
        kind: `contacts`, or `staff` where an employer names its own.
        source: The source, by the word of the notice.
        clause: The clause that lists the source.
        activity: Under which its records are taken.
        way: How it came: `page` or `command_line`.
        state: `waits` for a yes, `agreed`, `done` or `dropped`.
        lines: How many people it names.
        taken: How many of them were taken in so far.
        ended: People of the list before who are not on this one.
        supplier: Who handed it over, by name.
    """

    id: UUID
    number: int
    kind: str
    source: str
    origin: str
    clause: str
    activity: str
    way: str
    state: str
    lines: int
    taken: int
    added: int
    known: int
    ended: int
    tell_within: str
    made_at: datetime
    agreed_at: datetime | None
    done_at: datetime | None
    told_at: datetime | None
    supplier: str = field(default="", repr=False)

    @property
    def reference(self) -> str:
        """What people call it, such as L-3."""
        return f"L-{self.number}"


@dataclass(frozen=True, slots=True)
class ContactRecord:
    """What one source told of one contact.

    Attributes:
        id: Of the record.
        contact_id: Of the contact, who may have several.
        told: What the source told, by field.
        supplier: Who exactly it was.
        line: Of the list.
        tell_by: Until when they have to be told; None where the notice asks for none.
        anchor_on: From which day the time to keep it counts; None while that has not begun.
        linked_at: When the contact was linked with the account of the same address.
    """

    id: UUID
    contact_id: UUID
    source: str
    origin: str
    clause: str
    activity: str
    way: str
    anchor_on: date | None
    obtained_at: datetime
    ended_at: datetime | None
    tell_by: datetime | None
    told_at: datetime | None
    linked_at: datetime | None
    email: str = field(default="", repr=False)
    told: dict[str, str] = field(default_factory=dict, repr=False)
    supplier: str = field(default="", repr=False)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """How many records of an activity are over on a day.

    Attributes:
        clause: The clause that says how long they stay; empty where no notice knows the activity any more.
        is_under_contract: The activity is that of a contract: the site's periods do not touch its records.
        past: Those of them whose day is past, and not today.
        running: Records whose time has not begun.
        next_on: The next day on which one is over.
    """

    activity: str
    clause: str
    is_under_contract: bool
    held: int
    due: int
    past: int
    running: int
    next_on: date | None


@dataclass(frozen=True, slots=True)
class Disposal:
    """A disposal that was agreed to."""

    id: UUID
    asked_at: datetime
    found: int
    disposed: int
    kept: int
    done_at: datetime | None
