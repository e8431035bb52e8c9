"""What a permit lets the archive do: which action, in whose space, how far a search reaches."""

from __future__ import annotations

from uuid import UUID

from troth.archive.errors import PermitExpired, StudyNotFound, WrongPermit
from troth.archive.model import Row
from troth.archive.searching import Scope
from troth.kit import clock
from troth.policy import Permit, Target

_SEES_RESTRICTED = frozenset({"own_access", "rights"})


def allowed(permit: Permit, *actions: str) -> UUID:
    """The tenant of a permit that is for one of these actions."""
    if permit.action not in actions:
        raise WrongPermit
    return current(permit)


def current(permit: Permit) -> UUID:
    """The tenant of a permit that is still valid.

    Raises:
        PermitExpired: It is older than five minutes.
        WrongPermit: It is of no organisation.
    """
    if permit.expires_at <= clock.now():
        raise PermitExpired
    if permit.tenant is None:
        raise WrongPermit
    return permit.tenant


def administering(permit: Permit) -> None:
    """Refuse a permit that is not to administer, on the platform or in an organisation.

    Raises:
        WrongPermit: It is for something else.
        PermitExpired: It is older than five minutes.
    """
    if permit.action != "administer":
        raise WrongPermit
    if permit.expires_at <= clock.now():
        raise PermitExpired


def scope(permit: Permit) -> Scope:
    """How far a permit lets a search reach. A patient never reaches beyond their own subject."""
    target, actor = permit.target, permit.actor
    if target.kind == "study":
        if target.id is None:
            raise StudyNotFound
        return Scope(study_id=target.id, with_restricted=True)
    with_restricted = permit.purpose in _SEES_RESTRICTED
    if target.kind == "subject" or actor.kind == "patient":
        subject_id = target.subject_id if target.subject_id is not None else target.id
        if actor.kind == "patient":
            subject_id = actor.subject_id
        if subject_id is None:
            raise WrongPermit
        return Scope(subject_id=subject_id, with_restricted=with_restricted)
    if target.kind != "organisation":
        raise WrongPermit
    return Scope(with_restricted=with_restricted)


def target(row: Row) -> Target:
    """The target of a decision about a study that is held."""
    return Target(
        kind="study",
        id=row["id"],
        tenant=row["tenant"],
        subject_id=row["subject_id"],
        is_restricted=row["is_restricted"],
    )
