"""`HELD.JSON`: everything that is held about a person, written piece by piece, each with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from troth.people import Subject
from troth.rights.accounts import accepted_json
from troth.rights.decide import STUDY, title_of
from troth.rights.held import CopiedStudy, Held, as_octets, attributes
from troth.rights.known import as_json
from troth.rights.known_factors import factor_json
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
from troth.rights.model import RightsRequest


def pieces(held: Held) -> Iterator[bytes]:
    """`HELD.JSON`, piece by piece."""
    front = {
        "format": "troth held 1",
        "made_at": held.made_at.isoformat(),
        "held_by": {"organisation": held.organisation, "id": str(held.request.tenant)},
        "for_request": held.request.reference,
        "notice": {
            "name": held.version.name,
            "number": held.version.number,
            "effective_on": held.version.effective_on.isoformat(),
            "sha256": held.version.sha256.hex(),
        },
        "how_we_know": as_json(known_of_subject(held)),
        "you": {**_subject(held.subject), "source": source_of_subject(held).as_json()},
        "your_accounts": [
            {
                "email": each.email,
                "linked_at": each.matched_at.isoformat(),
                "second_factors": [factor_json(factor) for factor in held.factors.get(each.id, ())],
                "source": source_of_account(held).as_json(),
            }
            for each in held.accounts
        ],
        "your_requests": [
            {**_request(each), "source": source_of_request(held, each).as_json()} for each in held.requests
        ],
        "your_choices": [
            {**dict(each.record), "source": source_of_choice(held, each).as_json()} for each in held.choices
        ],
        "accepted": [
            {**accepted_json(each), "source": source_of_accepted(held, each).as_json()} for each in held.accepted
        ],
        "access_list": {
            "file": "ACCESS.JSON",
            "entries": len(held.access.events),
            "source": source_of_access(held).as_json(),
        },
        "gdpr_article_15": held.told(),
    }
    yield as_octets(front)[:-1].rstrip() + b',\n"studies": ['
    for number, copied in enumerate(held.studies):
        yield (b"," if number else b"") + b"\n" + as_octets(_study(held, copied))[:-1].rstrip() + b',\n"series": ['
        for place, piece in enumerate(copied.series):
            yield (b",\n" if place else b"\n") + piece
        yield b"]}"
    yield b"]}\n"


def _study(held: Held, copied: CopiedStudy) -> dict[str, Any]:
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
        "kept_until": held.kept_until(study).isoformat(),
        "kept_under": held.version.notice.retention(STUDY).clause_id,
        "came_from": held.came_from(study),
        "source": source_of_study(held, study).as_json(),
    }


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
