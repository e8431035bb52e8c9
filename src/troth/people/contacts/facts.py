"""What lists of people and accepted terms say about whoever acts, and under which terms a record stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from troth.kit.db import Connection, Database
from troth.notice import Notice
from troth.people import sources_store as store
from troth.people.contacts import terms
from troth.policy import Actor, FactSet, Target


@runtime_checkable
class _Terms(Protocol):
    """Terms that are accepted."""

    key: str
    edition: str


class SourceFacts:
    """Implements `policy.Facts`: `staff_list` and what else a source gives, `accepted:<key>`, `governed_by:<activity>`.

    It asks the database only where a notice has a rule that rests on it.

    Args:
        db: Opened as `troth_app`.
        notices: Whose sources, terms and scopes count.
    """

    def __init__(self, db: Database, notices: Iterable[Notice]) -> None:
        self._db = db
        found = list(notices)
        self._gives = {word: origin.gives for word, origin in terms.origins(found).items() if origin.gives}
        self._editions = {
            (clause.key, getattr(clause, "edition", "")) for notice in found for clause in notice.all("accept")
            if getattr(clause, "before", ())
        }  # fmt: skip
        self._contracts = terms.contract_activities(found)

    async def about(self, actor: Actor, target: Target) -> FactSet:
        """The facts that hold now.

        Args:
            actor: Who acts.
            target: What is acted on.
        """
        scope = target if target.tenant is not None else actor
        if scope.tenant is None:
            return FactSet()
        async with self._db.transaction(scope) as connection:
            return await self.read(connection, actor, target)

    async def read(self, connection: Connection, actor: Actor, target: Target) -> FactSet:
        """The same over a connection at hand: a statement only where a rule rests on it."""
        claims = {f"source:{word}" for name, word in target.attributes if name == "source"}
        if self._is_asked_of(actor) and actor.id is not None:
            for row in await store.claims_of(connection, actor.id):
                claims |= set(self._claims(row["kind"], row["key"], row["edition"]))
        if self._is_asked_about(target) and target.id is not None:
            activity = await store.activity_of(connection, target.id)
            if activity in self._contracts:
                claims.add(f"governed_by:{activity}")
        return FactSet(claims=frozenset(claims))

    def _claims(self, kind: str, key: str, edition: str) -> Iterator[str]:
        if kind == "source":
            yield from self._gives.get(key, ())
        elif (key, edition) in self._editions:
            yield f"accepted:{key}"

    def _is_asked_of(self, actor: Actor) -> bool:
        return bool(self._gives or self._editions) and actor.kind in ("user", "patient")

    def _is_asked_about(self, target: Target) -> bool:
        return bool(self._contracts) and target.kind == "contact"
