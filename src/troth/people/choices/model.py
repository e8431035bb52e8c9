"""Choices of a person and what becomes of them: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from troth.ledger import Proof
from troth.notice import Clause, NoticeVersion
from troth.policy import Permit
from troth.vault import KeyRef

HolderKind = Literal["subject", "account"]
ChoiceKind = Literal["consent", "channel", "objection", "version", "age"]
State = Literal["given", "refused", "withdrawn", "granted", "waiting", "expired"]

SCHEMA_VERSION = "ISO/IEC TS 27560:2023"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose choice it is: a subject, or somebody with an account, in one organisation.

    Attributes:
        key: Seals the record.
        audit_key: Seals what the ledger is told.
    """

    id: UUID
    tenant: UUID
    kind: HolderKind
    key: KeyRef = field(repr=False)
    audit_key: KeyRef = field(repr=False)

    @property
    def audience(self) -> str:
        """Whom the notice calls them."""
        return "patients" if self.kind == "subject" else "users"


@dataclass(frozen=True, slots=True)
class Said:
    """How somebody made a choice.

    Attributes:
        how: `page`, `form`, `mail`, `sms`, `call`, `paper`, `programme`.
        wording: The words they saw when they chose; the clause's own where it is empty.
        reason: What they said themselves; nobody has to give one.
    """

    how: str = "page"
    wording: str = field(default="", repr=False)
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Agreed:
    """The yes that a form needs before it takes anything in, as somebody of whom nothing is kept yet gave it.

    Attributes:
        permit: To take in what the form says, decided on this yes.
        version: The version of the notice that they saw.
        clause: The consent in it.
    """

    permit: Permit
    version: NoticeVersion
    clause: Clause

    @property
    def wording(self) -> str:
        """The words that were asked."""
        return str(getattr(self.clause, "wording_shown", ""))


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice as it was recorded. The record never changes; a later choice takes its place.

    Attributes:
        number: Of the receipt, counted per organisation.
        key: What it is about: key of the consent, channel (and topic), key of the activity, number of the version.
        state: `given`, `refused`, `withdrawn`; of an objection `granted`, `refused`, `waiting` (for a person),
            `withdrawn`. A consent whose time is over reads `expired`.
        notice: Name of the notice that was seen.
        version: Its number.
        clause: The clause that it is about, or that decided an objection.
        record: The consent record.
    """

    id: UUID
    number: int
    tenant: UUID
    holder_id: UUID
    kind: ChoiceKind
    key: str
    state: State
    notice: str
    version: int
    clause: str
    made_at: datetime
    expires_at: datetime | None
    is_current: bool
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def reference(self) -> str:
        """What people call the receipt, such as C-12."""
        return f"C-{self.number}"

    @property
    def ground(self) -> str:
        """Why an objection was granted or refused, in one sentence."""
        return str(self.record.get("ground", ""))

    @property
    def wording(self) -> str:
        """The words that were seen."""
        return str(self.record.get("wording", ""))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the person gets: the record, signed by the deployment (Ed25519 over the UTF-8 text).

    Attributes:
        log_key: Verifier key of the ledger.
        checkpoint: The ledger as it was signed last; empty where nothing is signed yet.
        proof: That the entry of this choice is in it; None while it waits for its place.
    """

    choice: Choice
    text: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    log_key: str = field(repr=False)
    checkpoint: str = field(repr=False)
    proof: Proof | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Restriction:
    """A use that was stopped (GDPR Art. 18).

    Attributes:
        study_id: The study; None when everything of the subject is restricted.
        clause: The clause that grants it.
    """

    id: UUID
    number: int
    tenant: UUID
    subject_id: UUID
    study_id: UUID | None
    clause: str
    made_at: datetime
    lifted_at: datetime | None
    reason: str = field(default="", repr=False)

    @property
    def reference(self) -> str:
        """What people call the receipt."""
        return f"C-{self.number}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """Something with significant effect that a program proposed; a person decides (GDPR Art. 22).

    Attributes:
        what: Such as `account_closure`.
        ground: Why the program proposed it.
        state: `queued`, `confirmed` or `dismissed`.
    """

    id: UUID
    tenant: UUID
    holder_id: UUID
    what: str
    state: str
    made_at: datetime
    decided_at: datetime | None
    decided_by: UUID | None
    ground: str = field(default="", repr=False)
    reason: str = field(default="", repr=False)


def state_at(state: str, expires_at: datetime | None, now: datetime) -> State:
    """The state that holds at a moment: what was given for a time is over after it."""
    if state == "given" and expires_at is not None and expires_at <= now:
        return "expired"
    return state  # type: ignore[return-value]  # the table has a check on it


def age_on(born: date, day: date) -> int:
    """Years of age on a day."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def to_bytes(record: Mapping[str, Any]) -> bytes:
    """The form that is sealed and signed: one form for one record."""
    return json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def from_bytes(plain: bytes) -> dict[str, Any]:
    """The reverse of `to_bytes`."""
    record: dict[str, Any] = json.loads(plain)
    return record


def context(tenant: UUID, record_id: UUID) -> bytes:
    """What a sealed record is bound to."""
    return b"choice:" + tenant.bytes + record_id.bytes
