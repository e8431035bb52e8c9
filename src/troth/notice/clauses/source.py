"""Where data comes from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal

from troth.notice import cedar, vocabulary
from troth.notice.clauses.base import Clause, Fault, LegalSource, Limit, Lookup, Policy, Row, clause
from troth.notice.needs import Need
from troth.notice.period import Period
from troth.notice.terms import SLUG, term

_MONTH = Period(months=1)
_ANY_DAY = date(2027, 1, 1)


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
    kinds: tuple[str, ...] = term(
        "What it is made of, where it is several; a list of people names one of them in place of the key",
        pattern=SLUG,
        default=(),
    )
    purposes: tuple[str, ...] = term(
        "The only activities for which people of a list from there are taken in; left out, each of the site that uses "
        "its categories",
        pattern=SLUG,
        default=(),
    )
    law: LegalSource | None = term("The law behind the time within which somebody is told", default=None)
    gives: tuple[str, ...] = term("Claims that it gives to those it names", choices=vocabulary.CLAIMS, default=())

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """Our programs may tell people of whom we heard from others."""
        if self.told_within is None or self.is_never:
            return
        conditions = [
            f"context.purpose == {cedar.text(vocabulary.SOURCING)}",
            'principal.kind == "system" && principal.role == "worker"',
            "principal has tenant && resource has tenant && principal.tenant == resource.tenant",
            f"context.claims.contains({cedar.text('source:' + self.id)})",
            cedar.is_one_of(("organisation",)),
        ]
        text = (
            f"@id({cedar.text(self.id)})\n"
            f"permit (principal, action in {cedar.actions(['tell_source'])}, resource)\n"
            f"when {{ {' && '.join(conditions)} }};"
        )
        yield Policy(self.id, text, "permit", (), vocabulary.SOURCING, "A6-1-c")

    def enforcer(self) -> str:
        """Only a registered machine may bring something in; a list of people names a source that stands here."""
        return "people.contacts.lists" if self.names else "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        if self.is_never:
            return "nothing came from there"
        if self.names:
            return "every list named its source" + (
                ", and everybody on it was told in time" if self.told_within else ""
            )
        return "every arrival names the machine or person that brought it"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        if self.who:
            yield Row("Who", self.who)
        if self.told_within is not None:
            yield Row("You are told", f"within {self.told_within.words}")
        if self.law is not None:
            yield Row(
                "Law",
                f"{self.law.source}, since {self.law.effective_on.isoformat()}; "
                f"we look at it again by {self.law.review_on.isoformat()}",
            )
        if self.names:
            yield Row(
                "What stops us", "a list of people from anywhere else is refused, and each record keeps its source"
            )
            return
        yield Row("What stops us", "only machines and systems that your hospital registered can bring anything in")

    @property
    def names(self) -> tuple[str, ...]:
        """What a list of people may name as its source."""
        if self.is_never or self.origin not in ("controller", "third_party"):
            return ()
        return self.kinds or ((self.key,) if self.gives else ())

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """A way in from there, and that people are told where they have to be."""
        if self.is_never:
            return
        origin = "list" if self.names else self.origin
        yield Need("take", origin, "take", "nothing comes in from there")
        if self.told_within is not None:
            yield Need("tell", "source", "tell", "nobody is told from whom we have it")

    def limits(self) -> Iterator[Limit]:
        """When somebody has to look at the law again."""
        if self.law is not None:
            yield Limit("the last look at the law", until=self.law.review_on)

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Its categories must be listed; a source that is not used brings none."""
        if self.is_never == bool(self.categories):
            yield Fault("a source brings categories, or is never used", "give categories, or is_never: true")
        if self.origin == "third_party" and not self.is_never and self.told_within is None:
            yield Fault("people of whom we hear from others have to be told", "add told_within: P1M")
        if self.told_within is not None and self.told_within.after(_ANY_DAY) > _MONTH.after(_ANY_DAY):
            yield Fault("the law gives a month at most to tell somebody", "make told_within P1M, or shorter")
        if self.law is not None and self.told_within is None:
            yield Fault("a law about telling, and nobody is told", "add told_within: P1M, or take the law out")
        for key in self.purposes:
            if notice.find("purpose", key) is None:
                yield Fault(f"the purpose {key!r} is not in this notice", "add a purpose clause")
        for key in self.categories:
            if notice.find("category", key) is None:
                yield Fault(f"the category {key!r} is not in this notice", "add a category clause")
