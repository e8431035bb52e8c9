"""What a court or an authority can demand, and what it has to show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice import cedar
from troth.notice.clauses.base import Clause, Evidence, Fault, Lookup, Policy, Row, clause
from troth.notice.terms import SLUG, term


@clause("legal_order", "What a court or an authority gets: only against an order whose document is on file.")
class LegalOrder(Clause):
    """Disclosure on a legal order (GDPR Art. 6(1)(c), 48)."""

    purposes: tuple[str, ...] = term("Keys of the activities that answer orders", pattern=SLUG, least=1)
    needs: tuple[Literal["document", "review"], ...] = term("What has to be on file first", least=1)
    tells_subject: bool = term("The person is told, unless the order forbids it", default=True)

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """One forbid per thing that has to be there."""
        for need in self.needs:
            text = (
                f"@id({cedar.text(self.id)})\n"
                'forbid (principal, action == Action::"disclose", resource)\n'
                f"when {{ {cedar.texts(self.purposes)}.contains(context.purpose) "
                f"&& !context.claims.contains({cedar.text('order_' + need)}) }};"
            )
            yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """The decision about every disclosure."""
        return "policy.decision"

    def evidence(self) -> Evidence:
        """Disclosures on an order."""
        return Evidence(
            ("exchange:disclosure:recorded", "exchange:disclosure:refused", "policy:access:refused"),
            "nothing was handed out on an order whose document is not on file",
        )

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        if self.tells_subject:
            yield Row("You", "are told, unless the order forbids it")
        yield Row("What stops us", "without the document of the order, and a person who looked at it, it is refused")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Its activities exist."""
        for key in self.purposes:
            if notice.find("purpose", key) is None:
                yield Fault(f"the purpose {key!r} is not in this notice", "add a purpose clause")
