"""Recipients, contracts, instruments, instructions, orders, disclosures: what they are, and when they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal, get_args
from uuid import UUID

RecipientKind = Literal[
    "affiliate",
    "service_provider",
    "reseller",
    "partner",
    "authority",
    "research",
    "successor",
    "customer",
    "provider",
]
ContractKind = Literal["processor", "baa", "controller", "joint", "subprocessor"]
InstrumentKind = Literal["adequacy", "scc", "bcr", "privacy_shield", "derogation"]
OrderKind = Literal["legal_order", "government_request"]
DisclosureKind = Literal[
    "affiliate", "service", "instruction", "contract", "merger", "stated", "consent", "law", "protection", "totals"
]
DisclosureState = Literal["recorded", "left", "failed"]

RECIPIENT_KINDS: Final[tuple[str, ...]] = get_args(RecipientKind)
CONTRACT_KINDS: Final[tuple[str, ...]] = get_args(ContractKind)
INSTRUMENT_KINDS: Final[tuple[str, ...]] = get_args(InstrumentKind)
ORDER_KINDS: Final[tuple[str, ...]] = get_args(OrderKind)
DISCLOSURE_KINDS: Final[tuple[str, ...]] = get_args(DisclosureKind)

AGREEMENT: Final = "agreement"
"""The key of the one contract that is between the controller and us."""

AGREEMENTS: Final = {"processor": "dpa", "baa": "baa"}
"""Kinds of contract that can be that, and how clauses call them."""

PLATFORM: Final = UUID(int=0)
"""The space of the registers that belong to no organisation; every organisation may read them."""

EEA: Final = frozenset(
    {
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI"),
        *("LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK"),
    }
)
"""The European Economic Area: inside it data moves freely (GDPR Art. 1(3))."""

STRUCK_DOWN: Final = {"privacy_shield": date(2020, 7, 16)}
"""Kinds of instrument that no longer carry anything, since when (Court of Justice, C-311/18)."""


@dataclass(frozen=True, slots=True)
class Term:
    """From when until when something holds.

    Attributes:
        until: The last day; None for no end.
        ended_at: When somebody ended it before its time.
    """

    since: date
    until: date | None = None
    ended_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it holds at this moment."""
        if self.ended_at is not None and self.ended_at <= now:
            return False
        return self.since <= now.date() and (self.until is None or now.date() <= self.until)


@dataclass(frozen=True, slots=True)
class Recipient:
    """Another legal body that may receive data (GDPR Art. 4(9)).

    Attributes:
        key: Short name.
        stands_under: Key of the recipient in the notice that it is one of.
        address: Where it is: an accounting of disclosures tells it (45 CFR 164.528(b)(2)(ii)).
        country: ISO 3166 code.
        categories: Keys of the categories of data that it may receive.
        purposes: Keys of the activities that it may receive them for.
        contract_key: Under which name its contract is on file.
        peer_id: Its DICOM node, registered with the organisation.
        email: Where mail for it goes.
    """

    id: UUID
    tenant: UUID
    key: str
    stands_under: str
    name: str
    kind: str
    address: str
    country: str
    categories: tuple[str, ...]
    purposes: tuple[str, ...]
    contract_key: str
    peer_id: UUID | None
    email: str
    made_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract on file (GDPR Art. 28(3), 26; 45 CFR 164.504(e)).

    Attributes:
        party: The other party.
        approved_by: Who approved a sub-processor (GDPR Art. 28(2)); without it, such a contract does not hold.
        document_id: The document itself, sealed.
    """

    id: UUID
    tenant: UUID
    key: str
    kind: str
    party: str
    approved_by: str
    term: Term
    document_id: UUID | None
    end_reason: str = ""

    @property
    def agreement(self) -> str:
        """What it is as the agreement between the controller and us, as clauses ask for it; else empty."""
        return AGREEMENTS.get(self.kind, "") if self.key == AGREEMENT else ""

    def holds(self, now: datetime) -> bool:
        """Whether it holds at this moment."""
        return self.term.holds(now) and (self.kind != "subprocessor" or bool(self.approved_by))


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a transfer to another country rests on (GDPR Art. 45, 46, 49).

    Attributes:
        origin: ISO 3166 code or `EEA`.
        destination: The same.
        recipient_key: The only recipient that it binds; empty for all there.
        term: Its end is the moment at which it was declared invalid.
        reason: Why it was declared invalid.
    """

    id: UUID
    tenant: UUID
    key: str
    kind: str
    origin: str
    destination: str
    recipient_key: str
    term: Term
    document_id: UUID | None
    reason: str = ""

    def leads(self, origin: str, recipient: Recipient) -> bool:
        """Whether it is about the way from a country to a recipient."""
        is_bound = self.recipient_key in ("", recipient.key)
        return is_bound and _is_in(origin, self.origin) and _is_in(recipient.country, self.destination)

    def holds(self, now: datetime) -> bool:
        """Whether it holds at this moment."""
        struck_down_on = STRUCK_DOWN.get(self.kind)
        return self.term.holds(now) and (struck_down_on is None or now.date() < struck_down_on)


