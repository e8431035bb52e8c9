"""What the public pages show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from troth.doors.web.forms import Fault
from troth.doors.web.public.abroad import Abroad


@dataclass(frozen=True, slots=True)
class StateMark:
    """A state: `kept`, `idle`, `unseen`, `blind`, `missing`, `broken` or `stated`, with its words."""

    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class AudienceLink:
    """One part of the notice, by whom it is written for."""

    label: str
    href: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class ShortLine:
    """One line of the summary, with the clause that says it in full."""

    label: str
    text: str
    clause: str


@dataclass(frozen=True, slots=True)
class ClauseView:
    """One promise: its sentence, whether it is kept, and how."""

    id: str
    sentence: str
    state: StateMark
    own: str = ""
    how: tuple[tuple[str, str], ...] = ()
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class SectionView:
    """One section of the notice."""

    number: int
    title: str
    state: StateMark
    clauses: tuple[ClauseView, ...]


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One sentence that is not what it was: new, changed or gone."""

    clause: str
    before: str
    after: str
    word: str


@dataclass(frozen=True, slots=True)
class Addition:
    """A notice that adds to another for readers of some countries."""

    heading: str
    lead: str
    version_line: str
    anchor: str
    short: tuple[ShortLine, ...]
    sections: tuple[SectionView, ...]


@dataclass(frozen=True, slots=True)
class NoticePage:
    """The notice, layered: in short, what changed, every clause; then what is added where the reader lives."""

    heading: str = ""
    lead: str = ""
    audiences: tuple[AudienceLink, ...] = ()
    version_line: str = ""
    kept: StateMark = StateMark("idle", "")
    short: tuple[ShortLine, ...] = ()
    changes: tuple[ChangeView, ...] = ()
    changes_since: int = 0
    sections: tuple[SectionView, ...] = ()
    additions: tuple[Addition, ...] = ()
    places: tuple[AudienceLink, ...] = ()
    checkpoint: str = ""
    log_key: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many promises stand like this."""

    kind: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Group:
    """Promises of one state."""

    kind: str
    label: str
    note: str
    clauses: tuple[ClauseView, ...]


@dataclass(frozen=True, slots=True)
class PromisesPage:
    """Every promise and whether it is kept.

    Attributes:
        is_live: A version came into force since the check, and is being looked at.
    """

    total: int
    statements: int
    lead: str
    checked: str
    tallies: tuple[Tally, ...]
    sections: tuple[SectionView, ...]
    groups: tuple[Group, ...]
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class SignInPage:
    """The door.

    Attributes:
        is_over: Who comes was signed in, and is not any more.
        is_kept: What they were writing is kept.
        is_fresh: They are signed in, and have to be so anew for what they do.
        can_passkey: Browsers show passkeys to the name of these pages.
    """

    email: str = ""
    faults: tuple[Fault, ...] = ()
    clauses: tuple[str, ...] = ()
    is_over: bool = False
    is_kept: bool = False
    is_closed: bool = False
    is_fresh: bool = False
    can_passkey: bool = False


@dataclass(frozen=True, slots=True)
class AcceptedLine:
    """One text that comes with an account: what it is, and where it can be read."""

    words: str
    href: str
    clause: str = ""


@dataclass(frozen=True, slots=True)
class AcceptedView:
    """What somebody accepts by going on.

    Attributes:
        shown: Which versions were shown, for the form to say so.
        is_first_only: It is accepted the first time only: whoever has an account accepted before.
    """

    lines: tuple[AcceptedLine, ...]
    shown: str
    is_first_only: bool = False


@dataclass(frozen=True, slots=True)
class SentPage:
    """What happens after a link was asked for.

    Attributes:
        token: Proves that the form was made for the cookie of this browser; empty where it has none.
    """

    token: str
    accepted: AcceptedView | None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class EnterPage:
    """A one-time link, before it is used: mail scanners open links, people press buttons."""

    heading: str
    text: str
    button: str
    action: str
    clauses: tuple[str, ...] = ()
    accepted: AcceptedView | None = None
    faults: tuple[Fault, ...] = ()
    abroad: Abroad | None = None


@dataclass(frozen=True, slots=True)
class WhoLine:
    """One of those who have a mailbox together.

    Attributes:
        key: What the form says to choose them.
        place: Where they stand.
    """

    key: str
    name: str
    place: str


@dataclass(frozen=True, slots=True)
class WhoPage:
    """Which of those who have a mailbox together it is.

    Attributes:
        kept: Fields that go on to the answer, and what is in them.
    """

    action: str
    people: tuple[WhoLine, ...]
    kept: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class InvitationPage:
    """Where an invitation is pasted."""

    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisterPage:
    """Matching: name, birth date, code, address."""

    organisation: str
    action: str
    name: str = ""
    day: str = ""
    month: str = ""
    year: str = ""
    email: str = ""
    faults: tuple[Fault, ...] = ()
    clauses: tuple[str, ...] = ()
    accepted: AcceptedView | None = None
    abroad: Abroad | None = None


@dataclass(frozen=True, slots=True)
class AgainPage:
    """Before something is opened that needs a fresh sign-in.

    Attributes:
        page: What is opened then.
    """

    page: str


@dataclass(frozen=True, slots=True)
class FaultPage:
    """A refusal or a fault: what one can do next."""

    heading: str
    text: str
    hint: str
    back: str
    back_words: str
    at: datetime
    is_recorded: bool = False
