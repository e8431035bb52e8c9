"""In which capacity we act: as controller, or as processor for one; and that controllers are kept apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice import cedar
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.terms import SLUG, term

_BEFORE_SIGN_IN = ("open_notice", "register", "sign_in")


@clause("capacity", "Whether we decide ourselves (controller) or work for those who do (processor).")
class Capacity(Clause):
    """A standing as controller or processor (GDPR Art. 4(7), 4(8))."""

    capacity: Literal["controller", "processor"] = term("In which capacity")
    purposes: tuple[str, ...] = term("Keys of the activities it holds for", pattern=SLUG, default=())
    is_apart: bool = term("The data of one organisation is out of reach for every other", default=False)

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """The wall between organisations. Programs and operators stand outside; their own clauses bind them."""
        if not self.is_apart:
            return
        text = (
            f"@id({cedar.text(self.id)})\n"
            "forbid (principal, action, resource)\n"
            "when { resource has tenant && !(principal has tenant && principal.tenant == resource.tenant) }\n"
            f"unless {{ action in {cedar.actions(_BEFORE_SIGN_IN)} "
            '|| (principal.kind == "system" && !(principal has tenant)) };'
        )
        yield Policy(self.id, text, "forbid")

    @property
    def is_statement(self) -> bool:
        """It says who decides, unless it promises to keep organisations apart."""
        return not self.is_apart

    def enforcer(self) -> str:
        """The decision, and row-level security behind it."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "the database is as the program ships it, and shows no organisation another's rows when one tries"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        if self.is_apart:
            yield Row(
                "What stops us", "a request across organisations is refused, and the database would show it nothing"
            )
        else:
            said = (
                "we decide and answer for it"
                if self.capacity == "controller"
                else "your hospital decides, we carry out"
            )
            yield Row("Who decides", said)

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Its activities must exist and say the same."""
        for key in self.purposes:
            found = notice.find("purpose", key)
            if found is None:
                yield Fault(f"the purpose {key!r} is not in this notice", "add a purpose clause")
            elif getattr(found, "capacity", "") != self.capacity:
                yield Fault(f"§ {found.id} says another capacity for {key!r}", "make the two agree")
