"""Whom to write to, and where to complain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from troth.notice.clauses.base import Clause, Fault, Lookup, Row, clause
from troth.notice.terms import term
from troth.notice.vocabulary import COUNTRIES


@clause("contact", "Whom to write to: ourselves, the data protection officer, the authority.")
class Contact(Clause):
    """A contact (GDPR Art. 13(1)(a), (b) and 13(2)(d))."""

    of: Literal["company", "dpo", "complaints", "authority", "representative"] = term("Who it is")
    name: str = term("Name")
    email: str = term("E-mail address", pattern=r"^[^@\s<>]+@[^@\s<>]+$", default="")
    telephone: str = term("Telephone number", pattern=r"^\+?[0-9 ()-]{3,30}$", default="")
    post: str = term("Postal address", default="")
    url: str = term("Address on the web", pattern=r"^https://[^\s<>]+$", default="")
    country: str = term("Country it answers for, by ISO 3166 code", choices=sorted(COUNTRIES), default="")

    @property
    def ways(self) -> str:
        """Name and the ways to write or call, for the foot of a page or a letter."""
        return ", ".join(filter(None, (self.name, self.email, self.telephone, self.post)))

    def wording(self, notice: Lookup) -> str:
        """Who it is."""
        who = {
            "company": "We are",
            "dpo": "Our data protection officer is",
            "complaints": "Complaints go to",
            "authority": "The authority is",
            "representative": "Our representative is",
        }[self.of]
        return f"{who} {self.name}."

    @property
    def is_statement(self) -> bool:
        """It says how things are."""
        return True

    def enforcer(self) -> str:
        """Shown from the notice, never typed into a page."""
        return "doors.web.app"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "the contact stands on every public page and in every letter"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """All ways to reach it."""
        for named, words in (
            ("E-mail", self.email),
            ("Telephone", self.telephone),
            ("Post", self.post),
            ("Web", self.url),
        ):
            if words:
                yield Row(named, words)

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """There must be a way to reach it."""
        if not (self.email or self.telephone or self.post or self.url):
            yield Fault("a contact that nobody can reach", "add email, telephone, post or url")


def contact_for_privacy(notices: Iterable[Lookup]) -> Contact | None:
    """Whom people write to about their data: the data protection officer, else the company (GDPR Art. 13(1)(a), (b)).

    Args:
        notices: In force, the one that comes first first.
    """
    found = [each for notice in notices for each in notice.all("contact") if isinstance(each, Contact) and each.email]
    for of in ("dpo", "company", "complaints"):
        for each in found:
            if each.of == of and not each.not_yet:
                return each
    return None
