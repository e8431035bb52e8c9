"""What the notice holds for, and what stands under terms of its own."""

from __future__ import annotations

from collections.abc import Iterator

from troth.notice import cedar, vocabulary
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.terms import SLUG, term


@clause(
    "scope", "What the notice holds for, and what stands under other terms and is out of its reach.", reach="notice"
)
class Scope(Clause):
    """The reach of the notice."""

    includes: tuple[str, ...] = term("Surfaces it holds for", choices=vocabulary.SURFACES, default=())
    excludes: tuple[str, ...] = term(
        "What stands under terms of its own, such as licensed_products; the fact `governed_by:<word>` marks it",
        pattern=SLUG,
        default=(),
    )
    purposes: tuple[str, ...] = term("Activities of those other terms, which may go on", pattern=SLUG, default=())

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """What stands under other terms is used by no activity of this notice."""
        if not self.excludes:
            return
        marked = cedar.texts(f"governed_by:{word}" for word in self.excludes)
        text = (
            f"@id({cedar.text(self.id)})\n"
            "forbid (principal, action, resource)\n"
            f"when {{ context.claims.containsAny({marked}) }}"
        )
        if self.purposes:
            text += f"\nunless {{ {cedar.texts(self.purposes)}.contains(context.purpose) }}"
        yield Policy(self.id, text + ";", "forbid")

    def enforcer(self) -> str:
        """The decision, and the check at the start for surfaces."""
        return "policy.decision" if self.excludes else "notice.coverage"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "nothing collects outside these surfaces, and nothing under other terms was used"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        if self.includes:
            yield Row("It holds for", ", ".join(vocabulary.SURFACES[name] for name in self.includes))
            yield Row("What stops us", "the service does not start with a form or line that stands elsewhere")
        if self.excludes:
            yield Row("Not for", ", ".join(word.replace("_", " ") for word in self.excludes))

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """It says something, and names activities that exist."""
        if not (self.includes or self.excludes):
            yield Fault("it says nothing about what is in and what is out", "add includes or excludes")
        for key in self.purposes:
            if notice.find("purpose", key) is None:
                yield Fault(f"the purpose {key!r} is not in this notice", "add a purpose clause")
