"""What the archive speaks of: received instances, outcomes, queries, studies, erasures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from troth.dicom import Header
from troth.kit.errors import TrothError
from troth.vault import KeyRef, SealedObject

Level = Literal["study", "series", "instance"]
OutcomeState = Literal["stored", "already_held", "refused"]

#: Stands for "no date" in ordered columns; DICOM has no year 1.
NO_DATE = date(1, 1, 1)


@dataclass(frozen=True, slots=True)
class Received:
    """One instance that came in whole, was scanned and is sealed; not yet stored.

    Attributes:
        header: What the scanner read.
        head: The sealed dataset up to the bulk value.
        bulk: The sealed rest from the bulk value on; None without bulk.
        frame_table: Places of the frames as `dicom.FrameTable` writes them; empty without pixels.
    """

    header: Header = field(repr=False)
    head: SealedObject
    bulk: SealedObject | None
    frame_table: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one received instance.

    Attributes:
        state: `already_held` is a success: the same bytes were here.
        reason: Status or FailureReason (0008,1197); 0 on success.
        error: Why it was refused.
        is_kept: It was refused, and is kept apart for a person to resolve.
        is_coerced: It is held as its study was corrected, which is not what was sent.
    """

    instance_uid: str
    sop_class: str
    study_uid: str
    series_uid: str
    state: OutcomeState
    reason: int = 0
    error: TrothError | None = None
    is_kept: bool = False
    is_coerced: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """One search key: a DICOM attribute and the value or pattern it must have."""

    tag: int
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Query:
    """A search by the rules of C-FIND (DICOM PS3.4 C.2.2.2).

    Attributes:
        matches: All must hold.
        include: Further attributes to return; our answer always holds all that are indexed.
        limit: Most results of one page, 0 to 1000; with 0 it is only said whether there are any.
        offset: Results to skip, at most 10,000.
        is_fuzzy: Names without wildcards also match when they are mistyped by a letter (PS3.18 8.3.4.2).
        after: Only studies that come after this place, as `Found.place` gives it: any page costs the same.
        is_moment: Ranges of StudyDate and StudyTime together mean all from the first moment to the last (PS3.4
            C.2.2.2.5); else each is matched for itself.
        is_of_one: Whoever asks takes all results for one person's: refused where they are of several.
        is_counted: Count all results, those of other pages too, where the database knows each of them.
    """

    level: Level = "study"
    matches: tuple[Match, ...] = ()
    include: frozenset[int] = frozenset()
    limit: int = 101
    offset: int = 0
    is_fuzzy: bool = False
    after: tuple[date, UUID] | None = None
    is_moment: bool = False
    is_of_one: bool = False
    is_counted: bool = False


