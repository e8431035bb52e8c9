"""Data that a court or a law says we must not erase yet."""

from __future__ import annotations

from collections.abc import Iterator

from troth.notice import cedar
from troth.notice.clauses.base import Clause, Evidence, Lookup, Policy, Row, clause


@clause("hold", "A legal hold: what a court or the law says must stay is not erased until it says so no more.")
class Hold(Clause):
    """A legal hold (GDPR Art. 17(3)(b) and (e))."""

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """Nothing that is held is erased, neither because somebody asked nor because its time is over."""
        text = (
            f"@id({cedar.text(self.id)})\n"
            f"forbid (principal, action in {cedar.actions(['dispose', 'erase'])}, resource)\n"
            "when { context.is_held };"
        )
        yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """The decision about every erasure."""
        return "policy.decision"

    def evidence(self) -> Evidence:
        """Erasures refused while a hold was on."""
        return Evidence(("archive:study:erased", "policy:access:refused"), "nothing was erased while it was held")

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        yield Row("What stops us", "while a hold is on, every erasure is refused, also of what has served its time")
