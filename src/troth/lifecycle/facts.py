"""Whether something is held, as a fact of a decision."""

from __future__ import annotations

from uuid import UUID

from troth.kit import clock
from troth.kit.db import Connection, Database
from troth.lifecycle import store
from troth.policy import Actor, FactSet, Target


class LifecycleFacts:
    """Implements `policy.Facts` for legal holds.

    Args:
        db: Opened as `troth_app`.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def about(self, actor: Actor, target: Target) -> FactSet:
        """The facts that hold now.

        Args:
            actor: Who acts; a hold binds everybody.
            target: What is acted on.
        """
        scope = target if target.tenant is not None else actor
        if not covered_by(target) or scope.tenant is None:
            return FactSet()
        async with self._db.transaction(scope) as connection:
            return await self.read(connection, actor, target)

    async def read(self, connection: Connection, actor: Actor, target: Target) -> FactSet:
        """The same over a connection at hand: one statement."""
        targets = covered_by(target)
        return FactSet(is_held=await store.is_held(connection, targets, clock.today())) if targets else FactSet()


def covered_by(target: Target) -> list[UUID]:
    """What a hold may be on that covers a target: itself, its subject, its organisation."""
    if target.kind not in ("study", "subject", "account", "contact"):
        return []
    return [each for each in dict.fromkeys((target.id, target.subject_id, target.tenant)) if each is not None]
