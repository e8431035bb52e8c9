"""Whether somebody takes part in a person's care, as a fact of a decision: read each time, so that an end is felt."""

from __future__ import annotations

from collections.abc import Callable, Collection

from troth.kit import clock
from troth.kit.db import Connection, Database
from troth.ledger import Sealer
from troth.people.assignments import store
from troth.people.assignments.model import CLAIMS
from troth.policy import Actor, FactSet, Target, belief

_WANTED = frozenset(CLAIMS.values())


class AssignmentFacts:
    """Implements `policy.Facts` for assignments.

    Claims: `assignment`, `duty`, `emergency_reason`, each about the actor and what is acted on.

    Args:
        db: Opened as `troth_app`.
        sealer: Computes the tags that rows must have; an assignment without its own is none.
        asked: The claims that the notices in force ask for. Where they ask for none of these, nothing is read.
    """

    def __init__(self, db: Database, sealer: Sealer, asked: Callable[[], Collection[str]] | None = None) -> None:
        self._db = db
        self._sealer = sealer
        self._asked = asked or (lambda: _WANTED)

    async def about(self, actor: Actor, target: Target) -> FactSet:
        """The facts that hold now.

        Args:
            actor: Who acts; only members of staff are assigned.
            target: What is acted on.
        """
        if not self._is_asked(actor):
            return FactSet()
        async with self._db.transaction(actor) as connection:
            return await self.read(connection, actor, target)

    async def read(self, connection: Connection, actor: Actor, target: Target) -> FactSet:
        """The same over a connection at hand, in the actor's space: one statement."""
        if not self._is_asked(actor) or actor.id is None or target.tenant not in (None, actor.tenant):
            return FactSet()
        study_id = target.id if target.kind == "study" else None
        subject_id = target.subject_id if target.kind in ("study", "subject") else None
        rows = await store.standing(connection, actor.id, subject_id, study_id, clock.now())
        held, doubts = belief.sift(self._sealer, "assignment", rows)
        return FactSet(claims=frozenset(CLAIMS[row["way"]] for row in held), distrusted=tuple(doubts))

    def _is_asked(self, actor: Actor) -> bool:
        is_staff = actor.kind == "user" and actor.tenant is not None and actor.id is not None
        return is_staff and not _WANTED.isdisjoint(self._asked())
