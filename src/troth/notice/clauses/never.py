"""What never happens, whatever else the notice allows."""

from __future__ import annotations

from collections.abc import Iterator

from troth.notice import cedar, vocabulary
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.terms import SLUG, term


@clause("never", "What never happens: it is refused even where another clause would allow it.")
class Never(Clause):
    """A prohibition. Each list narrows it; an empty list stands for all."""

    purposes: tuple[str, ...] = term("For these purposes", pattern=SLUG, default=())
    who: tuple[str, ...] = term("By these roles", choices=vocabulary.ROLES, default=())
    does: tuple[str, ...] = term("These actions", choices=vocabulary.ACTIONS, default=())

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """One forbid."""
        conditions = []
        if self.purposes:
            conditions.append(f"{cedar.texts(self.purposes)}.contains(context.purpose)")
        if self.who and vocabulary.ANYBODY not in self.who:
            conditions.append(f"{cedar.texts(self.who)}.contains(principal.role)")
        scope = f"action in {cedar.actions(self.does)}" if self.does else "action"
        text = f"@id({cedar.text(self.id)})\nforbid (principal, {scope}, resource)"
        text += f"\nwhen {{ {' && '.join(conditions)} }};" if conditions else ";"
        yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """The decision itself; a prohibition outweighs every permission."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "of all that was done, nothing is what this clause forbids"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        yield Row("What stops us", "it is refused whoever asks, even where something else would allow it")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """It must forbid something in particular, and nothing that the notice does."""
        if not (self.purposes or self.who or self.does):
            yield Fault("it forbids everything", "say which purposes, roles or actions")
        for purpose in self.purposes:
            if notice.find("purpose", purpose) is not None and not (self.who or self.does):
                yield Fault(
                    f"the notice uses data for {purpose!r} and says that it never does", "remove one of the two"
                )
