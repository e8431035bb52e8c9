"""One decision in Cedar, without waiting for anything.

Policies are parsed once. The two entities of a decision (who acts, what is acted on) are made anew each time: they are
two small records, and an actor that was kept from an earlier decision could not be revoked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cedarpy

from troth.notice import ALWAYS_PRESENT, ROLES, TARGETS, Compiled
from troth.notice import Policy as CompiledPolicy
from troth.policy.facts import FactSet
from troth.policy.model import Actor, Target

_NUMBER_PREFIX = "policy"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one decision.

    Attributes:
        is_allowed: A clause allows it and none forbids it.
        allowed_by: Ids of the clauses that allow it, each followed by those it rests on.
        forbidden_by: Ids of the clauses that forbid it.
        has_access: Clauses would allow it if none forbade it; such a person may be told why.
        basis: Lawful basis of the first activity that allows it.
        obligations: What whoever uses the permit has to do.
        label: The notices that decided.
    """

    is_allowed: bool
    allowed_by: tuple[str, ...]
    forbidden_by: tuple[str, ...]
    has_access: bool
    basis: str
    obligations: tuple[str, ...]
    label: str


class Decider:
    """Compiled notices, parsed and ready.

    Args:
        compiled: The compiled notices.
    """

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self._all = compiled.policies
        self._permits = tuple(policy for policy in compiled.policies if policy.effect == "permit")
        self._all_parsed = _parsed(self._all)
        self._permits_parsed = _parsed(self._permits)

    def decide(self, actor: Actor, action: str, target: Target, purpose: str, facts: FactSet) -> Verdict:
        """Decide.

        Args:
            actor: Who acts.
            action: What is to be done.
            target: What it is done to.
            purpose: What for.
            facts: The facts of the moment.
        """
        request, entities = _asked(actor, action, target, purpose, facts)
        is_allowed, found = _ask(request, entities, self._all_parsed, self._all)
        forbidden = _unique(policy.clause_id for policy in found if policy.effect == "forbid")
        if forbidden:
            # A refusal names the clauses that forbid. Whether others would have allowed it is asked apart.
            _, found = _ask(request, entities, self._permits_parsed, self._permits)
        return Verdict(
            is_allowed=is_allowed,
            allowed_by=_unique(clause for policy in found for clause in (policy.clause_id, *policy.under)),
            forbidden_by=forbidden,
            has_access=bool(found),
            basis=next((policy.basis for policy in found), ""),
            obligations=_unique(obligation for policy in found for obligation in policy.obligations),
            label=self.compiled.label,
        )


def _parsed(policies: Iterable[CompiledPolicy]) -> cedarpy.PolicySet:
    return cedarpy.PolicySet.from_str("\n\n".join(policy.text for policy in policies))


def _ask(
    request: dict[str, Any], entities: str, parsed: cedarpy.PolicySet, policies: tuple[CompiledPolicy, ...]
) -> tuple[bool, list[CompiledPolicy]]:
    """Ask Cedar; it numbers policies by their place in the text, and names those that decided.

    A policy that cannot be evaluated counts for nothing in Cedar. A forbid that counts for nothing would allow, so
    any error refuses.
    """
    answer = cedarpy.is_authorized(request, parsed, entities)
    diagnostics = answer.diagnostics
    numbers = sorted(int(name.removeprefix(_NUMBER_PREFIX)) for name in diagnostics.reasons)
    return answer.allowed and not diagnostics.errors, [policies[number] for number in numbers]


def _asked(actor: Actor, action: str, target: Target, purpose: str, facts: FactSet) -> tuple[dict[str, Any], str]:
    """The request and the two entities, as Cedar reads them."""
    principal = {"type": "Actor", "id": str(actor.id or actor.kind)}
    resource = {"type": TARGETS.get(target.kind, "Unknown"), "id": str(target.id or target.kind)}
    context = {
        "purpose": purpose,
        "is_member": facts.is_member,
        "session_alive": facts.session_alive,
        "is_restricted": facts.is_restricted,
        "is_held": facts.is_held,
        "region": facts.region,
        "claims": sorted(facts.claims),
    }
    request = {
        "principal": principal,
        "action": {"type": "Action", "id": action},
        "resource": resource,
        "context": context,
    }
    entities = [
        {"uid": principal, "attrs": _actor_attributes(actor), "parents": []},
        {"uid": resource, "attrs": _target_attributes(target), "parents": []},
    ]
    return request, json.dumps(entities)


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
