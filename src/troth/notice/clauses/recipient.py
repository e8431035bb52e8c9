"""Who receives data: roles inside, and others outside with their contract."""

# ruff: noqa: RUF009 - `term` declares a field, it makes no value
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Literal

from troth.notice import cedar, law, vocabulary
from troth.notice.clauses.base import Clause, Fault, Limit, Lookup, Policy, Row, clause
from troth.notice.terms import SLUG, term

RELATIONS: Mapping[str, str] = MappingProxyType(
    {
        "customer": "an organisation that we work for",
        "affiliate": "a company of our group",
        "supplier": "a company that works for us",
        "subprocessor": "a company that works for us on your hospital's data",
        "partner": "a partner",
        "reseller": "a reseller or agent",
        "network": "an advertising, social or search network",
        "successor": "whoever takes over our business",
        "auditor": "auditors and advisers, bound to secrecy",
        "authority": "courts and authorities",
    }
)
"""What a recipient outside is to us."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The contract with a recipient outside (GDPR Art. 28(3))."""

    form: Literal["processor", "controller", "joint", "baa", "none_needed"] = term(
        "What it binds the recipient as; baa is a business associate agreement (45 CFR 164.504(e))"
    )
    signed_on: date | None = term("When it was signed", default=None)
    ends_on: date | None = term("When it ends, if it does", default=None)
    why_none: str = term("For none_needed: why, such as the law that demands the disclosure", default="")


@clause("recipient", "Who receives data. Roles that no recipient clause names get nothing.", reach="notice")
class Recipient(Clause):
    """A recipient (GDPR Art. 4(9)); inside an organisation it is a set of roles."""

    key: str = term("Short name by which activities refer to it", pattern=SLUG)
    roles: tuple[str, ...] = term("Roles inside", choices=vocabulary.ROLES, default=())
    is_outside: bool = term("Another legal body than the hospital and us", default=False)
    name: str = term("Its name, if it is outside", default="")
    country: str = term("Where it is, by ISO 3166 code", choices=sorted(vocabulary.COUNTRIES), default="")
    contract: Contract | None = term("The contract, if it is outside", default=None)
    uses: tuple[str, ...] = term("What it may use the data for, if it is outside", pattern=SLUG, default=())
    relation: str = term("What it is to us, if it is outside", choices=RELATIONS, default="")
    categories: tuple[str, ...] = term(
        "Keys of the categories that it may receive; empty: any", pattern=SLUG, default=()
    )
    passes_to: tuple[str, ...] = term("Keys of the recipients it may pass data on to", pattern=SLUG, default=())
    is_sale: bool = term("It gives money or other value for the data", default=False)
    own_notice: str = term("Where its own notice can be read, which governs what it receives", default="")

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """Nothing goes to it without its contract, and nothing of a category that it may not receive."""
        if not self.is_outside:
            return
        head = (
            f"@id({cedar.text(self.id)})\n"
            f"forbid (principal, action in {cedar.actions(vocabulary.LEAVING)}, resource)\n"
            f"when {{ context.claims.contains({cedar.text('recipient:' + self.key)}) && "
        )
        if self.contract is not None and self.contract.form != "none_needed":
            contract = cedar.text(f"contract:{self.key}")
            yield Policy(self.id, f"{head}!context.claims.contains({contract}) }};", "forbid")
        others = [found.key for found in notice.all("category") if found.key not in self.categories]
        if self.categories and others:
            named = cedar.texts(f"category:{key}" for key in others)
            yield Policy(self.id, f"{head}context.claims.containsAny({named}) }};", "forbid")

    def enforcer(self) -> str:
        """An access is granted only to roles that a recipient of the activity names."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return (
            "each thing that went there had its contract, and nothing of another category went"
            if self.is_outside
            else "each act by these people rests on a clause that names them"
        )

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops others."""
        if self.contract is not None:
            yield Row("Contract", _said(self.contract))
        if self.relation:
            yield Row("Who that is", RELATIONS[self.relation])
        if self.own_notice:
            yield Row("Its own notice", self.own_notice)
        yield Row("What stops others", "a role that is not named here for an activity gets no permit for it")

    def limits(self) -> Iterator[Limit]:
        """When the contract begins and ends."""
        if self.contract is not None:
            yield Limit("the contract", self.contract.signed_on, self.contract.ends_on)

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Outside: name, country and contract; inside: roles; no sale where the notice says that there is none."""
        if self.is_outside and self.contract is None:
            yield Fault(f"the recipient {self.key!r} is outside and has no contract", "add contract: form, signed_on")
        if self.contract is not None:
            yield from _contract_faults(self.contract)
        for kind, keys in (("category", self.categories), ("recipient", self.passes_to)):
            for key in keys:
                if notice.find(kind, key) is None:
                    yield Fault(f"the {kind} {key!r} is not in this notice", f"add a {kind} clause, or leave it out")
        if self.key in _onward(self, notice):
            yield Fault(f"the recipient {self.key!r} passes data on to itself", "break the circle of passes_to")
        abroad = self.is_outside and self.country and self.country not in notice.regions
        if abroad and not any(self.country in getattr(found, "destinations", ()) for found in notice.all("transfer")):
            yield Fault(
                f"the recipient {self.key!r} is in {self.country}, and no transfer leads there",
                "add a transfer clause with its instrument",
            )
        if self.is_outside and not (self.name and self.country):
            yield Fault(f"the recipient {self.key!r} is outside and has no name or country", "add name and country")
        if not self.is_outside and not self.roles:
            yield Fault(f"the recipient {self.key!r} is nobody", "add roles, or is_outside: true")
        barred = {purpose for found in notice.all("never") for purpose in getattr(found, "purposes", ())}
        if self.is_sale and "sale" in barred:
            yield Fault("the notice says that nothing is sold", "remove the recipient or that sentence")
        for use in self.uses:
            if use in barred & law.PURPOSES_OF_SALE:
                yield Fault(
                    f"the notice says that nothing is used for {use!r}", "remove the recipient or that sentence"
                )


def _said(contract: Contract) -> str:
    if contract.form == "none_needed":
        return f"none is needed: {contract.why_none}"
    until = f", until {contract.ends_on.isoformat()}" if contract.ends_on else ""
    signed = f", signed {contract.signed_on.isoformat()}" if contract.signed_on else ""
    return f"as {contract.form}{signed}{until}"


def _contract_faults(contract: Contract) -> Iterator[Fault]:
    if (contract.form == "none_needed") != bool(contract.why_none):
        yield Fault("why no contract is needed is said where none is, and nowhere else", "add or remove why_none")
    if (contract.form == "none_needed") == (contract.signed_on is not None):
        yield Fault("a contract has a day on which it was signed", "add or remove signed_on")
    if contract.signed_on is not None and contract.ends_on is not None and contract.ends_on <= contract.signed_on:
        yield Fault("the contract ends before it was signed", "make ends_on later than signed_on")


def _onward(start: Clause, notice: Lookup) -> frozenset[str]:
    """The keys of all recipients that data can reach from one."""
    reached: set[str] = set()
    waiting = list(getattr(start, "passes_to", ()))
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            waiting += getattr(notice.find("recipient", key), "passes_to", ())
    return frozenset(reached)