@dataclass(frozen=True, slots=True)
class Instruction:
    """What a controller told us to do (GDPR Art. 28(3)(a)).

    Attributes:
        words: Its text.
        actions: The actions that it covers.
        purposes: Keys of the activities that it covers.
    """

    id: UUID
    tenant: UUID
    key: str
    words: str = field(repr=False)
    actions: tuple[str, ...]
    purposes: tuple[str, ...]
    term: Term


@dataclass(frozen=True, slots=True)
class LegalOrder:
    """An order of a court or an authority, or a request of a government, as it came in.

    Attributes:
        scope: What it demands, in its words.
        study_ids: The studies it is about; empty for none.
        answer: What was answered to it.
        document_id: The order itself; without it nothing is disclosed.
        made_by: Who filed it.
        reviewed_by: Who looked at it afterwards; another person, or nobody yet.
    """

    id: UUID
    tenant: UUID
    kind: str
    authority: str
    country: str
    scope: str = field(repr=False)
    study_ids: tuple[UUID, ...]
    document_id: UUID | None
    term: Term
    answer: str = ""
    made_by: UUID | None = None
    reviewed_by: UUID | None = None

    @property
    def is_reviewed(self) -> bool:
        """Whether another person than who filed it has looked at it."""
        return self.reviewed_by is not None and self.reviewed_by != self.made_by

    def holds(self, now: datetime) -> bool:
        """Whether something may be disclosed on it: it is in force and its document is on file."""
        return self.document_id is not None and self.term.holds(now)


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What somebody wants to disclose.

    Attributes:
        kind: On which ground; each has conditions of its own.
        recipient_key: To whom.
        category: Key of the category of data.
        purpose: Key of the activity it is for.
        study_id: Which study.
        account_id: Or whose account.
        totals: Or which table of counts; see `exchange.totals`.
        order_id: For the kind `law`: the order.
        reason: For the kind `protection`: why it cannot wait, in words. For `merger`: what people were told.
        told_on: For the kind `merger`: the day on which the people were told.
    """

    kind: str
    recipient_key: str
    category: str
    purpose: str
    study_id: UUID | None = None
    account_id: UUID | None = None
    order_id: UUID | None = None
    reason: str = field(default="", repr=False)
    told_on: date | None = None
    totals: str = ""


@dataclass(frozen=True, slots=True)
class Accounted:
    """One line of the accounting of disclosures of a subject (45 CFR 164.528(b)(2)).

    Attributes:
        at: When it left.
        recipient: Who received it.
        address: Where they are.
        what: What it was, in words.
        purpose: What for.
        instrument: Key of the instrument it went abroad on; empty where it did not go abroad.
        event_id: The entry of the ledger.
    """

    id: UUID
    at: datetime
    kind: str
    state: str
    recipient: str
    address: str
    country: str
    what: str
    category: str
    purpose: str
    instrument: str
    instances: int
    study_id: UUID | None
    event_id: UUID | None


def is_abroad(origin: str, destination: str) -> bool:
    """Whether data that goes there needs an instrument: it leaves its country, and the EEA where it lay in it.

    Args:
        origin: ISO 3166 code of where it is kept.
        destination: ISO 3166 code of where it goes.
    """
    return origin != destination and not (origin in EEA and destination in EEA)


def _is_in(country: str, place: str) -> bool:
    return country == place or (place == "EEA" and country in EEA)
