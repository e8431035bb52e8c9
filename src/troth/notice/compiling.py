"""From notices to the policies of every decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from troth.notice import cedar, vocabulary
from troth.notice.clauses.base import Clause, Policy
from troth.notice.model import Notice

_PREFIX = "policy"


@dataclass(frozen=True)
class Compiled:
    """What decides.

    Attributes:
        policies: In the order of the notices; the place in this order is the policy's number in Cedar.
        schema: The Cedar schema they were written for.
        label: Names and versions of the notices, as permits carry it.
    """

    policies: tuple[Policy, ...]
    schema: str
    label: str

    @cached_property
    def text(self) -> str:
        """All policies as one Cedar text."""
        return "\n\n".join(policy.text for policy in self.policies) + "\n"

    def numbered(self, policy_id: str) -> Policy | None:
        """The policy behind an id that Cedar gave by its place in the text, such as `policy3`.

        Args:
            policy_id: As diagnostics name it; empty where the text cannot be read at all.
        """
        number = policy_id.removeprefix(_PREFIX)
        return self.policies[int(number)] if number.isdecimal() else None

    @cached_property
    def granted(self) -> frozenset[tuple[str, str]]:
        """Role and action of everything that somebody may do at all, under whatever condition."""
        return frozenset((policy.role, action) for policy in self.policies for action in policy.does)

    @cached_property
    def claims(self) -> frozenset[str]:
        """The claims that some permit asks for."""
        return frozenset(claim for policy in self.policies for claim in policy.requires)

    @cached_property
    def services(self) -> tuple[Policy, ...]:
        """What some levels of service have and others not, with its clause, its words and the levels that have it."""
        return tuple(policy for policy in self.policies if policy.levels)

    @cached_property
    def level_clauses(self) -> frozenset[str]:
        """The clauses that say which levels of service have something."""
        return frozenset(policy.clause_id for policy in self.services)

    @cached_property
    def levels(self) -> frozenset[str]:
        """The levels of service that the notices know."""
        return frozenset(level for policy in self.services for level in policy.levels)

    @cached_property
    def purposes(self) -> frozenset[str]:
        """The purposes for which anything at all is allowed."""
        return frozenset(policy.purpose for policy in self.policies if policy.effect == "permit")


def compile_notices(notices: Sequence[Notice]) -> Compiled:
    """Compile the notices that are in force together.

    A prohibition acts on everything, unless its kind says that it is about its own notice (`Clause.reach`): two notices
    with different recipients, countries or terms do not forbid what the other one says.

    Args:
        notices: Those in force.
    """
    bounds = {notice.name: _bound(notice, notices) if len(notices) > 1 else "" for notice in notices}
    policies = tuple(
        replace(
            policy, says=clause.sentence(notice), text=_within(policy, bounds[notice.name] if _is_own(clause) else "")
        )
        for notice in notices
        for clause in notice.clauses
        for policy in clause.policies(notice)
    )
    return Compiled(policies, cedar.schema(), ", ".join(notice.label for notice in notices))


def _is_own(clause: Clause) -> bool:
    return clause.reach == "notice"


def _within(policy: Policy, bound: str) -> str:
    """A prohibition that acts only where its notice applies; what it forbids there stays as it was written."""
    if policy.effect == "permit" or not bound:
        return policy.text
    head, _, rest = policy.text.partition("resource)")
    return f"{head}resource)\nwhen {{ {bound} }}{rest}"


def _bound(notice: Notice, notices: Sequence[Notice]) -> str:
    """Where a notice applies: for its own activities and those of the notices that it adds to or that add to it.

    What no notice has an activity for is allowed by none. A notice for some countries does not bind what is known to
    belong to another; where nobody knows the country, it binds.
    """
    family = [each for each in notices if notice.name in (each.name, each.head.supplements)]
    family += [each for each in notices if each.name == notice.head.supplements]
    named = {clause.key for each in family for clause in each.all("purpose")}
    granted = {policy.purpose for each in family for clause in each.clauses for policy in clause.policies(each)}
    said = f"{cedar.texts((named | granted) - {''})}.contains(context.purpose)"
    if notice.places:
        here = cedar.texts(f"controller:{code}" for code in notice.places)
        elsewhere = cedar.texts(f"controller:{code}" for code in vocabulary.COUNTRIES - notice.places)
        said += f" && (context.claims.containsAny({here}) || !context.claims.containsAny({elsewhere}))"
    return said
