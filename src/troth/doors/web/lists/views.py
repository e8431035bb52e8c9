"""What the pages of lists show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from troth.doors.web.forms import Fault
from troth.people import Disposal, Due, PeopleList, Preview


@dataclass(frozen=True, slots=True)
class Tab:
    """One of the pages about people, for the way between them."""

    href: str
    label: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class Pick:
    """One entry of a list to pick from."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class ListRow:
    """A list of people in the overview."""

    reference: str
    href: str
    what: str
    source: str
    clause: str
    at: datetime
    rings: str
    state: str
    counted: str


@dataclass(frozen=True, slots=True)
class ListsPage:
    """Lists that were handed over, and handing over another."""

    organisation: str
    tabs: tuple[Tab, ...]
    rows: tuple[ListRow, ...]
    sources: tuple[Pick, ...]
    activities: tuple[Pick, ...]
    columns: str
    typed: Mapping[str, str]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class ListPage:
    """One list: what would come of it, how far it is, what came of it."""

    organisation: str
    tabs: tuple[Tab, ...]
    made: PeopleList
    row: ListRow
    preview: Preview | None
    is_under_contract: bool
    tell_by: date | None

    @property
    def path(self) -> str:
        """Where it is decided."""
        return f"/lists/{self.made.id}"


@dataclass(frozen=True, slots=True)
class RecordRow:
    """What one source told of one contact."""

    name: str
    email: str
    more: str
    source: str
    supplier: str
    clause: str
    activity: str
    at: datetime
    rings: str
    told: str
    is_ended: bool


@dataclass(frozen=True, slots=True)
class ContactsPage:
    """Contacts with where each came from."""

    organisation: str
    tabs: tuple[Tab, ...]
    rows: tuple[RecordRow, ...]
    next_href: str


@dataclass(frozen=True, slots=True)
class DuePage:
    """How long contacts stay, and what is over."""

    organisation: str
    tabs: tuple[Tab, ...]
    rows: tuple[Due, ...]
    disposals: tuple[Disposal, ...]
    due: int
    is_under_way: bool


@dataclass(frozen=True, slots=True)
class AcceptedRow:
    """What one account accepted."""

    name: str
    kind: str
    text: str
    href: str
    at: datetime
    door: str


@dataclass(frozen=True, slots=True)
class AccountsPage:
    """Who accepted what."""

    organisation: str
    tabs: tuple[Tab, ...]
    rows: tuple[AcceptedRow, ...]
