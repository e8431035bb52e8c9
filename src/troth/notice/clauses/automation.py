"""What a program may decide about somebody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice import cedar
from troth.notice.clauses.base import Clause, Lookup, Policy, Row, clause
from troth.notice.terms import SLUG, term

_SAID = {"contract": "a contract with you needs it", "consent": "you said yes to it", "law": "a law allows it"}


@clause("automation", "What a program may decide about somebody, and when a person has to decide.")
class Automation(Clause):
    """Automated decisions with significant effect (GDPR Art. 22)."""

    decisions: tuple[str, ...] = term(
        "Decisions with significant effect, such as account_closure; empty: every one", pattern=SLUG, default=()
    )
    grounds: tuple[Literal["contract", "consent", "law"], ...] = term(
        "What lets a program decide alone; empty: nothing, a person decides", default=()
    )

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """A program decides nothing of this without a person or a ground."""
        enough = ["decided_by_person", *(f"ground:{ground}" for ground in self.grounds)]
        named = cedar.texts(f"decision:{decision}" for decision in self.decisions)
        which = f"when {{ context.claims.containsAny({named}) }}\n" if self.decisions else ""
        text = (
            f"@id({cedar.text(self.id)})\n"
            'forbid (principal, action == Action::"decide_about", resource)\n'
            f"{which}unless {{ context.claims.containsAny({cedar.texts(enough)}) }};"
        )
        yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """The decision itself."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "no program decided such a thing without a person or a ground"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        for ground in self.grounds:
            yield Row("Unless", _SAID[ground])
        yield Row("What stops us", "a program that tries is refused, and the case waits for a person")
