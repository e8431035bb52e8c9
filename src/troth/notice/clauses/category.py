"""Which data we hold, about whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice import law, vocabulary
from troth.notice.clauses.base import Clause, Fault, Lookup, Row, clause
from troth.notice.terms import SLUG, term
from troth.notice.vocabulary import AUDIENCES


@clause("category", "A category of data that we hold. What is not listed is not used by any activity.")
class Category(Clause):
    """A category of personal data (dpv:PersonalData)."""

    key: str = term("Short name by which activities refer to it", pattern=SLUG)
    whose: tuple[str, ...] = term("About whom", choices=AUDIENCES, least=1)
    is_special: bool = term("Health data or another special category, GDPR Art. 9(1)", default=False)
    obtained: Literal["provided", "observed", "inferred"] = term(
        "Whether the person gave it, it was seen, or it was concluded from other data", default="provided"
    )
    covers: tuple[str, ...] = term(
        "What the platform holds that belongs to it; left out, what is called as its key",
        choices=vocabulary.HOLDINGS,
        default=(),
    )
    iri: str = term("The term of the Data Privacy Vocabulary", pattern=r"^(dpv|dpv-pd|eu-gdpr):[A-Za-z0-9-]+$")

    @property
    def holdings(self) -> tuple[str, ...]:
        """What the platform holds that belongs to it."""
        return self.covers or ((self.key,) if self.key in vocabulary.HOLDINGS else ())

    @property
    def is_statement(self) -> bool:
        """It says how things are."""
        return True

    def enforcer(self) -> str:
        """An activity that uses an unlisted category does not pass the check, so it is never published."""
        return "notice.checking"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "nothing that the program stores or asks belongs to a category that is not listed"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        if self.is_special:
            yield Row("Kind", "health data, which the law protects most")
        if self.obtained == "inferred":
            yield Row("How we know", "concluded from other data, and marked so in your copy")
        yield Row("What stops us", "a notice in which an activity uses something else cannot be published")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """It is a category that DPV knows, and an activity uses it; else it has no reason to be held."""
        if self.iri not in law.categories():
            yield Fault(f"DPV 2.3 has no category {self.iri!r}", "look it up at https://w3id.org/dpv/pd")
        if not any(self.key in getattr(found, "categories", ()) for found in notice.all("purpose")):
            yield Fault(f"no activity uses the category {self.key!r}", "add it to an activity, or do not hold it")
