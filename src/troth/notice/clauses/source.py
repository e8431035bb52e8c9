"""Where data comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice import vocabulary
from troth.notice.clauses.base import Clause, Evidence, Fault, Lookup, Row, clause
from troth.notice.period import Period
from troth.notice.terms import SLUG, term


@clause("source", "Where data comes from, or where it never comes from.")
class Source(Clause):
    """A source of data (GDPR Art. 14(2)(f))."""

    origin: Literal["subject", "controller", "device", "third_party"] = term("Who or what gives it to us")
    categories: tuple[str, ...] = term("Keys of the categories that come from there", pattern=SLUG, default=())
    is_never: bool = term("Nothing is taken from there", default=False)
    key: str = term(
        "Short name by which imports and records name it; empty: it is named by its origin", pattern=SLUG, default=""
    )
    who: str = term("Who that is, such as journals or data vendors", default="")
    told_within: Period | None = term(
        "Until when we tell a person of whom we heard from others (GDPR Art. 14(3))", default=None
    )
    gives: tuple[str, ...] = term("Claims that it gives to those it names", choices=vocabulary.CLAIMS, default=())

    def enforcer(self) -> str:
        """Only a registered machine or system may bring something in."""
        return "policy.decision"

    def evidence(self) -> Evidence:
        """Every arrival names who brought it."""
        return Evidence(
            ("archive:instances:stored", "archive:instance:refused"),
            "every arrival names the machine or person behind it",
        )

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        if self.who:
            yield Row("Who", self.who)
        if self.told_within is not None:
            yield Row("You are told", f"within {self.told_within.words}")
        yield Row("What stops us", "only machines and systems that your hospital registered can bring anything in")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Its categories must be listed; a source that is not used brings none."""
        if self.is_never == bool(self.categories):
            yield Fault("a source brings categories, or is never used", "give categories, or is_never: true")
        if self.origin == "third_party" and not self.is_never and self.told_within is None:
            yield Fault("people of whom we hear from others have to be told", "add told_within: P1M")
        for key in self.categories:
            if notice.find("category", key) is None:
                yield Fault(f"the category {key!r} is not in this notice", "add a category clause")
