"""What the clinic's pages show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from troth.doors.web.forms import Fault
from troth.doors.web.looked import Filter
from troth.doors.web.patients import PatientLine


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study in the list."""

    id: UUID
    href: str
    patient: str
    born: str
    patient_id: str
    modality: str
    description: str
    images: int
    accession: str
    referrer: str
    done: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Column:
    """The heading of a column.

    Attributes:
        href: Puts the list in order of it.
        direction: `ascending` or `descending` where it is; else empty.
    """

    label: str
    href: str
    direction: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class Prior:
    """An earlier study of the same patient that the reader may see."""

    date: str
    title: str
    href: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The study picked in the list. Looking at this does not open it.

    Attributes:
        film: Addresses of some of its pictures, where they were asked for: showing them is an opening.
        film_href: Shows them, or hides them again.
        documents_href: What has no picture; empty where everything has.
    """

    patient: str
    patient_id: str
    line: str
    open_href: str
    invite_href: str
    care_href: str
    correct_href: str
    facts: tuple[tuple[str, str], ...]
    film: tuple[str, ...]
    film_href: str
    priors: tuple[Prior, ...]
    images: int
    purpose: str
    clauses: tuple[str, ...]
    documents_href: str = ""


@dataclass(frozen=True, slots=True)
class StudiesPage:
    """The study list with its filters and the picked study.

    Attributes:
        stopped_clauses: By which a patient may stop the use of a study, which then does not show here.
    """

    count_line: str
    search: str
    first: str
    last: str
    kept_fields: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    dates: tuple[Filter, ...]
    modalities: tuple[Filter, ...]
    faults: tuple[Fault, ...]
    rows: tuple[StudyRow, ...]
    range_line: str
    previous_href: str
    next_href: str
    is_filtered: bool
    chosen: Chosen | None
    stopped_clauses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InvitePage:
    """Inviting a patient, and the code.

    Attributes:
        can_register: Their whole birth date is held, without which nobody could answer the invitation.
        correct_href: Where the birth date is put right.
    """

    patient: PatientLine
    action: str
    back_href: str
    clauses: tuple[str, ...]
    email: str = ""
    code: str = ""
    expires_at: datetime | None = None
    open_until: datetime | None = None
    is_withdrawn: bool = False
    faults: tuple[Fault, ...] = ()
    can_register: bool = True
    correct_href: str = ""
