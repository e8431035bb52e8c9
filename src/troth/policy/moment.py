"""What is true at the moment of a decision."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Instructed:
    """An instruction of a controller that is in force (GDPR Art. 28(3)(a)).

    Attributes:
        id: Our id of it; the permit and the ledger name it.
        actions: What it covers.
        purposes: Keys of the activities that it covers.
    """

    id: UUID
    actions: frozenset[str]
    purposes: frozenset[str]

    def covers(self, action: str, purpose: str) -> bool:
        """Whether it is about this action for this purpose."""
        return action in self.actions and purpose in self.purposes


@dataclass(frozen=True, slots=True)
class Distrusted:
    """A bound row that a fact was to be taken from, and that is not what the ledger binds: it was changed past us.

    Attributes:
        register: The table.
        tenant: Whose it is.
        row: Our id of it.
    """

    register: str
    tenant: UUID | None
    row: UUID


@dataclass(frozen=True, slots=True)
class FactSet:
    """Facts of one decision. Defaults refuse: nobody is a member and no session lives until somebody says so.

    Attributes:
        is_member: The actor belongs to the organisation it stands in, in the role it claims, now. For a patient: the
            account is still linked to the subject. For a peer or a bearer token: it is still registered or valid.
            Not asked of actors of kind `system` and `anonymous`.
        session_alive: The session, token or registration that the actor stands on has not ended. Not asked of actors
            of kind `system` and `anonymous`.
        is_restricted: A restriction (GDPR Art. 18) is in force on the target or its subject. The decision also sees
            `Target.is_restricted`; either is enough.
        is_held: A legal hold forbids to erase the target.
        region: ISO 3166 code of the place where this node stores; empty while the deployment has not said.
        instructions: Instructions of the controller that are in force; those that cover the action and purpose are
            named in the permit.
        claims: Further facts that hold, by name, as clauses ask for them: `support_grant`, `emergency_reason`,
            `consent:<key>`. Issue by issue more rooms give them; what nobody claims does not hold.
        distrusted: Rows that were met and not believed. The facts above are the safer answer already: a bar stays,
            what would have given gives nothing.
    """

    is_member: bool = False
    session_alive: bool = False
    is_restricted: bool = False
    is_held: bool = False
    region: str = ""
    claims: frozenset[str] = frozenset()
    instructions: tuple[Instructed, ...] = ()
    distrusted: tuple[Distrusted, ...] = ()
