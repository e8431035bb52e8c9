"""From notices to the policies of every decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from troth.notice import cedar
from troth.notice.clauses.base import Policy
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
    def purposes(self) -> frozenset[str]:
        """The purposes for which anything at all is allowed."""
        return frozenset(policy.purpose for policy in self.policies if policy.effect == "permit")


def compile_notices(notices: Sequence[Notice]) -> Compiled:
    """Compile the notices that are in force together.

    Args:
        notices: Those in force.
    """
    policies = tuple(
        replace(policy, says=clause.sentence(notice))
        for notice in notices
        for clause in notice.clauses
        for policy in clause.policies(notice)
    )
    return Compiled(policies, cedar.schema(), ", ".join(notice.label for notice in notices))
