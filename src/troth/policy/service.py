"""The one place that decides: asks for facts, asks Cedar, makes the permit or refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from troth.kit import clock, ids
from troth.notice import ANYBODY, Compiled
from troth.policy.decision import Decider
from troth.policy.errors import NotInLevel, PermitDenied
from troth.policy.facts import Facts
from troth.policy.filtering import Filter, RowFacts
from troth.policy.model import Actor, Permit, Target

PERMIT_LIFETIME = timedelta(minutes=5)

OnRefusal = Callable[[Actor, str, Target, str, tuple[str, ...]], Awaitable[None]]
"""Called with actor, action, target, purpose and the clauses that forbade it, before the refusal is raised."""


class Policy:
    """Decides by the notices in force.

    Args:
        compiled: The compiled notices.
        facts: Where the facts of the moment come from.
        on_refusal: Writes a refusal into the ledger; not called for anonymous actors. If it fails, its error is
            raised instead, and nothing was allowed either.
        row_facts: Who tells SQL the facts that differ from row to row of a list.
    """

    def __init__(
        self,
        compiled: Compiled,
        facts: Facts,
        on_refusal: OnRefusal | None = None,
        row_facts: tuple[RowFacts, ...] = (),
    ) -> None:
        self._decider = Decider(compiled)
        self._facts = facts
        self._on_refusal = on_refusal
        self._row_facts = row_facts

    @property
    def notice_version(self) -> str:
        """Names and versions of the notices that decide, such as "imaging-cloud 1"."""
        return self._decider.compiled.label

    @property
    def compiled(self) -> Compiled:
        """What decides now."""
        return self._decider.compiled

    def grants(self, role: str, action: str) -> bool:
        """Whether the notices let a role do something at all: for links to pages, never instead of `require`.

        Args:
            role: Access role.
            action: The action.
        """
        return not self.compiled.granted.isdisjoint({(role, action), (ANYBODY, action)})

    def is_granted(self, action: str) -> bool:
        """Whether the notices let anybody at all do something: for links to pages, like `grants`.

        Args:
            action: The action.
        """
        return any(action == granted for _, granted in self.compiled.granted)

    def adopt(self, compiled: Compiled) -> None:
        """Decide by other notices from the next decision on.

        Args:
            compiled: The notices that came into force.
        """
        self._decider = Decider(compiled)

    async def require(self, actor: Actor, action: str, target: Target, purpose: str) -> Permit:
        """Get the permit for one action, or be refused.

        Args:
            actor: Who acts.
            action: What is to be done, such as `retrieve`.
            target: What it is done to; with `id=None` it is not there, and the answer is the same refusal.
            purpose: What for: the key of an activity of the notice, such as `diagnosis`.

        Returns:
            The permit; it is valid for five minutes at most.

        Raises:
            PermitDenied: No clause allows it, or one forbids it.
            NotInLevel: What stands in the way is the organisation's level of service alone.
        """
        seen = _as_seen_by(actor, target)
        facts = await self._facts.about(actor, seen)
        is_known = actor.kind != "anonymous"
        verdict = self._decider.decide(actor, action, seen, purpose, facts, explain=is_known)
        if not verdict.is_allowed:
            if self._on_refusal is not None and is_known:
                await self._on_refusal(actor, action, target, purpose, verdict.forbidden_by)
            if not verdict.has_access:
                raise PermitDenied
            is_of_level = target.kind == "organisation" and self.compiled.level_clauses.issuperset(verdict.forbidden_by)
            raise (NotInLevel if is_of_level else PermitDenied)(verdict.forbidden_by, verdict.reason)
        decided_at = clock.now()
        instructed = [each.id for each in facts.instructions if each.covers(action, purpose)]
        return Permit(
            actor=actor,
            action=action,
            target=target,
            purpose=purpose,
            clauses=verdict.allowed_by,
            basis=verdict.basis,
            notice_version=verdict.label,
            decision_id=ids.uuid7(),
            decided_at=decided_at,
            expires_at=decided_at + PERMIT_LIFETIME,
            obligations=(*verdict.obligations, *(f"instruction:{one}" for one in instructed)),
            moment=facts,
        )

    async def may(self, actor: Actor, action: str, target: Target, purpose: str) -> bool:
        """Whether it would be allowed now: to show or hide a button, never instead of `require`.

        Args:
            actor: Who would act.
            action: What would be done.
            target: What it would be done to.
            purpose: What for.
        """
        seen = _as_seen_by(actor, target)
        facts = await self._facts.about(actor, seen)
        return self._decider.decide(actor, action, seen, purpose, facts, explain=False).is_allowed

    async def filter(self, actor: Actor, action: str, purpose: str, kind: str = "study") -> Filter:
        """Which rows of a list would be allowed now, so that no list shows what a decision refuses.

        Args:
            actor: Who lists; the rows are those of the organisation it stands in.
            action: What is to be done with each, such as `query`.
            purpose: What for.
            kind: Kind of target that the rows are.

        Returns:
            A condition for SQL. Like a permit it holds for the moment.
        """
        facts = await self._facts.about(actor, Target(kind, None, actor.tenant))
        return self._decider.filter(actor, action, purpose, kind, facts, self._row_facts)

    async def rows_of(self, permit: Permit, kind: str = "study") -> Filter:
        """Which rows of a list a permit to look for them reaches, at the moment that it was decided in.

        Args:
            permit: Decided a moment ago.
            kind: Kind of target that the rows are.
        """
        if permit.moment is None:
            return await self.filter(permit.actor, permit.action, permit.purpose, kind)
        return self._decider.filter(permit.actor, permit.action, permit.purpose, kind, permit.moment, self._row_facts)


def _as_seen_by(actor: Actor, target: Target) -> Target:
    """What a decision looks at: to a patient, what is of somebody else is not there.

    So it is refused before any fact about it is read, and takes no longer than what does not exist. Whose it was is
    told to whoever writes the refusal down, which is the same work for both.
    """
    is_anothers = actor.kind == "patient" and target.subject_id not in (None, actor.subject_id)
    return Target(target.kind, None, target.tenant) if is_anothers else target
