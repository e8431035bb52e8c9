"""The interest behind an activity, written down and weighed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from troth.notice.clauses.base import Clause, Fault, Limit, Lookup, Row, clause
from troth.notice.terms import SLUG, term


@clause("basis", "A legitimate interest, named, with the assessment that weighs it against yours.")
class Basis(Clause):
    """An assessment of legitimate interests (GDPR Art. 6(1)(f), 13(1)(d))."""

    purposes: tuple[str, ...] = term("Keys of the activities that rest on it", pattern=SLUG, least=1)
    interest: str = term("The interest, in a few words")
    assessment: str = term("Where the written assessment can be read")
    assessed_on: date = term("When it was made")
    review_on: date = term("When somebody weighs it again")

    def wording(self, notice: Lookup) -> str:
        """The interest."""
        return f"Our interest is this: {self.interest}"

    @property
    def is_statement(self) -> bool:
        """It says how things are."""
        return True

    def enforcer(self) -> str:
        """An activity whose assessment is missing does not pass the check."""
        return "notice.checking"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "every interest that is named has an assessment, and nobody is late to look at it again"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """The assessment."""
        yield Row(
            "Weighed", f"{self.assessed_on.isoformat()}, again by {self.review_on.isoformat()}: {self.assessment}"
        )

    def limits(self) -> Iterator[Limit]:
        """When it begins and ends."""
        yield Limit("the assessment", self.assessed_on, self.review_on)

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Its activities exist and rest on an interest; all that do are named by some clause of this kind."""
        if self.review_on <= self.assessed_on:
            yield Fault("the review is before the assessment", "make review_on later than assessed_on")
        for key in self.purposes:
            found = notice.find("purpose", key)
            if found is None:
                yield Fault(f"the purpose {key!r} is not in this notice", "add a purpose clause")
            elif getattr(found, "basis", "") != "eu-gdpr:A6-1-f":
                yield Fault(f"§ {found.id} rests on another basis", "leave it out here, or change its basis")
