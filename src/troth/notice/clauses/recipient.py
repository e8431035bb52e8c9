"""Who receives data: roles inside, and others outside with their contract."""

# ruff: noqa: RUF009 - `term` declares a field, it makes no value
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from troth.notice import law, vocabulary
from troth.notice.clauses.base import Clause, Evidence, Fault, Lookup, Row, clause
from troth.notice.terms import SLUG, term


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The contract with a recipient outside (GDPR Art. 28(3))."""

    form: Literal["processor", "controller", "joint"] = term("What it binds the recipient as")
    signed_on: date = term("When it was signed")
    ends_on: date | None = term("When it ends, if it does", default=None)


@clause("recipient", "Who receives data. Roles that no recipient clause names get nothing.")
class Recipient(Clause):
    """A recipient (GDPR Art. 4(9)); inside an organisation it is a set of roles."""

    key: str = term("Short name by which activities refer to it", pattern=SLUG)
    roles: tuple[str, ...] = term("Roles inside", choices=vocabulary.ROLES, default=())
    is_outside: bool = term("Another legal body than the hospital and us", default=False)
    name: str = term("Its name, if it is outside", default="")
    country: str = term("Where it is, by ISO 3166 code", choices=sorted(vocabulary.COUNTRIES), default="")
    contract: Contract | None = term("The contract, if it is outside", default=None)
    uses: tuple[str, ...] = term("What it may use the data for, if it is outside", pattern=SLUG, default=())

    def enforcer(self) -> str:
        """An access is granted only to roles that a recipient of the activity names."""
        return "policy.require"

    def evidence(self) -> Evidence:
        """Openings name this clause."""
        return Evidence(
            ("archive:study:opened", "archive:studies:queried", "archive:instances:stored"),
            f"every opening by these people names clause {self.id}; nobody else opened anything",
            self.id,
        )

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops others."""
        if self.contract is not None:
            yield Row("Contract", f"as {self.contract.form}, signed {self.contract.signed_on.isoformat()}")
        yield Row("What stops others", "a role that is not named here for an activity gets no permit for it")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Outside: name, country and contract; inside: roles; no sale where the notice says that there is none."""
        if self.is_outside and self.contract is None:
            yield Fault(f"the recipient {self.key!r} is outside and has no contract", "add contract: form, signed_on")
        if self.is_outside and not (self.name and self.country):
            yield Fault(f"the recipient {self.key!r} is outside and has no name or country", "add name and country")
        if not self.is_outside and not self.roles:
            yield Fault(f"the recipient {self.key!r} is nobody", "add roles, or is_outside: true")
        barred = {purpose for found in notice.all("never") for purpose in getattr(found, "purposes", ())}
        for use in self.uses:
            if use in barred & law.PURPOSES_OF_SALE:
                yield Fault(
                    f"the notice says that nothing is used for {use!r}", "remove the recipient or that sentence"
                )
