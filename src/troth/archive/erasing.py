"""What is kept of an erasure: tombstones, the entry of the ledger, the facts of a certificate. Nothing personal."""

from __future__ import annotations

from collections.abc import Mapping

from troth.archive import intake
from troth.archive.model import Erasure, Row
from troth.ledger import Entry
from troth.policy import Permit
from troth.vault import KeyRef, Keyring

_COUNTS = ("series", "instances", "bytes", "tokens")


def tombstones(
    keyring: Keyring, organisation_key: KeyRef, study_uid: str, values: Mapping[int, str]
) -> tuple[bytes, bytes]:
    """Digests that bar a study from coming back, made while its attributes can still be read.

    Args:
        keyring: The keyring.
        organisation_key: The tenant's key.
        study_uid: StudyInstanceUID.
        values: Attributes of the study.
    """
    return intake.tombstones(keyring, organisation_key, study_uid, intake.patient_key(study_uid, values))


def entry(permit: Permit, work: Row, counts: Mapping[str, int]) -> Entry:
    """What the ledger is told."""
    return Entry(
        kind="archive:study:erased",
        tenant=permit.tenant,
        actor_id=permit.actor.id,
        actor_kind=permit.actor.kind,
        role=permit.actor.role,
        subject_id=work["subject_id"],
        study_id=work["study_id"],
        key=work["audit_key"],
        payload={"actor": permit.actor.name, "organisation": permit.actor.organisation},
        purpose=permit.purpose,
        clauses=permit.grounds,
        decision_id=permit.decision_id,
        counts={name: counts[name] for name in _COUNTS},
    )


def erasure(work: Row) -> Erasure:
    """The facts of an erasure that is done."""
    return Erasure(
        study_id=work["study_id"],
        subject_id=work["subject_id"],
        state="erased",
        counts=dict(work["counts"]),
        keys=(bytes(work["key"]).hex(),),
        started_at=work["started_at"],
        erased_at=work["erased_at"],
        event_id=work["event_id"],
    )
