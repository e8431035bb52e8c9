"""Who acts, on what, and the permit that proves it was decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from troth.policy.moment import FactSet

ActorKind = Literal["user", "patient", "peer", "system", "anonymous"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. Made by `people` from a session, a token or an association; by `main` for the system.

    Attributes:
        kind: `user` is staff of an organisation, `patient` a subject with an account, `peer` another DICOM node.
        id: Our id of the user, account, peer or worker; None for anonymous.
        tenant: The organisation in whose space the actor stands; None on the platform itself.
        role: Access role inside the organisation (`clinician`, `referrer`, `office`, `admin`, `patient`, `peer`,
            `support`, `worker`, `operator`, `none`).
        subject_id: The subject a patient is, in this tenant.
        session_id: The session or token that stands behind the actor; revoking it ends the actor within a second.
        name: Display name, personal: never logged.
        organisation: Display name of the organisation.
        via: The service that it came in by (`dimse`, `dicomweb`, `portal`, `changes`), where there are levels of
            service; `link` for the signed link of a message; empty for what every organisation has.
        surface: Where it came in, a word of `notice.vocabulary.SURFACES`; decides nothing, the ledger says it.
        zone: IANA zone whose clocks the account reads; empty for the notice's. Decides nothing.
    """

    kind: ActorKind
    id: UUID | None = None
    tenant: UUID | None = None
    role: str = "none"
    subject_id: UUID | None = None
    session_id: UUID | None = None
    name: str = field(default="", repr=False)
    organisation: str = ""
    via: str = ""
    surface: str = field(default="", compare=False)
    zone: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Target:
    """What is acted on.

    Attributes:
        kind: `platform`, `organisation`, `study`, `subject`, `request`, `invitation`, `notice`, `ledger`.
        id: Our id; None when it is not there (the decision is then a denial that looks like any other).
        tenant: Whose space it lies in.
        subject_id: The subject it is about, if it is about one.
        is_restricted: GDPR Art. 18 restriction is in force on it.
        attributes: Further clear facts for policies, no personal data. `request` is the id of the rights request that a
            worker acts for; a target of kind `request` is its own.
    """

    kind: str
    id: UUID | None = None
    tenant: UUID | None = None
    subject_id: UUID | None = None
    is_restricted: bool = False
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Permit:
    """Proof that the notice allowed one action. Only `Policy.require` makes one; service verbs take it.

    Attributes:
        clauses: Ids of the clauses that allowed it, such as ("4.1", "5.1").
        basis: Lawful basis of the activity (DPV name, such as `A6-1-e`), or empty.
        expires_at: A permit covers a viewing of at most five minutes (DESIGN §1).
        moment: The facts that it was decided on, for lists that follow from it at once.
    """

    actor: Actor
    action: str
    target: Target
    purpose: str
    clauses: tuple[str, ...]
    basis: str
    notice_version: str
    decision_id: UUID
    decided_at: datetime
    expires_at: datetime
    obligations: tuple[str, ...] = ()
    moment: FactSet | None = field(default=None, repr=False, compare=False)

    @property
    def grounds(self) -> tuple[str, ...]:
        """What the ledger names for it: the clauses, and the instructions of the controller as `instruction:<id>`."""
        return (*self.clauses, *(word for word in self.obligations if word.startswith("instruction:")))

    @property
    def tenant(self) -> UUID | None:
        """The tenant in whose space the work is done; sets row-level security."""
        return self.target.tenant if self.target.tenant is not None else self.actor.tenant
