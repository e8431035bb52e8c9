"""Everything that is held about a person, gathered for a copy, and how it is written as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from troth import dicom
from troth.archive import InstanceRecord, SeriesRecord, StudySummary, keyword_of
from troth.notice import NoticeVersion
from troth.people import Acceptance, Choice, LinkedAccount, Proposal, Subject
from troth.rights import article15, looked
from troth.rights.accounts import accepted_json
from troth.rights.decide import STUDY, kept_until, title_of
from troth.rights.known import Known, as_json
from troth.rights.known_subject import (
    known_of_subject,
    source_of_accepted,
    source_of_access,
    source_of_account,
    source_of_choice,
    source_of_request,
    source_of_study,
    source_of_subject,
)
from troth.rights.looked import AccessList
from troth.rights.model import RightsRequest


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

    def known(self) -> list[Known]:
        """Everything that is held, item by item, with its source and whether it was given, observed or concluded."""
        return known_of_subject(self)

    def pieces(self) -> Iterator[bytes]:
        """`HELD.JSON`, piece by piece."""
        front = {
            "format": "troth held 1",
            "made_at": self.made_at.isoformat(),
            "held_by": {"organisation": self.organisation, "id": str(self.request.tenant)},
            "for_request": self.request.reference,
            "notice": {
                "name": self.version.name,
                "number": self.version.number,
                "effective_on": self.version.effective_on.isoformat(),
                "sha256": self.version.sha256.hex(),
            },
            "how_we_know": as_json(self.known()),
            "you": {**_subject(self.subject), "source": source_of_subject(self).as_json()},
            "your_accounts": [
                {
                    "email": each.email,
                    "linked_at": each.matched_at.isoformat(),
                    "source": source_of_account(self).as_json(),
                }
                for each in self.accounts
            ],
            "your_requests": [
                {**_request(each), "source": source_of_request(self, each).as_json()} for each in self.requests
            ],
            "your_choices": [
                {**dict(each.record), "source": source_of_choice(self, each).as_json()} for each in self.choices
            ],
            "accepted": [
                {**accepted_json(each), "source": source_of_accepted(self, each).as_json()} for each in self.accepted
            ],
            "access_list": {
                "file": "ACCESS.JSON",
                "entries": len(self.access.events),
                "source": source_of_access(self).as_json(),
            },
            "gdpr_article_15": self.told(),
        }
        yield _json(front)[:-1].rstrip() + b',\n"studies": ['
        for number, copied in enumerate(self.studies):
            yield (b"," if number else b"") + b"\n" + _json(self._study(copied))[:-1].rstrip() + b',\n"series": ['
            for place, piece in enumerate(copied.series):
                yield (b",\n" if place else b"\n") + piece
            yield b"]}"
        yield b"]}\n"

    def _study(self, copied: CopiedStudy) -> dict[str, Any]:
        study = copied.study
        return {
            "id": str(study.id),
            "study_uid": study.study_uid,
            "title": title_of(study),
            "folder": copied.folder,
            "attributes": attributes(study.values),
            "modalities": list(study.modalities),
            "instances": study.instance_count,
            "bytes": study.length_bytes,
            "stored_at": study.stored_at.isoformat(),
            "is_restricted": study.is_restricted,
            "kept_until": self.kept_until(study).isoformat(),
            "kept_under": self.version.notice.retention(STUDY).clause_id,
            "came_from": self.came_from(study),
            "source": source_of_study(self, study).as_json(),
        }


def series_piece(series: SeriesRecord, instances: list[dict[str, Any]]) -> bytes:
    """One series with its instances as JSON."""
    return _json(
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
    return _json(looked.listed(access)) + b"\n"


def _subject(subject: Subject) -> dict[str, Any]:
    who = subject.demographics
    return {
        "id": str(subject.id),
        "name": subject.name,
        "name_as_in_dicom": who.name,
        "patient_id": subject.patient.patient_id,
        "issuer_of_patient_id": subject.patient.issuer,
        "birth_date": who.birth_date.isoformat() if who.birth_date else None,
        "sex": who.sex,
    }


def _request(request: RightsRequest) -> dict[str, Any]:
    return {
        "reference": request.reference,
        "right": request.right.value,
        "state": request.state.value,
        "opened_at": request.opened_at.isoformat(),
        "acknowledged_at": _moment(request.acknowledged_at),
        "due_at": request.due_at.isoformat(),
        "closed_at": _moment(request.closed_at),
        "clauses": list(request.clauses),
        "items": [
            {
                "what": item.title,
                "outcome": item.outcome.value,
                "ground": item.ground,
                "clause": item.clause,
                "until": item.until.isoformat() if item.until else None,
            }
            for item in request.items
        ],
        "steps": [{"step": step.name, "at": _moment(step.at), "detail": step.detail} for step in request.steps],
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _json(content: Any) -> bytes:
    def told(value: Any) -> str:
        if isinstance(value, UUID):
            return str(value)
        raise TypeError(type(value).__name__)

    return json.dumps(content, indent=1, ensure_ascii=False, default=told).encode("utf-8", "replace")
