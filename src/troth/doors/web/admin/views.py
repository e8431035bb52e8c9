"""What the administrator's pages show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from troth.archive import ByRule
from troth.doors.web.forms import Fault
from troth.doors.web.words import Clock


@dataclass(frozen=True, slots=True)
class UserRow:
    """One person who works here.

    Attributes:
        sessions: How often they are signed in now.
        last_at: When they were signed in here last; None for never.
        state: `here` for a member, `ended` for one whose access ended, `closed` where the account is closed too.
    """

    id: str
    name: str
    email: str
    role: str
    sessions: int = 0
    last_at: datetime | None = None
    state: str = "here"


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """Which members are shown.

    Attributes:
        words: Part of a name or an address.
        role: Access role; empty for all.
        state: `here`, `ended`, `closed`, or `all`.
        total: How many members there are who work here.
    """

    words: str = ""
    role: str = ""
    state: str = "here"
    total: int = 0

    @property
    def is_on(self) -> bool:
        """Whether something is asked for."""
        return bool(self.words or self.role or self.state != "here")

    def shows(self, name: str, email: str, role: str, state: str) -> bool:
        """Whether a member is among those that are asked for."""
        said = f"{name}\n{email}".casefold()
        return (
            all(word in said for word in self.words.casefold().split())
            and self.role in ("", role)
            and self.state in ("all", state)
        )


@dataclass(frozen=True, slots=True)
class InvitedRow:
    """An invitation that nobody has used."""

    id: str
    name: str
    email: str
    role: str
    sent_at: datetime
    ends: Clock | None


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """Somebody who waits for a second person.

    Attributes:
        is_member: It is another role for a member, and no invitation.
        can_agree: Whether whoever reads this can be the second person.
        is_own: Whoever reads this proposed it.
        seconds: Names of some who can be, for whoever cannot.
    """

    id: str
    name: str
    role: str
    by: str
    proposed_at: datetime
    lapses_at: datetime
    is_member: bool
    can_agree: bool
    is_own: bool
    seconds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """Who works here, who is invited, what waits for a second person, and the form to invite somebody."""

    organisation: str
    users: tuple[UserRow, ...]
    shown: MemberFilter = MemberFilter()
    states: tuple[tuple[str, str], ...] = ()
    invited: tuple[InvitedRow, ...] = ()
    waiting: tuple[WaitingRow, ...] = ()
    roles: tuple[tuple[str, str, bool], ...] = ()
    name: str = ""
    email: str = ""
    role: str = ""
    faults: tuple[Fault, ...] = ()
    told: str = ""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session of somebody."""

    id: str
    since: datetime
    used_at: datetime
    by: str
    is_this: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True)
class RoleChange:
    """What would follow from another role."""

    role: str
    label: str
    gains: tuple[str, ...]
    loses: tuple[str, ...]
    takes_two: bool


@dataclass(frozen=True, slots=True)
class PersonPage:
    """One person who works here: another role, their sessions, the end of their access."""

    person: UserRow
    roles: tuple[tuple[str, str, bool], ...]
    sessions: tuple[SessionRow, ...]
    change: RoleChange | None = None
    is_own: bool = False
    is_active: bool = True
    faults: tuple[Fault, ...] = ()
    told: str = ""


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One imaging system that may send."""

    id: str
    ae: str
    called_ae: str
    host: str
    port: int
    purpose: str
    certificate: str
    over_tls: bool


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One token that is good now."""

    id: str
    role: str
    purpose: str
    since: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service that some levels have."""

    says: str
    clause: str
    is_included: bool


@dataclass(frozen=True, slots=True)
class NodeLine:
    """One figure of this computer.

    Attributes:
        rings: Rings of its state: `kept`, `open` or `broken`.
        word: Its state.
        way_out: What to do about it; empty where nothing is to be done.
    """

    name: str
    value: str
    rings: str
    word: str
    way_out: str = ""


@dataclass(frozen=True, slots=True)
class OurNode:
    """What is entered at an imaging system, so that it reaches us."""

    ae: str
    host: str
    port: int
    over_tls: bool


@dataclass(frozen=True, slots=True)
class SystemsPage:
    """What may send, which programs have a token, and the level of service.

    Attributes:
        issued: A token that was issued just now; shown this once.
        form: Which of the two forms the faults are of.
        differs: How the log is another one than was signed last; empty where it is that one.
        lacking: What confined programs cannot be kept from on this computer; empty where nothing lacks.
        node: This computer in figures; empty for who does not run the platform.
    """

    organisation: str
    peers: tuple[PeerRow, ...]
    tokens: tuple[TokenRow, ...]
    level: str
    services: tuple[ServiceRow, ...]
    purposes: tuple[tuple[str, str], ...]
    token_purposes: tuple[tuple[str, str], ...]
    roles: tuple[tuple[str, str], ...]
    ours: OurNode
    can_add: bool
    can_issue: bool
    fields: Mapping[str, str]
    form: str = ""
    issued: str = ""
    differs: str = ""
    lacking: str = ""
    faults: tuple[Fault, ...] = ()
    told: str = ""
    node: tuple[NodeLine, ...] = ()


@dataclass(frozen=True, slots=True)
class SystemPage:
    """One imaging system: another address or certificate, and its end."""

    peer: PeerRow
    fields: Mapping[str, str]
    can_change: bool
    can_end: bool
    faults: tuple[Fault, ...] = ()
    told: str = ""


@dataclass(frozen=True, slots=True)
class NumbersPage:
    """The rule about patient numbers without an issuer.

    Attributes:
        issuer: Of the rule in force.
        since: When it was stated; None where none is in force.
        merged: How many merges it made that stand.
        left: What it would do now to what it has not done yet.
        preview: What a rule that was typed would do.
    """

    organisation: str
    issuer: str
    since: datetime | None
    merged: int
    left: ByRule | None
    preview: ByRule | None
    typed: str = ""
    told: str = ""
    faults: tuple[Fault, ...] = ()
