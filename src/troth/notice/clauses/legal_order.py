"""What a court or an authority can demand, and what it has to show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice import cedar
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.needs import Need
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

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "each thing handed out names an order that was on file before, and what else the clause asks for"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        if self.tells_subject:
            yield Row("You", "are told, unless the order forbids it")
        yield Row("What stops us", "without the document of the order, and a person who looked at it, it is refused")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """That an order can be filed and looked at by another, and that the person is told."""
        if not any(getattr(notice.find("purpose", key), "access", ()) for key in self.purposes):
            return
        lacks = {"document": "no order can be filed here", "review": "nobody reviews an order here"}
        for need in self.needs:
            yield Need("order", need, need, lacks[need])
        if self.tells_subject:
            yield Need("order", "tell", "tell", "nobody is told of an order by this service")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Its activities exist."""
        for key in self.purposes:
            if notice.find("purpose", key) is None:
                yield Fault(f"the purpose {key!r} is not in this notice", "add a purpose clause")
