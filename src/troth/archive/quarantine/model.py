"""What quarantine speaks of: what is kept apart, how much of it, and what it stands against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from troth.policy import Target

Reason = Literal["duplicate-differs", "other-patient", "other-study"]
Verdict = Literal["kept", "kept_before", "full", "erased"]

#: Under this tag the seal of an instance that is kept apart holds who sent it: Source Application Entity Title
#: (0002,0016), DICOM PS3.10 7.1.
SENDER: Final = 0x00020016


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept apart for one organisation, and how long. What is beyond is refused and not kept.

    Attributes:
        instances: Most instances.
        length_bytes: Most plain bytes.
        lasts: After this an instance that nobody resolved is destroyed.
    """

    instances: int = 10_000
    length_bytes: int = 20 << 30
    lasts: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Group:
    """What is kept apart of one study and for one reason. Nothing personal but the name of whoever sent it.

    Attributes:
        newest_id: The instance that came last; stands for the group in addresses.
        ends_at: When the first of them is destroyed, if nobody resolves it and no legal hold keeps it.
        is_held: A legal hold keeps it.
    """

    newest_id: UUID
    reason: Reason
    study_uid: str
    modalities: tuple[str, ...]
    instances: int
    length_bytes: int
    first_at: datetime
    last_at: datetime
    ends_at: datetime
    sender: str
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared. Personal: never logged.

    Attributes:
        values: Indexed attributes by tag.
        length_bytes: Length of its data set.
    """

    instance_uid: str
    series_uid: str
    study_uid: str
    sop_class: str
    syntax: str
    length_bytes: int
    values: Mapping[int, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """An instance that is kept apart beside what it contradicts.

    Attributes:
        group: All that is kept apart of the same study for the same reason.
        place: Its own place among them, from 1, newest first.
        before_id: The one before it.
        after_id: The one after it.
        kept: What came.
        held: What is held: the same instance, or the first of the study or series whose number it bears; None where
            the reader may not see it, or where it cannot be read.
        differing: Keywords of top-level attributes that differ; empty without `held`.
        are_pixels_same: Whether bulk values are the same; None without `held`.
        can_replace: The one that is held can be replaced by it.
    """

    id: UUID
    group: Group
    place: int
    before_id: UUID | None
    after_id: UUID | None
    received_at: datetime
    kept: Side
    held: Side | None
    differing: tuple[str, ...]
    are_pixels_same: bool | None
    can_replace: bool


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of a resolution.

    Attributes:
        done: Instances that are resolved.
        left: Instances that could not be, and are still kept apart.
        why: What stood in the way of the last of those that are left.
        more: Instances of the group that one call does not reach; call again.
    """

    done: int = 0
    left: int = 0
    why: str = ""
    more: int = 0


@dataclass(frozen=True, slots=True)
class Against:
    """What an instance that is kept apart contradicts.

    Attributes:
        target: The study, for a decision; without id where it is gone.
        study_uid: Its UID; empty where it is gone.
    """

    target: Target
    study_uid: str
