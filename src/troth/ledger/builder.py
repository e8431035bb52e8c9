"""The one place where entries are made: of what a permit allowed, and of acts that have none.

The rooms say what happened, and to whom; who did it, in whose space, what for and on what grounds is taken from the
permit, so that none of it can be forgotten. Rooms above `policy` use both as `policy.entry` and `policy.act`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol
from uuid import UUID

from troth.kit.db import HasTenant
from troth.ledger.clear import NOTHING, Clear
from troth.ledger.model import Entry


class Acting(Protocol):
    """Who acts, as far as an entry says so; `policy.Actor` fits."""

    @property
    def id(self) -> UUID | None:
        """Our id of who acts; None for anonymous."""

    @property
    def kind(self) -> str:
        """`user`, `patient`, `peer`, `system` or `anonymous`."""

    @property
    def tenant(self) -> UUID | None:
        """The organisation in whose space the actor stands."""

    @property
    def role(self) -> str:
        """Access role."""

    @property
    def name(self) -> str:
        """Display name, personal: sealed only."""

    @property
    def organisation(self) -> str:
        """Display name of the organisation."""

    @property
    def session_id(self) -> UUID | None:
        """The sign-in or token that stands behind the actor."""

    @property
    def surface(self) -> str:
        """Where it came in."""


class Allowed(Protocol):
    """What was allowed to whom; `policy.Permit` fits, and only `policy` makes one."""

    @property
    def actor(self) -> Acting:
        """Who acts."""

    @property
    def action(self) -> str:
        """What was allowed."""

    @property
    def tenant(self) -> UUID | None:
        """In whose space the work is done."""

    @property
    def purpose(self) -> str:
        """What for."""

    @property
    def grounds(self) -> tuple[str, ...]:
        """The clauses that allowed it, and the instructions of the controller."""

    @property
    def decision_id(self) -> UUID:
        """Id of the decision."""

    @property
    def notice_version(self) -> str:
        """Names and versions of the notices that decided."""


def entry(
    permit: Allowed,
    kind: str,
    *,
    key: bytes | None = None,
    payload: Mapping[str, Any] | None = None,
    subject_id: UUID | None = None,
    study_id: UUID | None = None,
    outcome: str = "done",
    counts: Mapping[str, int] | None = None,
    grounds: tuple[str, ...] = (),
    space: HasTenant | None = None,
    clear: Clear = NOTHING,
) -> Entry:
    """The entry of an act that a permit allowed.

    Args:
        permit: What allowed it: gives actor, role, session, surface, action, purpose, grounds, decision, the version
            of the notice and the space.
        kind: One of `kinds.KINDS`.
        key: Seals the payload: the subject's audit key, else the organisation's. Without one nothing personal is said.
        payload: The personal part besides the names of the actor and its organisation, which are in it by themselves.
        subject_id: Whose life it touches.
        study_id: The study it is about.
        outcome: `done`, `refused` or `failed`.
        counts: Numbers, in the clear; nothing personal.
        grounds: What it rests on besides the permit, such as `contract:<id>`.
        space: Where the permit's own is not the one: of the organisation that the platform works on, or the platform.
        clear: What is meant, words, clocks, further people and bound rows; `needs.NEEDS` says what a kind has to say.

    Raises:
        UnknownKind: The kind is not in the vocabulary.
        EntryRefused: The clear part holds free text or lacks what its kind has to say, or a payload has no key.
    """
    actor = permit.actor
    return Entry(
        kind=kind,
        tenant=(space or permit).tenant,
        actor_id=actor.id,
        actor_kind=actor.kind,
        role=actor.role,
        subject_id=subject_id,
        study_id=study_id,
        key=key,
        payload=_said(actor, key, payload),
        purpose=permit.purpose,
        clauses=(*permit.grounds, *grounds),
        decision_id=permit.decision_id,
        outcome=outcome,
        counts=counts or {},
        notice=_named(permit.notice_version),
        action=permit.action,
        via=actor.surface,
        session=actor.session_id,
        clear=clear,
    )


def act(
    actor: Acting,
    kind: str,
    purpose: str,
    *,
    key: bytes | None = None,
    payload: Mapping[str, Any] | None = None,
    subject_id: UUID | None = None,
    study_id: UUID | None = None,
    outcome: str = "done",
    counts: Mapping[str, int] | None = None,
    grounds: tuple[str, ...] = (),
    space: HasTenant | None = None,
    clear: Clear = NOTHING,
    action: str = "",
) -> Entry:
    """The entry of an act that no permit stands behind: signing in and out, an attempt, a refusal, a task of our own.

    Args:
        actor: Who acted: gives id, kind, role and the space.
        kind: One of `kinds.KINDS`.
        purpose: Purpose, as the notice names it.
        key: As for `entry`.
        payload: As for `entry`.
        subject_id: As for `entry`.
        study_id: As for `entry`.
        outcome: As for `entry`.
        counts: As for `entry`.
        grounds: Ids of the clauses that it rests on, or that forbade it.
        space: Where the actor's own is not the one.
        clear: As for `entry`.
        action: What was tried, where it is a word of the notice's vocabulary.

    Raises:
        UnknownKind: The kind is not in the vocabulary.
        EntryRefused: The clear part holds free text or lacks what its kind has to say, or a payload has no key.
    """
    return Entry(
        kind=kind,
        tenant=(space or actor).tenant,
        actor_id=actor.id,
        actor_kind=actor.kind,
        role=actor.role,
        subject_id=subject_id,
        study_id=study_id,
        key=key,
        payload=_said(actor, key, payload),
        purpose=purpose,
        clauses=grounds,
        outcome=outcome,
        counts=counts or {},
        action=action,
        via=actor.surface,
        session=actor.session_id,
        clear=clear,
    )


def _said(actor: Acting, key: bytes | None, payload: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if key is None:
        return payload or {}  # what has no key to seal it is refused, not left out
    names = {"actor": actor.name, "organisation": actor.organisation}
    return {**{word: name for word, name in names.items() if name}, **(payload or {})}


@lru_cache(maxsize=64)
def _named(label: str) -> str:
    """Notices as an entry names them: `imaging-cloud 3, vendor-eea 1` is `imaging-cloud@3+vendor-eea@1`."""
    return label.replace(", ", "+").replace(" ", "@")
