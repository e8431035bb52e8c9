"""What the decision asks of this room: is the actor still who it was when it came in."""

from __future__ import annotations

from uuid import UUID

from troth.kit import clock
from troth.kit.db import Connection, Database
from troth.ledger import Sealer
from troth.people import admissions_store, store, trust
from troth.people.independence import independent
from troth.policy import Actor, Distrusted, FactSet, Target

SECONDED = "seconded"
"""The claim that a second person asked for the same before, and neither let the other in."""

BY_LINK = "link"
"""How somebody comes who holds the signed link of a message to them and nothing else."""

OPERATES = "operates_service"
"""The claim that the actor's organisation runs the whole service."""


class PeopleFacts:
    """Implements `policy.Facts` for membership and session.

    Args:
        db: Opened as `troth_app`.
        sealer: Computes the tags that rows must have.
    """

    def __init__(self, db: Database, sealer: Sealer) -> None:
        self._db = db
        self._sealer = sealer

    async def about(self, actor: Actor, target: Target) -> FactSet:
        """The facts that hold now, read each time: what ended a moment ago has ended.

        Args:
            actor: Who acts.
            target: What is acted on; this room has no facts about it.
        """
        if not _is_asked(actor):
            return FactSet(claims=_letting(target))
        async with self._db.transaction(actor) as connection:
            return await self.read(connection, actor, target)

    async def read(self, connection: Connection, actor: Actor, target: Target) -> FactSet:
        """The same over a connection at hand, in the actor's space: one statement at most."""
        if not _is_asked(actor) or actor.tenant is None or actor.id is None:
            return FactSet(claims=_letting(target))
        if actor.kind == "peer" and actor.session_id is None:
            peer = await store.registered_peer(connection, actor.id, actor.tenant)
            if peer is None or not trust.of_peer(self._sealer, peer):
                return FactSet()
            return FactSet(is_member=True, session_alive=True, claims=_service(actor, peer["level"]))
        if actor.session_id is None and actor.via == BY_LINK:
            is_reader = await store.is_reader(connection, actor.id)
            return FactSet(is_member=is_reader, session_alive=is_reader)
        if actor.session_id is None:
            return FactSet()
        row = await store.facts_of_session(connection, actor.session_id, clock.now())
        if row is None or trust.of_session(self._sealer, actor.tenant, row):
            return FactSet()
        doubts: tuple[Distrusted, ...] = ()
        operates, level = bool(row["operates"]), str(row["level"])
        if not trust.of_organisation(self._sealer, actor.tenant, row):
            doubts, operates, level = (Distrusted("organisation", None, actor.tenant),), False, ""
        # A patient's session holds no role of its own; the match with the subject is what must still be there.
        same_role = actor.role == ("patient" if row["kind"] == "patient" else row["role"])
        is_same = (row["kind"], row["account_id"] or row["id"], row["subject_id"]) == (
            actor.kind,
            actor.id,
            actor.subject_id,
        )
        return FactSet(
            is_member=bool(row["belongs"]) and same_role and is_same,
            session_alive=bool(row["is_alive"]),
            claims=frozenset({OPERATES} if operates else ())
            | _service(actor, level)
            | _letting(target)
            | await _seconded(connection, actor.id, target),
            distrusted=doubts,
        )


def _service(actor: Actor, level: str) -> frozenset[str]:
    """Which level of service the actor's organisation has, and by which service it comes."""
    return frozenset({f"level:{level}", f"via:{actor.via}"} if actor.via else {f"level:{level}"})


def _letting(target: Target) -> frozenset[str]:
    """Into which role somebody is to be let, where whoever asks says so."""
    role = dict(target.attributes).get("role", "") if target.kind == "organisation" else ""
    return frozenset({f"letting:{role}"} if role else ())


async def _seconded(connection: Connection, account_id: UUID, target: Target) -> frozenset[str]:
    """Whether another person, of whom the actor is independent, proposed to let this somebody into this role."""
    said = dict(target.attributes)
    if target.kind != "organisation" or not said.get("admission"):
        return frozenset()
    rows = await admissions_store.waiting(connection, clock.now(), UUID(said["admission"]))
    if not rows or rows[0]["role"] != said.get("role"):
        return frozenset()
    ways = await admissions_store.ways(connection)
    return frozenset({SECONDED} if independent(ways, rows[0]["proposed_by"], account_id) else ())


def _is_asked(actor: Actor) -> bool:
    """Whether there is anything to ask about an actor."""
    return actor.kind not in ("system", "anonymous") and actor.tenant is not None and actor.id is not None