@dataclass(frozen=True, slots=True)
class StudySummary:
    """One study with its unsealed attributes. Personal: never logged.

    Attributes:
        subject_id: Whose it is: of a merged subject, the surviving one. For decisions and lists.
        origin_id: The subject whose identifier it came with; its access list holds what happens to the study.
        audit_key: That subject's.
        values: Indexed attributes by tag, as text; several values are joined by a backslash.
    """

    id: UUID
    tenant: UUID
    study_uid: str
    subject_id: UUID
    origin_id: UUID
    study_date: date | None
    modalities: tuple[str, ...]
    series_count: int
    instance_count: int
    length_bytes: int
    is_restricted: bool
    stored_at: datetime
    sop_classes: tuple[str, ...] = ()
    audit_key: KeyRef = field(default=KeyRef(b""), repr=False)
    values: Mapping[int, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """PatientName as stored."""
        return self.values.get(0x00100010, "")

    @property
    def patient_id(self) -> str:
        """PatientID."""
        return self.values.get(0x00100020, "")

    @property
    def birth_date(self) -> str:
        """PatientBirthDate as YYYYMMDD, or empty."""
        return self.values.get(0x00100030, "")

    @property
    def accession(self) -> str:
        """AccessionNumber."""
        return self.values.get(0x00080050, "")

    @property
    def description(self) -> str:
        """StudyDescription."""
        return self.values.get(0x00081030, "")

    @property
    def referrer(self) -> str:
        """ReferringPhysicianName."""
        return self.values.get(0x00080090, "")


@dataclass(frozen=True, slots=True)
class Found:
    """One result of a search: the attributes of its level and of the levels above it.

    Attributes:
        values: By tag, as text; `archive.to_json` makes DICOM JSON of it.
    """

    level: Level
    study: StudySummary
    series_uid: str = ""
    instance_uid: str = ""
    values: Mapping[int, str] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> tuple[date, UUID]:
        """Where its study stands in the order of results, newest first."""
        return self.study.study_date or NO_DATE, self.study.id


@dataclass(frozen=True, slots=True)
class Page:
    """One page of results, newest study first.

    Attributes:
        is_more: Whether further results follow.
        total: All results there are; None where nobody counted them, or values had to be opened to tell.
    """

    found: tuple[Found, ...]
    is_more: bool
    total: int | None = None


@dataclass(frozen=True, slots=True)
class SeriesRecord:
    """One series of an open study, unsealed. Personal: never logged."""

    id: UUID
    series_uid: str
    modality: str
    number: int | None
    instance_count: int
    values: Mapping[int, str] = field(repr=False)

    @property
    def description(self) -> str:
        """SeriesDescription."""
        return self.values.get(0x0008103E, "")


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One instance of an open study: where its bytes are. The keys of its objects stay sealed until they are used.

    Attributes:
        bulk_length: Length of the bulk value in bytes; None when it is encapsulated or there is none.
        frame_table: Places of the frames as `dicom.FrameTable` writes them; empty when they are not known.
        sealed: Object keys, digests and attributes under the study's key.
    """

    id: UUID
    series_uid: str
    instance_uid: str
    sop_class: str
    syntax: str
    number: int | None
    rows: int | None
    columns: int | None
    frames: int
    head_locator: bytes = field(repr=False)
    head_bytes: int
    bulk_locator: bytes | None = field(repr=False)
    bulk_bytes: int
    bulk_tag: int | None
    bulk_vr: str | None
    bulk_length: int | None
    frame_table: bytes = field(repr=False)
    sealed: bytes = field(repr=False)

    @property
    def length_bytes(self) -> int:
        """Length of the dataset, without preamble and file meta."""
        return self.head_bytes + self.bulk_bytes

    @property
    def is_encapsulated(self) -> bool:
        """Whether the bulk value is a sequence of fragments."""
        return self.bulk_locator is not None and self.bulk_length is None


@dataclass(frozen=True, slots=True)
class Erasure:
    """What a certificate says of one erased study. Nothing personal.

    Attributes:
        counts: `series`, `instances`, `bytes`, `tokens`, `tombstones`.
        keys: References (hex) of the destroyed key slots.
        event_id: The entry of the ledger.
    """

    study_id: UUID
    subject_id: UUID
    state: Literal["erased"]
    counts: Mapping[str, int]
    keys: tuple[str, ...]
    started_at: datetime
    erased_at: datetime
    event_id: UUID | None


@dataclass(frozen=True, slots=True)
class Corrected:
    """What became of a correction.

    Attributes:
        id: Of the correction; None where everything was so already and nothing was changed.
        instances: How many instances were written anew.
        total: How many there are.
        event_id: The entry of the ledger.
    """

    id: UUID | None
    study_id: UUID
    instances: int
    total: int
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Correctable:
    """A study and what a correction of it would change. Personal: never logged.

    Attributes:
        instances: How many instances would be written anew.
        total: How many there are.
        before: What those instances say now, by tag, with how many say it.
    """

    study: StudySummary
    instances: int
    total: int
    before: Mapping[int, Mapping[str, int]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class PastCorrection:
    """One correction of a study, for its history. Personal: never logged.

    Attributes:
        by: Who corrected.
        values: What is said since, by tag.
        before: What was said before, by tag.
    """

    made_at: datetime
    instances: int
    reason: str
    by: str = field(repr=False)
    source: str = field(repr=False)
    values: Mapping[int, str] = field(repr=False)
    before: Mapping[int, tuple[str, ...]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verified:
    """What was read back of one instance and held against what was stored.

    Attributes:
        sha256: SHA-256 (hex) of the dataset, head and bulk together.
    """

    instance_uid: str
    length_bytes: int
    sha256: str


Row = Mapping[str, Any]
