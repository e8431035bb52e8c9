"""What a batch of instances is made of while it is decided: the instances, their studies, the rows to be written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from troth.archive.errors import CONFLICTS
from troth.archive.model import Outcome, Received, Row
from troth.dicom import Header
from troth.policy import Permit
from troth.vault import KeyRef


@dataclass(slots=True)
class Item:
    """One received instance and what is known of it so far.

    Attributes:
        durable: Ends when its bytes are on the disk; shared, so to be awaited through `asyncio.shield`.
        coerced: As it is kept, where its study was corrected and it says otherwise.
        corrections: Of its study, as many as `coerced` follows.
        mends: The row of the same instance that is held and damaged: these bytes can take the place of its own.
        is_named: A row names its bytes, so that they stay.
    """

    permit: Permit
    received: Received
    durable: asyncio.Future[None]
    patient_token: int = 0
    digests: tuple[bytes, ...] = ()
    outcome: Outcome | None = None
    coerced: Received | None = None
    corrections: int = 0
    mends: Row | None = None
    is_named: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether it cannot be taken."""
        return self.outcome is not None and self.outcome.state == "refused"

    @property
    def is_in_conflict(self) -> bool:
        """Whether it contradicts what is held, which a person can resolve."""
        return self.outcome is not None and isinstance(self.outcome.error, CONFLICTS)

    @property
    def header(self) -> Header:
        """What the scanner read."""
        return self.received.header

    @property
    def kept(self) -> Received:
        """The instance as it is kept."""
        return self.coerced or self.received


@dataclass(frozen=True, slots=True)
class Study:
    """A study as the batch needs it: held already, or about to be made.

    Attributes:
        is_new: It has no row yet; its key is made and durable.
        corrected_token: Of the patient's key as it was corrected; None where it is as it was sent.
        corrections: How often it was corrected.
        standing_sealed: What stands for all that comes; None where it was never corrected.
    """

    id: UUID
    subject_id: UUID
    key: KeyRef = field(repr=False)
    audit_key: KeyRef = field(repr=False)
    patient_token: int
    is_new: bool = True
    corrected_token: int | None = None
    corrections: int = 0
    standing_sealed: bytes | None = field(default=None, repr=False)


class Gain(NamedTuple):
    """What one study gains by a batch.

    Attributes:
        modalities: Joined by commas, which none can hold; as `sop_classes`.
        corrections: How many of the study the batch knows of.
    """

    study_id: UUID
    series: int
    instances: int
    length_bytes: int
    modalities: str
    sop_classes: str
    corrections: int


@dataclass(frozen=True, slots=True)
class Rows:
    """What is to be written of a batch.

    Attributes:
        at: When it is stored.
        digests: Tombstones that bar it.
        made: Rows of new studies and series, and search tokens in the order of `gains`; None where all are held.
        gains: What each study gains.
        series: How many instances each series gains.
        instances: Rows of instances.
    """

    at: datetime
    digests: set[bytes]
    made: dict[str, Any] | None
    gains: list[Gain]
    series: Mapping[UUID, int]
    instances: list[dict[str, Any]]
