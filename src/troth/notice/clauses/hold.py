"""Data that a court or a law says we must not erase yet."""

from __future__ import annotations

from collections.abc import Iterator

from troth.notice import cedar
from troth.notice.clauses.base import Clause, Lookup, Policy, Row, clause
from troth.notice.needs import Need


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

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "nothing was erased between the day a hold was placed on it and the day that hold was released"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        yield Row("What stops us", "while a hold is on, every erasure is refused, also of what has served its time")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """That a hold can be placed, and released."""
        yield Need("hold", "place", "place", "nobody can place a legal hold here")
        yield Need("hold", "release", "release", "nobody can release a legal hold here")
