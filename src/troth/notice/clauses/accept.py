"""What somebody agrees to before they use the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice import cedar, vocabulary
from troth.notice.clauses.base import Clause, Lookup, Policy, Row, clause
from troth.notice.needs import Need
from troth.notice.terms import SLUG, term


@clause(
    "accept", "Terms that somebody accepts; which versions, when and where is kept with their account.", reach="notice"
)
class Accept(Clause):
    """Acceptance of terms of use."""

    key: str = term("Short name of the terms; the fact `accepted:<key>` says that they were accepted", pattern=SLUG)
    title: str = term("Title of the terms")
    edition: str = term("Edition of the terms, such as 2026-11", pattern=r"^[A-Za-z0-9.-]{1,32}$")
    before: tuple[str, ...] = term("What needs it first; empty: it is recorded", choices=vocabulary.ACTIONS, default=())

    when: Literal["account", "use"] = term(
        "When it is accepted: with the account, or before the first use of what it is about", default="account"
    )

    @property
    def is_with_account(self) -> bool:
        """Whether making an account accepts it."""
        return self.when == "account"

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """Nothing of what needs it first."""
        if not self.before:
            return
        text = (
            f"@id({cedar.text(self.id)})\n"
            f"forbid (principal, action in {cedar.actions(self.before)}, resource)\n"
            f"unless {{ context.claims.contains({cedar.text('accepted:' + self.key)}) }};"
        )
        yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """The decision; where nothing waits for it, the account that records it."""
        return "policy.decision" if self.before else "people.invitations"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "every account that was made accepted the terms that were due, before it did anything"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """The edition."""
        yield Row("Which", f"{self.title}, edition {self.edition}")
        yield Row("What stops us", "an account cannot be made without the record of what was accepted")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """An account that records it, or what is about to be used asking for it."""
        if self.is_with_account:
            yield Need("accept", "account", "account", "no account keeps a record of it")
        else:
            yield Need("accept", "use", "use", "what it is about is not offered here")
