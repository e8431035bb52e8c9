"""What every page carries round its matter: name, navigation, who stands there and for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from troth.doors.web import words
from troth.policy import Actor


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry of the navigation.

    Attributes:
        needs: It is shown where the notices let the role do one of these; empty: always.
        purpose: The page asks for the first of `needs` over one's own organisation, for this: shown to whom that is
            allowed now. Where every grant of it is without a condition, `needs` says enough.
        where: Shown where the notices let somebody do this: where nobody may, the page has nothing to show.
        is_of_lists: Shown where the notices name a source from which lists of people come, for the same reason.
        count: How many things wait there; 0 is not said.
    """

    href: str
    label: str
    needs: tuple[str, ...] = ()
    purpose: str = ""
    where: str = ""
    is_of_lists: bool = False
    count: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """Who looks, for whom, what for, by which clauses, and what is written down about it."""

    name: str
    role: str
    organisation: str
    purpose: str
    clauses: tuple[str, ...]
    recorded: str
    is_patient: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything of a page that is not its matter.

    Attributes:
        title: For the title bar: never a name, never an identifier.
        deployment: The name of this deployment.
        place: Beside the mark: the organisation, or the deployment for those who are not signed in.
        density: `is-read` for patients and the public, `is-work` for those who work here.
        here: The navigation entry this page belongs to.
        path: Where the theme switch leads back to.
        address: The page with its query: a form says where it stands, so that what is typed finds its way back.
        kept: What was typed before the session ended stands in the form again.
        until: When the session ends if nothing is done.
        theme: `light`, `dark`, or empty to follow the device.
        can_choose_theme: The notice names the cookie that would remember the choice; without it there is no choice.
        cookie_clause: The clause about cookies.
        token: Proves that a form was made by us for this session.
        notice_number: The version in force; 0 when none is.
        notice_query: Query that opens the reader's own part of the notice.
        zone: What the times of the page are, such as "London time".
        contact: Whom to write to about one's data, with the ways to do so.
    """

    title: str
    deployment: str
    place: str
    density: str
    nav: tuple[NavItem, ...]
    here: str
    path: str
    address: str = ""
    kept: bool = False
    until: datetime | None = None
    theme: str = ""
    can_choose_theme: bool = False
    cookie_clause: str = ""
    person: str = ""
    token: str = ""
    standing: Standing | None = None
    notice_number: int = 0
    notice_query: str = ""
    zone: str = "UTC"
    contact: str = ""


PUBLIC = (NavItem("/notice", "Notice"), NavItem("/promises", "Promises"))
BY_ROLE: dict[str, tuple[NavItem, ...]] = {
    "patient": (
        NavItem("/scans", "Scans"),
        NavItem("/looked", "Who looked"),
        NavItem("/requests", "Requests"),
        NavItem("/choices", "Choices", ("choose",)),
        NavItem("/notice", "Notice"),
    ),
    "clinician": (
        NavItem("/studies", "Studies", ("query",)),
        NavItem("/emergency", "Emergency", ("override",)),
        NavItem("/conflicts", "Conflicts", ("resolve",), purpose="care"),
        NavItem("/choices", "Choices", ("choose",)),
        NavItem("/notice", "Notice"),
        NavItem("/promises", "Promises"),
    ),
    "referrer": (
        NavItem("/studies", "Studies", ("query",)),
        NavItem("/choices", "Choices", ("choose",)),
        NavItem("/notice", "Notice"),
        NavItem("/promises", "Promises"),
    ),
    "office": (
        NavItem("/office", "Waiting"),
        NavItem("/office/requests", "Requests"),
        NavItem("/office/decisions", "Decisions", ("decide_request", "review", "hold", "rectify")),
        NavItem("/office/patients", "Patients", ("merge",), where="store"),
        NavItem("/office/recipients", "Recipients", ("keep_register", "disclose")),
        NavItem("/office/messages", "Messages", ("send_message",)),
        NavItem("/lists", "Lists", ("bring_people",), is_of_lists=True),
        NavItem("/office/people", "Officers", ("let_in",)),
        NavItem("/office/notice", "Notice versions"),
        NavItem("/choices", "Choices", ("choose",)),
        NavItem("/notice", "Notice"),
        NavItem("/office/promises", "Promises"),
    ),
    "admin": (
        NavItem("/admin", "People"),
        NavItem("/admin/systems", "Systems"),
        NavItem("/admin/care", "Who treats whom", ("assign",), where="store"),
        NavItem("/admin/numbers", "Patient numbers", ("state_issuer",), where="store"),
        NavItem("/admin/damaged", "Damaged images", where="store"),
        NavItem("/lists", "Lists", ("bring_people",), is_of_lists=True),
        NavItem("/choices", "Choices", ("choose",)),
        NavItem("/notice", "Notice"),
        NavItem("/promises", "Promises"),
    ),
}
HOMES = {
    "patient": "/scans",
    "clinician": "/studies",
    "referrer": "/studies",
    "office": "/office",
    "admin": "/admin",
}


def home_of(actor: Actor | None, menu: Sequence[NavItem]) -> str:
    """Where somebody starts: their own page, or where that leads nowhere under the notices, the first that does.

    Args:
        actor: Who is signed in.
        menu: Their navigation.
    """
    home = HOMES.get(actor.role, "/notice") if actor is not None else "/notice"
    found = [each.href for each in menu]
    return home if actor is None or home in found else found[0]


def standing_of(actor: Actor, purpose: str, clauses: tuple[str, ...], recorded: str) -> Standing:
    """The standing line of one page.

    Args:
        actor: Who is signed in.
        purpose: Id of the purpose of this page.
        clauses: The clauses that allowed it, from the permit.
        recorded: What is written down about it, one sentence without a full stop.
    """
    return Standing(
        name=actor.name,
        role=words.role(actor.role),
        organisation=actor.organisation,
        purpose=words.purpose(purpose),
        clauses=clauses,
        recorded=recorded,
        is_patient=actor.kind == "patient",
    )
