"""What the ledger is told of looking, searching and refusing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol
from uuid import UUID

from troth import policy
from troth.archive.attributes import keyword_of
from troth.archive.coercing import Change
from troth.archive.model import Page, Query, StudySummary
from troth.kit.errors import TrothError
from troth.ledger import Entry
from troth.policy import Permit
from troth.vault import KeyRef

MOST_UIDS_TOLD: Final = 50


def entry(
    permit: Permit, study: StudySummary, kind: str, counts: dict[str, int] | None = None, *, recipient: str = ""
) -> Entry:
    """The entry of an act on one study, under the audit key of its subject.

    Args:
        permit: What allowed it.
        study: The study.
        kind: Kind of the entry.
        counts: Numbers; None for those of the study.
        recipient: Who is sent to, where it is not the actor.
    """
    payload = {
        "study_uid": study.study_uid,
        "study_description": study.description,
        "study_date": study.study_date.isoformat() if study.study_date else "",
        "modalities": list(study.modalities),
    }
    if recipient:
        payload["recipient"] = recipient
    return policy.entry(
        permit,
        kind,
        key=study.audit_key,
        payload=payload,
        subject_id=study.origin_id,
        study_id=study.id,
        counts=counts if counts is not None else {"series": study.series_count, "instances": study.instance_count},
    )


def restricted(permit: Permit, study: StudySummary, reason: str, *, is_restricted: bool) -> Entry:
    """The entry of a use that was stopped, or allowed again."""
    told = entry(permit, study, "archive:study:restricted", {"is_restricted": int(is_restricted)})
    return replace(told, payload={**told.payload, "reason": reason})


def corrected(permit: Permit, study: StudySummary, change: Change, instances: int) -> Entry:
    """The entry of a correction. It names the attributes only: the ledger outlives the study and what it said."""
    told = entry(permit, study, "archive:study:corrected", {"instances": instances, "attributes": len(change.values)})
    attributes = [keyword_of(tag) for tag in sorted(change.values)]
    payload = {**told.payload, "attributes": attributes, "reason": change.reason, "source": change.source}
    return replace(told, payload=payload)


def queried(permit: Permit, query: Query, page: Page, organisation_key: KeyRef) -> list[Entry]:
    """The entries of a search: under the audit key where one subject is meant, else under the organisation's.

    Where merged subjects are found, each has an entry with its own studies, so that each list stays whole by itself.
    """
    if permit.target.kind == "organisation" or not page.found:
        return [_queried(permit, query, [found.study for found in page.found], None, organisation_key, len(page.found))]
    results = Counter(found.study.origin_id for found in page.found)
    return [
        _queried(
            permit, query, [found.study for found in page.found if found.study.origin_id == origin_id],
            origin_id, organisation_key, count,
        )
        for origin_id, count in results.items()
    ]  # fmt: skip


def _queried(
    permit: Permit,
    query: Query,
    studies: Sequence[StudySummary],
    origin_id: UUID | None,
    organisation_key: KeyRef,
    results: int,
) -> Entry:
    study = studies[0] if origin_id is not None else None
    payload: dict[str, Any] = {
        "level": query.level,
        "keys": {keyword_of(match.tag): match.value for match in query.matches if match.value},
        "studies": sorted({str(each.id) for each in studies}),
    }
    return policy.entry(
        permit,
        "archive:studies:queried",
        key=study.audit_key if study else organisation_key,
        payload=payload,
        subject_id=origin_id,
        study_id=study.id if study and permit.target.kind == "study" else None,
        counts={"results": results, "studies": len(payload["studies"])},
    )


def followed(permit: Permit, organisation_key: KeyRef) -> Entry:
    """The entry of a program that is about to be told of changes, for the next minutes."""
    return policy.entry(permit, "archive:changes:followed", key=organisation_key)


class Owned(Protocol):
    """A study, as far as the entry of an act on it needs it."""

    @property
    def id(self) -> UUID:
        """Our id."""

    @property
    def subject_id(self) -> UUID:
        """Whose it is."""

    @property
    def audit_key(self) -> KeyRef:
        """Seals what is told of its subject."""


def of_instances(
    permit: Permit,
    kind: str,
    owner: Owned | KeyRef,
    study_uid: str,
    instance_uids: Sequence[str],
    *,
    reason: str = "",
    length_bytes: int | None = None,
) -> Entry:
    """The entry of an act on some instances.

    Args:
        permit: What allowed it.
        kind: Kind of the entry.
        owner: The study they are in; for what is in none, the organisation's key.
        study_uid: The study they are of, or say they are of.
        instance_uids: Their UIDs; the first of many are told.
        reason: Why, if that matters.
        length_bytes: Their bytes, if that matters.
    """
    study, key = (None, owner) if isinstance(owner, bytes) else (owner, owner.audit_key)
    payload: dict[str, Any] = {
        "study_uid": study_uid,
        "instance_uids": list(instance_uids[:MOST_UIDS_TOLD]),
    }
    if reason:
        payload["reason"] = reason
    counts = {"instances": len(instance_uids)} | ({"bytes": length_bytes} if length_bytes is not None else {})
    return policy.entry(
        permit,
        kind,
        key=key,
        payload=payload,
        subject_id=study.subject_id if study else None,
        study_id=study.id if study else None,
        counts=counts,
    )


def refused(permit: Permit, kind: str, fault: TrothError, counts: Mapping[str, int], organisation_key: KeyRef) -> Entry:
    """The entry of something that somebody known sent and that could not be taken. Whose it was cannot be believed.

    Args:
        permit: Of whoever sent it.
        kind: Kind of the entry.
        fault: Why; only its slug is kept.
        counts: How much of it.
        organisation_key: Seals the entry.
    """
    payload = {"reason": fault.slug}
    return policy.entry(permit, kind, key=organisation_key, payload=payload, outcome="refused", counts=counts)
