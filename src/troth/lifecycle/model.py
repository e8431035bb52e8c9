"""Legal holds: pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, get_args
from uuid import UUID

HoldScope = Literal["study", "subject", "organisation"]
SCOPES: tuple[str, ...] = get_args(HoldScope)


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold (GDPR Art. 17(3)(b) and (e)).

    Attributes:
        scope: What it covers: a study, everything of a subject, everything of an organisation.
        target_id: Our id of it.
        owner_id: Who answers for it.
        review_on: When somebody looks whether it is still needed.
        ends_on: When it ends by itself; None until it is released.
        reason: Why; personal, sealed.
        document: What it rests on, such as the court and its case number; sealed.
    """

    id: UUID
    tenant: UUID
    scope: HoldScope
    target_id: UUID
    owner_id: UUID
    review_on: date
    ends_on: date | None
    made_at: datetime
    released_at: datetime | None
    reason: str = field(repr=False)
    document: str = field(default="", repr=False)

    def is_in_force(self, day: date) -> bool:
        """Whether it holds on a day; the last day counts."""
        return self.released_at is None and (self.ends_on is None or day <= self.ends_on)

    def is_review_due(self, day: date) -> bool:
        """Whether somebody has to look at it."""
        return self.is_in_force(day) and self.review_on <= day


def context(tenant: UUID, hold_id: UUID) -> bytes:
    """What a sealed reason is bound to."""
    return b"hold:" + tenant.bytes + hold_id.bytes


def to_bytes(reason: str, release: str = "", document: str = "") -> bytes:
    """The form that is sealed."""
    return json.dumps({"reason": reason, "release": release, "document": document}, ensure_ascii=False).encode()


def reason_of(plain: bytes) -> tuple[str, str]:
    """The reason for which a hold was placed, and the document that it rests on."""
    held = json.loads(plain)
    return str(held["reason"]), str(held.get("document", ""))
