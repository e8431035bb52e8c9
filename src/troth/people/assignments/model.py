"""Assignments: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal
from uuid import UUID

Way = Literal["care", "duty", "emergency"]

CLAIMS: Final[Mapping[str, str]] = MappingProxyType(
    {"care": "assignment", "duty": "duty", "emergency": "emergency_reason"}
)
"""The claim that an assignment of each way gives to a decision; `notice/vocabulary.py` says what each means."""

LONGEST: Final[Mapping[str, timedelta]] = MappingProxyType(
    {"care": timedelta(days=366), "duty": timedelta(days=31), "emergency": timedelta(hours=8)}
)
"""No assignment lasts for ever: somebody says again that it is still needed."""

EMERGENCY_LIFETIME: Final = LONGEST["emergency"]
ASSIGNABLE: Final = ("clinician", "referrer")
SHORTEST_REASON: Final = 10
LONGEST_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class Assignment:
    """That a member of staff takes part in somebody's care, until a moment.

    Attributes:
        account_id: The member of staff.
        way: `care`: in the care of one person. `duty`: on duty for the whole organisation. `emergency`: they opened
            it themselves, with a reason, and somebody checks it.
        subject_id: Whose care; None for duty.
        study_id: Only this study; None for everything of the person.
        made_by: Who assigned them.
        until: When it ends by itself.
        reviewed_at: When an emergency was checked.
        reason: Why; sealed.
        finding: What came of the check; sealed.
    """

    id: UUID
    tenant: UUID
    account_id: UUID
    way: Way
    subject_id: UUID | None
    study_id: UUID | None
    made_by: UUID | None
    made_at: datetime
    until: datetime
    ended_at: datetime | None
    reviewed_at: datetime | None
    reason: str = field(default="", repr=False)
    finding: str = field(default="", repr=False)

    def is_in_force(self, now: datetime) -> bool:
        """Whether it counts at a moment."""
        return self.ended_at is None and now < self.until


def to_bytes(reason: str, finding: str = "", end: str = "") -> bytes:
    """The form that is sealed."""
    return json.dumps({"reason": reason, "finding": finding, "end": end}, ensure_ascii=False).encode()


def from_bytes(plain: bytes) -> dict[str, Any]:
    """The reverse of `to_bytes`."""
    record: dict[str, Any] = json.loads(plain)
    return record


def context(tenant: UUID, assignment_id: UUID) -> bytes:
    """What a sealed reason is bound to."""
    return b"assignment:" + tenant.bytes + assignment_id.bytes
