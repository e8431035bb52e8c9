"""Everything that is held about a person, gathered for a copy, and how it is written as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from troth import dicom
from troth.archive import InstanceRecord, SeriesRecord, StudySummary, keyword_of
from troth.notice import NoticeVersion
from troth.people import Acceptance, Choice, Factor, LinkedAccount, Proposal, Subject
from troth.rights import article15, looked
from troth.rights.decide import kept_until
from troth.rights.looked import AccessList
from troth.rights.model import RightsRequest
from troth.rights.reader import ReaderClock, clock_for


@dataclass(slots=True)
class CopiedStudy:
    """A study that has gone into a copy.

    Attributes:
        folder: Where its files are in the copy.
        series: Its series and instances as JSON, made while the files were written.
    """

    study: StudySummary
    folder: str
    series: list[bytes] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class Held:
    """Everything that is held about one subject at one moment. Personal: never logged."""

    organisation: str
    request: RightsRequest
    made_at: datetime
    version: NoticeVersion
    subject: Subject = field(repr=False)
    accounts: tuple[LinkedAccount, ...] = field(repr=False)
    studies: tuple[CopiedStudy, ...] = field(repr=False)
    requests: tuple[RightsRequest, ...] = field(repr=False)
    access: AccessList = field(repr=False)
    choices: tuple[Choice, ...] = field(default=(), repr=False)
    accepted: tuple[Acceptance, ...] = field(default=(), repr=False)
    proposals: tuple[Proposal, ...] = field(default=(), repr=False)
    factors: Mapping[UUID, tuple[Factor, ...]] = field(default_factory=dict, repr=False)

    @property
    def reader(self) -> ReaderClock:
        """Whose clock the copy is written by."""
        return clock_for([each.zone for each in self.accounts], self.version.notice.zone)

    def told(self) -> dict[str, Any]:
        """What Art. 15 wants to be told, out of the notice, with who really received something."""
        fields = article15.told(self.version.notice)
        fields["15_1_c_who_received_it"] = looked.recipients(self.access.events)
        return fields

    def kept_until(self, study: StudySummary) -> date:
        """The day from which nothing keeps a study any more."""
        return kept_until(study, self.subject.demographics.birth_date, self.version.notice)

    def came_from(self, study: StudySummary) -> list[dict[str, Any]]:
        """Who brought a study in, and when."""
        return looked.sources(self.access.events, study.id)


def series_piece(series: SeriesRecord, instances: list[dict[str, Any]]) -> bytes:
    """One series with its instances as JSON."""
    return as_octets(
        {
            "series_uid": series.series_uid,
            "modality": series.modality,
            "number": series.number,
            "attributes": attributes(series.values),
            "instances": instances,
        }
    )


def instance_entry(instance: InstanceRecord, values: Mapping[int, str], name: str, sha256: str) -> dict[str, Any]:
    """One instance as JSON can hold it.

    Args:
        instance: The instance.
        values: Its indexed attributes.
        name: Its file in the copy.
        sha256: Of that file, hexadecimal.
    """
    return {
        "instance_uid": instance.instance_uid,
        "sop_class": instance.sop_class,
        "transfer_syntax": instance.syntax,
        "file": name,
        "sha256": sha256,
        "attributes": attributes(values),
    }


def listed_as(
    file_id: tuple[str, ...], instance: InstanceRecord, values: Mapping[int, str], head: bytes | None
) -> dicom.Listed:
    """An instance for the DICOMDIR: by what the index knows, or by its head where the directory wants more.

    Args:
        file_id: Path of the file, component by component.
        instance: The instance.
        values: Attributes of the instance, its series and its study.
        head: The data set up to the bulk, for what is no image.
    """
    if head is None:
        return dicom.Listed(file_id, instance.sop_class, instance.instance_uid, instance.syntax, values)
    return dicom.Listed.of_header(file_id, dicom.reopen(head, instance.syntax))


def attributes(values: Mapping[int, str]) -> dict[str, str]:
    """Attributes by keyword, as text."""
    return {keyword_of(tag): text for tag, text in sorted(values.items()) if text}


def access_json(access: AccessList) -> bytes:
    """`ACCESS.JSON`."""
    return as_octets(looked.listed(access)) + b"\n"


def as_octets(content: Any) -> bytes:
    """Content as indented JSON in UTF-8."""

    def told(value: Any) -> str:
        if isinstance(value, UUID):
            return str(value)
        raise TypeError(type(value).__name__)

    return json.dumps(content, indent=1, ensure_ascii=False, default=told).encode("utf-8", "replace")
