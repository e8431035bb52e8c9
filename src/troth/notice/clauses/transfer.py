"""What goes abroad, and on which instrument; without one it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal

from troth.notice import cedar, law, vocabulary
from troth.notice.clauses.base import Clause, Fault, Limit, Lookup, Policy, Row, clause
from troth.notice.needs import Need
from troth.notice.terms import SLUG, term

_SAID = {
    "adequacy": "a decision that the law there protects as well as here",
    "scc": "standard contractual clauses",
    "bcr": "binding corporate rules",
    "derogation": "an exception for a particular case",
}
_IRI = {"adequacy": "eu-gdpr:A45-3", "scc": "eu-gdpr:A46-2-c", "bcr": "eu-gdpr:A46-2-b"}


@clause(
    "transfer",
    "What may go from some countries to others, and on which instrument. Without one it is refused.",
    reach="notice",
)
class Transfer(Clause):
    """A transfer to a third country (GDPR Art. 44 to 49). Its key names the instrument, which has to be on file."""

    key: str = term(
        "Short name of the instrument; the fact `instrument:<key>` says that it is on file and valid", pattern=SLUG
    )
    origins: tuple[str, ...] = term("From where, by ISO 3166 code", choices=vocabulary.PLACES, least=1)
    destinations: tuple[str, ...] = term("To where, by ISO 3166 code", choices=sorted(vocabulary.COUNTRIES), least=1)
    instrument: Literal["adequacy", "scc", "bcr", "derogation"] = term("On what the transfer rests")
    derogation: str = term("For a derogation: which, GDPR Art. 49(1)", choices=law.DEROGATIONS, default="")
    valid_from: date = term("Since when the instrument holds")
    valid_until: date | None = term("Until when, if it ends", default=None)
    document: str = term("Where a copy of it can be had", default="")

    @property
    def iri(self) -> str:
        """The term of the Data Privacy Vocabulary."""
        return self.derogation or _IRI[self.instrument]

    def wording(self, notice: Lookup) -> str:
        """Where to, and on what."""
        return f"What goes to {', '.join(self.destinations)} goes on {_SAID[self.instrument]}."

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """Nothing goes that way unless this instrument, or another for the same way, is on file and valid."""
        ways = [
            (f"instrument:{found.key}", vocabulary.places(getattr(found, "origins", ())), frozenset(found.destinations))
            for found in notice.all("transfer")
            if isinstance(found, Transfer)
        ]
        for origin in sorted(vocabulary.places(self.origins)):
            for destination in self.destinations:
                instruments = sorted(name for name, here, there in ways if origin in here and destination in there)
                if instruments[0] != f"instrument:{self.key}":
                    continue
                text = (
                    f"@id({cedar.text(self.id)})\n"
                    f"forbid (principal, action in {cedar.actions(vocabulary.LEAVING)}, resource)\n"
                    f"when {{ context.claims.containsAll({cedar.texts([f'from:{origin}', f'to:{destination}'])}) }}\n"
                    f"unless {{ context.claims.containsAny({cedar.texts(instruments)}) }};"
                )
                yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """The decision about everything that leaves."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "nothing went there unless the instrument was on file and valid at that moment"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """The instrument, its time, and where to have a copy."""
        until = f" until {self.valid_until.isoformat()}" if self.valid_until else ""
        law_words = law.article(self.iri)
        yield Row("On what", f"{_SAID[self.instrument]} ({law_words}), since {self.valid_from.isoformat()}{until}")
        if self.document:
            yield Row("A copy", f"you can have one: {self.document}")
        yield Row("What stops us", "when the instrument ends or falls, the next transfer that needs it is refused")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """Where a copy of an agreement can be had: that one is filed for readers, and asked for."""
        if self.document and self.instrument in ("scc", "bcr"):
            yield Need("copy", "file", "copy", "no copy of the agreement is on file for readers")
            yield Need("copy", "ask", "ask", "nobody can ask for a copy here")

    def limits(self) -> Iterator[Limit]:
        """When it begins and ends."""
        yield Limit("the instrument", self.valid_from, self.valid_until)

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """A way from here to somewhere else, with an instrument of its time."""
        if set(self.destinations) & vocabulary.places(self.origins):
            yield Fault("a transfer from a country to itself", "leave it out of origins or destinations")
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            yield Fault("the instrument ends before it begins", "make valid_until later than valid_from")
        if (self.instrument == "derogation") != bool(self.derogation):
            yield Fault("a derogation is named where one is used, and nowhere else", "name it, as eu-gdpr:A49-1-a")
