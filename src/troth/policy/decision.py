"""One decision in Cedar, without waiting for anything.

Policies are parsed once. The two entities of a decision (who acts, what is acted on) are made anew each time: they are
two small records, and an actor that was kept from an earlier decision could not be revoked.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cedarpy

from troth.notice import ALWAYS_PRESENT, ROLES, TARGETS, Compiled
from troth.notice import Policy as CompiledPolicy
from troth.policy import filtering, residual
from troth.policy.conditions import FALSE
from troth.policy.facts import FactSet
from troth.policy.filtering import Filter, RowFacts
from troth.policy.model import Actor, Target

_NUMBER_PREFIX = "policy"
_MOST_FILTERS = 256

_Asked = tuple[Actor, str, str, str, FactSet, tuple[RowFacts, ...]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one decision.

    Attributes:
        is_allowed: A clause allows it and none forbids it.
        allowed_by: Ids of the clauses that allow it, each followed by those it rests on.
        forbidden_by: Ids of the clauses that forbid it.
        has_access: Clauses would allow it if none forbade it; such a person may be told why. Of a refusal only known
            where the decision was asked to explain itself.
        basis: Lawful basis of the first activity that allows it.
        obligations: What whoever uses the permit has to do.
        label: The notices that decided.
        reason: What forbids it, in the words of the notice; only for somebody who has access.
    """

    is_allowed: bool
    allowed_by: tuple[str, ...]
    forbidden_by: tuple[str, ...]
    has_access: bool
    basis: str
    obligations: tuple[str, ...]
    label: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Some of the policies, parsed together."""

    policies: tuple[CompiledPolicy, ...]
    parsed: cedarpy.PolicySet

    @classmethod
    def of(cls, policies: Iterable[CompiledPolicy]) -> _Chosen:
        chosen = tuple(policies)
        return cls(chosen, cedarpy.PolicySet.from_str("\n\n".join(policy.text for policy in chosen)))


@dataclass(frozen=True, slots=True)
class _Bearing:
    """The policies that bear on an action for a purpose: all, those that permit, and all as Cedar reads them."""

    every: _Chosen
    permits: _Chosen
    read: tuple[Mapping[str, Any], ...]


class Decider:
    """Compiled notices, parsed and ready.

    Args:
        compiled: The compiled notices.
    """

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self._read = _read(compiled.policies)
        scopes = [(residual.actions_of(one), residual.purposes_of(one)) for one in self._read]
        self._scopes = scopes
        self._actions = frozenset(action for actions, _ in scopes for action in actions or ())
        self._purposes = frozenset(purpose for _, purposes in scopes for purpose in purposes or ())
        self._bearing: dict[tuple[str, str], _Bearing] = {}
        self._filters: OrderedDict[_Asked, Filter] = OrderedDict()

    def decide(
        self, actor: Actor, action: str, target: Target, purpose: str, facts: FactSet, *, explain: bool = True
    ) -> Verdict:
        """Decide.

        Args:
            actor: Who acts.
            action: What is to be done.
            target: What it is done to.
            purpose: What for.
            facts: The facts of the moment.
            explain: Find out of a refusal whether the actor has access otherwise, and may be told why.
        """
        request, entities = _asked(actor, action, target, purpose, facts)
        bearing = self._on(action, purpose)
        is_allowed, found = _ask(request, entities, bearing.every)
        forbidding = [policy for policy in found if policy.effect == "forbid"]
        if forbidding:
            # A refusal names the clauses that forbid. Whether others would have allowed it is asked apart.
            _, found = _ask(request, entities, bearing.permits) if explain and bearing.permits.policies else (False, [])
        return Verdict(
            is_allowed=is_allowed,
            allowed_by=_unique(clause for policy in found for clause in (policy.clause_id, *policy.under)),
            forbidden_by=_unique(policy.clause_id for policy in forbidding),
            has_access=bool(found),
            basis=next((policy.basis for policy in found), ""),
            obligations=_unique(obligation for policy in found for obligation in policy.obligations),
            label=self.compiled.label,
            reason=_reason(forbidding) if found else "",
        )

    def filter(
        self,
        actor: Actor,
        action: str,
        purpose: str,
        kind: str,
        facts: FactSet,
        row_facts: tuple[RowFacts, ...] = (),
    ) -> Filter:
        """Which rows of a list a decision would allow.

        Args:
            actor: Who lists.
            action: What is to be done with each.
            purpose: What for.
            kind: Kind of target that the rows are.
            facts: The facts of the moment.
            row_facts: Who tells facts that differ from row to row.
        """
        asked = (actor, action, purpose, kind, facts, row_facts)
        # It follows from these alone: as long as all of them are the same, so is the condition.
        made = self._filters.get(asked)
        if made is None:
            made = self._filters[asked] = self._filtered(actor, action, purpose, kind, facts, row_facts)
            if len(self._filters) > _MOST_FILTERS:
                self._filters.popitem(last=False)
        return made

    def _filtered(
        self,
        actor: Actor,
        action: str,
        purpose: str,
        kind: str,
        facts: FactSet,
        row_facts: tuple[RowFacts, ...],
    ) -> Filter:
        context = _moment(purpose, facts)
        question = residual.Question(_actor_attributes(actor), action, TARGETS.get(kind, "Unknown"), context)
        allowing, refusing = [], []
        bearing = self._on(action, purpose)
        for policy, one in zip(bearing.every.policies, bearing.read, strict=True):
            truth = question.of(one)
            if truth == residual.NO:
                continue
            if truth.error != FALSE:
                refusing.append(truth.error)
            if policy.effect == "permit":
                allowing.append((policy.clause_id, truth.true))
            elif truth.true != FALSE:
                refusing.append(truth.true)
        return filtering.made(allowing, refusing, facts, row_facts, actor)

    def _on(self, action: str, purpose: str) -> _Bearing:
        """The policies that bear on an action for a purpose; parsed when they are asked first.

        A policy about other actions or purposes can neither hold nor fail, so nobody need ask it.
        """
        key = (action if action in self._actions else "", purpose if purpose in self._purposes else "")
        if key not in self._bearing:
            chosen = [
                number
                for number, (actions, purposes) in enumerate(self._scopes)
                if (actions is None or key[0] in actions) and (purposes is None or key[1] in purposes)
            ]
            every = [self.compiled.policies[number] for number in chosen]
            self._bearing[key] = _Bearing(
                every=_Chosen.of(every),
                permits=_Chosen.of(policy for policy in every if policy.effect == "permit"),
                read=tuple(self._read[number] for number in chosen),
            )
        return self._bearing[key]


def _read(policies: tuple[CompiledPolicy, ...]) -> list[Mapping[str, Any]]:
    """The policies as Cedar itself reads them."""
    text = "\n\n".join(policy.text for policy in policies)
    held = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"]
    return [held[f"{_NUMBER_PREFIX}{number}"] for number in range(len(policies))]


def _reason(forbidding: Iterable[CompiledPolicy]) -> str:
    """What forbids, in the words of the notice."""
    return " ".join(_unique(f"{policy.says} (§ {policy.clause_id})" for policy in forbidding if policy.says))


def _ask(request: dict[str, Any], entities: str, chosen: _Chosen) -> tuple[bool, list[CompiledPolicy]]:
    """Ask Cedar; it numbers policies by their place in the text, and names those that decided.

    A policy that cannot be evaluated counts for nothing in Cedar. A forbid that counts for nothing would allow, so
    any error refuses.
    """
    answer = cedarpy.is_authorized(request, chosen.parsed, entities)
    diagnostics = answer.diagnostics
    numbers = sorted(int(name.removeprefix(_NUMBER_PREFIX)) for name in diagnostics.reasons)
    return answer.allowed and not diagnostics.errors, [chosen.policies[number] for number in numbers]


def _asked(actor: Actor, action: str, target: Target, purpose: str, facts: FactSet) -> tuple[dict[str, Any], str]:
    """The request and the two entities, as Cedar reads them."""
    principal = {"type": "Actor", "id": str(actor.id or actor.kind)}
    resource = {"type": TARGETS.get(target.kind, "Unknown"), "id": str(target.id or target.kind)}
    request = {
        "principal": principal,
        "action": {"type": "Action", "id": action},
        "resource": resource,
        "context": _moment(purpose, facts),
    }
    entities = [
        {"uid": principal, "attrs": _actor_attributes(actor), "parents": []},
        {"uid": resource, "attrs": _target_attributes(target), "parents": []},
    ]
    return request, json.dumps(entities)


def _moment(purpose: str, facts: FactSet) -> dict[str, Any]:
    """The context of a decision."""
    return {
        "purpose": purpose,
        "is_member": facts.is_member,
        "session_alive": facts.session_alive,
        "is_restricted": facts.is_restricted,
        "is_held": facts.is_held,
        "region": facts.region,
        "claims": sorted(facts.claims),
    }


def _actor_attributes(actor: Actor) -> dict[str, Any]:
    words_and_kinds = ROLES.get(actor.role)
    stands = words_and_kinds is not None and actor.kind in words_and_kinds[1]
    attributes: dict[str, Any] = {"kind": actor.kind, "role": actor.role if stands else "none"}
    if actor.tenant is not None:
        attributes["tenant"] = str(actor.tenant)
    # Staff are data subjects too: what is held about them is held about their account.
    own = actor.subject_id or (actor.id if actor.kind == "user" else None)
    if own is not None:
        attributes["subject"] = str(own)
    return attributes


def _target_attributes(target: Target) -> dict[str, Any]:
    is_present = target.id is not None or target.kind in ALWAYS_PRESENT
    attributes: dict[str, Any] = {"is_present": is_present, "is_restricted": target.is_restricted}
    if target.tenant is not None:
        attributes["tenant"] = str(target.tenant)
    if target.subject_id is not None:
        attributes["subject"] = str(target.subject_id)
    request_id = target.id if target.kind == "request" else dict(target.attributes).get("request")
    if request_id:
        attributes["request"] = str(request_id)
    return attributes


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
