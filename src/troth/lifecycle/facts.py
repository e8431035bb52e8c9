"""Whether something is held, as a fact of a decision."""

from __future__ import annotations

from uuid import UUID

from troth.kit import clock
from troth.kit.db import Connection, Database
from troth.ledger import Sealer
from troth.lifecycle import store
from troth.policy import Actor, FactSet, Target, belief


class LifecycleFacts:
    """Implements `policy.Facts` for legal holds.

    Args:
        db: Opened as `troth_app`.
        sealer: Computes the tags that rows must have; a hold without its own goes on binding, whatever it says.
    """

    def __init__(self, db: Database, sealer: Sealer) -> None:
        self._db = db
        self._sealer = sealer

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
        if not targets:
            return FactSet()
        held, doubts = belief.sift(self._sealer, "legal_hold", await store.ever_on(connection, targets))
        today = clock.today()
        in_force = any(
            row["released_at"] is None and (row["ends_on"] is None or row["ends_on"] >= today) for row in held
        )
        return FactSet(is_held=in_force or bool(doubts), distrusted=tuple(doubts))


def covered_by(target: Target) -> list[UUID]:
    """What a hold may be on that covers a target: itself, its subject, its organisation."""
    if target.kind not in ("study", "subject", "account", "contact"):
        return []
    return [each for each in dict.fromkeys((target.id, target.subject_id, target.tenant)) if each is not None]
