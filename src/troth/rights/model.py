"""Requests of data subjects: kinds, states, outcomes. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Right(StrEnum):
    """What a subject may ask for by a request (GDPR Art. 15 and 17); using one's choices is no request."""

    ACCESS = "access"
    ERASE = "erase"


class State(StrEnum):
    """Where a request stands (DPV 2.3 names in the comment of each)."""

    OPENED = "opened"  # dpv:RequestInitiated
    ACKNOWLEDGED = "acknowledged"  # dpv:RequestAcknowledged
    UNDER_WAY = "under_way"  # dpv:RequestRequiresAction
    READY = "ready"  # a copy waits to be collected
    FULFILLED = "fulfilled"  # dpv:RequestFulfilled
    PARTLY_FULFILLED = "partly_fulfilled"  # done where no law keeps it, refused with ground elsewhere
    REFUSED = "refused"  # dpv:RequestRejected


class Outcome(StrEnum):
    """What became of one item of a request. There is no `done` without a read-back."""

    WAITING = "waiting"
    UNDER_WAY = "under_way"
    DONE_VERIFIED = "done_verified"
    REFUSED = "refused"
    FAILED = "failed"


PERSON = "person"
"""Kind of the item of a request that stands for who somebody is to the organisation, and their account."""


@dataclass(frozen=True, slots=True)
class Erased:
    """A person who asked and is erased: what is left to answer them by.

    Attributes:
        audit_key: Seals what the ledger says of them; it outlives them.
    """

    id: UUID
    tenant: UUID
    audit_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a request touches, with its own outcome.

    Attributes:
        kind: `study`, `account` (what we know of the person), `person` (who they are, to be erased), `access_list`,
            `copy` (made for an earlier request).
        target_id: Our id of it.
        title: What a person calls it ("CT · 14 Nov 2026"); personal, unsealed for the reader only.
        ground: Why it was refused, one sentence; empty otherwise.
        clause: The clause of the notice that decides, such as "8.1".
        until: When the ground ends, if it does.
        event_id: The ledger entry that shows the outcome.
    """

    id: UUID
    kind: str
    target_id: UUID | None
    title: str = field(repr=False)
    outcome: Outcome
    ground: str = ""
    clause: str = ""
    until: date | None = None
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the durable workflow as a reader sees it.

    Attributes:
        name: "Received", "Identity proved", "Acknowledged", "Copy made", "Decided", "Answered" and the like.
        at: When it was done; None while it waits.
        detail: Counts and the like, never personal.
    """

    name: str
    at: datetime | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RightsRequest:
    """A request of a data subject.

    Attributes:
        number: Shown as R-<number>, counted per organisation.
        due_at: End of the time limit (GDPR Art. 12(3)).
        scope: The studies that it is about; empty for all, the subject itself for everything that is held of it.
        copy_bytes: Size of the copy that waits, 0 if none.
        copy_expires_at: Until when the copy can be collected.
    """

    id: UUID
    tenant: UUID
    number: int
    right: Right
    state: State
    subject_id: UUID
    opened_at: datetime
    due_at: datetime
    acknowledged_at: datetime | None
    closed_at: datetime | None
    clauses: tuple[str, ...]
    scope: tuple[UUID, ...] = ()
    items: tuple[Item, ...] = ()
    steps: tuple[Step, ...] = ()
    copy_bytes: int = 0
    copy_sha256: str = ""
    copy_expires_at: datetime | None = None
    certificate: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def reference(self) -> str:
        """What people call it, such as R-2031."""
        return f"R-{self.number}"

    @property
    def is_open(self) -> bool:
        """Whether the clock still runs."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True)
class SignedCertificate:
    """The certificate of an erasure, as it was signed.

    Attributes:
        text: Canonical JSON; nothing personal in it.
        signature: Ed25519 over the text.
        public_key: Key of the deployment.
    """

    text: bytes
    signature: bytes
    public_key: bytes


def request_of(row: Mapping[str, Any]) -> RightsRequest:
    """A request as it stands in its row, without its items and steps.

    Args:
        row: As `store` reads it.
    """
    return RightsRequest(
        id=row["id"],
        tenant=row["tenant"],
        number=row["number"],
        right=Right(row["right"]),
        state=State(row["state"]),
        subject_id=row["subject_id"],
        opened_at=row["opened_at"],
        due_at=row["due_at"],
        acknowledged_at=row["acknowledged_at"],
        closed_at=row["closed_at"],
        clauses=tuple(row["clauses"]),
        scope=tuple(row["scope"]),
        copy_bytes=row["copy_bytes"] or 0,
        copy_sha256=bytes(row["copy_sha256"] or b"").hex(),
        copy_expires_at=row["copy_expires_at"],
        certificate=json.loads(bytes(row["certificate"])) if row["certificate"] else None,
    )
