"""Where data comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice.clauses.base import Clause, Evidence, Fault, Lookup, Row, clause
from troth.notice.terms import SLUG, term


@clause("source", "Where data comes from, or where it never comes from.")
class Source(Clause):
    """A source of data (GDPR Art. 14(2)(f))."""

    origin: Literal["subject", "controller", "device", "third_party"] = term("Who or what gives it to us")
    categories: tuple[str, ...] = term("Keys of the categories that come from there", pattern=SLUG, default=())
    is_never: bool = term("Nothing is taken from there", default=False)

    def enforcer(self) -> str:
        """Only a registered machine or system may bring something in."""
        return "policy.require"

    def evidence(self) -> Evidence:
        """Every arrival names who brought it."""
        return Evidence(
            ("archive:instances:stored", "archive:instance:refused"),
            "every arrival names the machine or person behind it",
        )

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        yield Row("What stops us", "only machines and systems that your hospital registered can bring anything in")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Its categories must be listed; a source that is not used brings none."""
        if self.is_never == bool(self.categories):
            yield Fault("a source brings categories, or is never used", "give categories, or is_never: true")
        for key in self.categories:
            if notice.find("category", key) is None:
                yield Fault(f"the category {key!r} is not in this notice", "add a category clause")
