"""The facts of a decision, from all rooms that have some: joined, over one connection, one statement a room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable
from uuid import UUID

from troth.kit.db import Connection, Database
from troth.policy import Actor, Facts, FactSet, Target

Tell = Callable[[str, UUID | None, UUID | None], Awaitable[None]]
"""Says that a row was met that is not believed: register, whose it is, our id of it."""


@runtime_checkable
class Reader(Protocol):
    """Facts that can be read over a connection at hand."""

    async def read(self, connection: Connection, actor: Actor, target: Target) -> FactSet:
        """The facts that hold now.

        Args:
            connection: In the space that the decision is about.
            actor: Who acts.
            target: What is acted on.
        """
        ...


class CombinedFacts:
    """Implements `policy.Facts` over all rooms.

    What any room says holds: membership, a restriction, a hold, a claim. The rooms do not know each other.

    Args:
        db: Opened as `troth_app`.
        rooms: The facts of each room; those that are `Reader`s share one transaction.
        region: ISO 3166 code of where this node stores.
        tell: Is told of rows that were not believed, when the connection is given back.
    """

    def __init__(self, db: Database, rooms: Sequence[Facts], region: str, tell: Tell) -> None:
        self._db = db
        self._tell = tell
        self._region = region
        self._readers = [room for room in rooms if isinstance(room, Reader)]
        self._others = [room for room in rooms if not isinstance(room, Reader)]
        self._all = tuple(rooms)

    async def about(self, actor: Actor, target: Target) -> FactSet:
        """The facts that hold now.

        Args:
            actor: Who acts.
            target: What is acted on.
        """
        scope = actor if actor.tenant is not None else target
        if scope.tenant is None:
            return await self._joined([await room.about(actor, target) for room in self._all])
        found = []
        async with self._db.transaction(scope) as connection:
            for reader in self._readers:
                found.append(await reader.read(connection, actor, target))
        found += [await room.about(actor, target) for room in self._others]
        return await self._joined(found)

    async def _joined(self, found: Iterable[FactSet]) -> FactSet:
        facts = joined(found, self._region)
        for each in facts.distrusted:
            await self._tell(each.register, each.tenant, each.row)
        return facts


def joined(found: Iterable[FactSet], region: str) -> FactSet:
    """One set of facts out of several.

    Args:
        found: Of each room.
        region: Where this node stores; a room that names one of its own wins.
    """
    sets = tuple(found)
    return FactSet(
        is_member=any(each.is_member for each in sets),
        session_alive=any(each.session_alive for each in sets),
        is_restricted=any(each.is_restricted for each in sets),
        is_held=any(each.is_held for each in sets),
        region=next((each.region for each in sets if each.region), region),
        claims=frozenset().union(*(each.claims for each in sets)),
        instructions=tuple(one for each in sets for one in each.instructions),
        distrusted=tuple(one for each in sets for one in each.distrusted),
    )
