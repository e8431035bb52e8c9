"""How long data is kept, from when, and under which law."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from troth.notice.clauses.base import Clause, Fault, LegalSource, Limit, Lookup, Row, clause
from troth.notice.needs import Need
from troth.notice.period import Period, birthday
from troth.notice.terms import SLUG, term


@dataclass(frozen=True, kw_only=True)
class Minor:
    """A longer term for those who were young at the anchor."""

    below_years: int = term("For those younger than this on the anchor's day")
    until_years: int = term("Kept until the birthday on which they reach this age")


@clause("retention", "How long something is kept, and what starts the time. No activity goes without one.")
class Retention(Clause):
    """A retention rule: period and anchor, never a date, because the anchor can move and a hold can stop it."""

    key: str = term("What it is about: the key by which activities and programs refer to it", pattern=SLUG)
    period: Period = term("How long, as an ISO 8601 period such as P8Y")
    anchor: str = term("What starts the time, such as study_date", pattern=SLUG)
    minors: tuple[Minor, ...] = term("Longer terms for children, youngest first; the later day counts", default=())
    contract: Literal["fixed", "longer", "agreed"] = term(
        "Whether an organisation may agree another period with us: no, only a longer one, or any", default="fixed"
    )
    law: LegalSource | None = term("The law behind it, if there is one", default=None)

    @property
    def clause_id(self) -> str:
        """Number of the clause, such as "8.1"."""
        return self.id

    def dispose_on(self, anchor: date, birth_date: date | None = None) -> date:
        """The first day on which nothing keeps it any more.

        Args:
            anchor: The day that starts the time, such as the study date.
            birth_date: Of the subject. Without one nobody can know that it was no child: the latest day that a
                child's term could give is taken, so that nothing is disposed of too early.
        """
        adult = self.period.after(anchor)
        if not self.minors:
            return adult
        if birth_date is None:
            latest = max(birthday(anchor, minor.until_years) for minor in self.minors)
            return max(adult, latest)
        for minor in self.minors:
            if anchor < birthday(birth_date, minor.below_years):
                return max(adult, birthday(birth_date, minor.until_years))
        return adult

    def wording(self, notice: Lookup) -> str:
        """The period and what starts it."""
        return f"We keep this for {self.period.words} after the {self.anchor.replace('_', ' ')}."

    def enforcer(self) -> str:
        """Erasure asks the rule, and refuses before the day."""
        return "rights.decide"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "nothing was erased because its time was over before its day, and nothing is kept past it"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """The law behind the number."""
        if self.law is not None:
            yield Row(
                "Law",
                f"{self.law.source}, since {self.law.effective_on.isoformat()}; "
                f"we look at it again by {self.law.review_on.isoformat()}",
            )
        yield Row(
            "What stops us",
            "the day is computed from this clause each time, and nothing kept by law can be erased earlier",
        )

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """Something that disposes of it when its time is over."""
        contracts = {key for found in notice.all("scope") for key in getattr(found, "purposes", ())}
        activities = {found.key for found in notice.all("purpose") if self.key in getattr(found, "retention", ())}
        what = "contacts_under_contract" if activities and activities <= contracts else self.key
        yield Need("dispose", what, "dispose", "nothing removes it by itself when its time is over")

    def limits(self) -> Iterator[Limit]:
        """When somebody has to look at the law again."""
        if self.law is not None:
            yield Limit("the last look at the law", until=self.law.review_on)

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Children's terms from the youngest up; the law looked at again after it began."""
        if [minor.below_years for minor in self.minors] != sorted({minor.below_years for minor in self.minors}):
            yield Fault("the terms for children are not in order", "put the youngest first, each age once")
        if any(minor.until_years < minor.below_years for minor in self.minors):
            yield Fault("a term for children ends before they are grown", "make until_years at least below_years")
        if self.law is not None and self.law.review_on < self.law.effective_on:
            yield Fault("the review is before the law applies", "make review_on later than effective_on")
