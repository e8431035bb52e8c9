"""One invitation, while it is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from troth.kit.db import Row
from troth.people.errors import InvitationOver, TooManyTries
from troth.people.model import Organisation, StandingKind, Subject
from troth.vault import KeyRef


@dataclass(frozen=True, slots=True)
class Held:
    """An invitation that is held by the running transaction, with what it is about."""

    row: Row = field(repr=False)
    organisation: Organisation
    subject: Subject | None
    fault: type[InvitationOver | TooManyTries] | None

    @property
    def id(self) -> UUID:
        """Our id of it."""
        return UUID(str(self.row["id"]))

    @property
    def kind(self) -> StandingKind:
        """Whether it lets in a member or a subject."""
        return "patient" if self.row["kind"] == "patient" else "user"

    @property
    def seal_key(self) -> KeyRef:
        """What seals who is invited."""
        return self.subject.key if self.subject else self.organisation.key

    @property
    def audit_key(self) -> KeyRef:
        """What seals what the ledger is told."""
        return self.subject.audit_key if self.subject else self.organisation.key
