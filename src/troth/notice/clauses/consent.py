"""What happens only after a person said yes."""

from __future__ import annotations

from collections.abc import Iterator

from troth.notice import cedar
from troth.notice.clauses.base import Clause, Evidence, Lookup, Policy, Row, clause
from troth.notice.terms import SLUG, term


@clause("consent", "What happens only after a person said yes, and stops when they say no.")
class Consent(Clause):
    """A consent (GDPR Art. 6(1)(a) and 7). The record of it comes with the room that keeps choices."""

    key: str = term("Short name of the consent; the fact `consent:<key>` says that it was given", pattern=SLUG)
    purposes: tuple[str, ...] = term("Purposes that need it", pattern=SLUG, least=1)

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """Without the consent, nothing for these purposes."""
        text = (
            f"@id({cedar.text(self.id)})\n"
            "forbid (principal, action, resource)\n"
            f"when {{ {cedar.texts(self.purposes)}.contains(context.purpose) "
            f"&& !context.claims.contains({cedar.text('consent:' + self.key)}) }};"
        )
        yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """The decision itself."""
        return "policy.require"

    def evidence(self) -> Evidence:
        """Refusals without consent."""
        return Evidence(
            ("policy:access:refused",), "nothing was done for these purposes without a consent in force", self.id
        )

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        yield Row("What stops us", "without your yes it is refused; taking it back counts from the next moment")
