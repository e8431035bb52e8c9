"""The conditions of a disclosure: pure, so that each can be read beside its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from troth.exchange.errors import DisclosureRefused
from troth.exchange.model import (
    RECIPIENT_KINDS,
    Contract,
    Disclosure,
    Instrument,
    LegalOrder,
    Recipient,
    is_abroad,
)
from troth.exchange.totals import TOTALS, guard_of
from troth.notice import Notice, Purpose

_ANY_CONTRACT: Final = frozenset({"processor", "baa", "controller", "joint", "subprocessor"})
_SHORTEST_REASON: Final = 20


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of disclosure asks for.

    Attributes:
        to: Kinds of recipients.
        contracts: Kinds of contracts, one of which has to be on file; empty where none is needed.
    """

    to: frozenset[str]
    contracts: frozenset[str] = frozenset()


def _rule(*to: str, contracts: Iterable[str] = ()) -> Rule:
    return Rule(frozenset(to), frozenset(contracts))


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "affiliate": _rule("affiliate", contracts=_ANY_CONTRACT),
        "service": _rule("service_provider", contracts=("processor", "baa", "subprocessor")),
        "instruction": _rule(*RECIPIENT_KINDS, contracts=_ANY_CONTRACT),
        "contract": _rule(
            "customer", "provider", "partner", "reseller", contracts=("controller", "joint", "processor")
        ),
        "merger": _rule("successor", contracts=("controller",)),
        "stated": _rule(*RECIPIENT_KINDS, contracts=_ANY_CONTRACT),
        "consent": _rule(*RECIPIENT_KINDS),
        "law": _rule("authority"),
        "protection": _rule("authority", "provider", "customer"),
        "totals": _rule("partner", "reseller", "customer", contracts=("controller", "joint", "processor")),
    }
)
"""Kinds of disclosure and their conditions; further ones are in `Gate`."""


@dataclass(frozen=True, slots=True)
class Registers:
    """What the registers hold about one wanted disclosure, at one moment.

    Attributes:
        origin: ISO 3166 code of where the data is kept.
        claims: Facts of the decision, such as `consent:<key>`.
        instructed: Instructions in force that cover disclosing for this purpose.
    """

    now: datetime
    origin: str
    recipient: Recipient | None
    contracts: tuple[Contract, ...]
    instruments: tuple[Instrument, ...]
    order: LegalOrder | None
    claims: frozenset[str]
    instructed: tuple[UUID, ...]
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Passed:
    """On what a disclosure rests."""

    recipient: Recipient
    contract: Contract | None
    instrument: Instrument | None
    order: LegalOrder | None
    basis: str


def check(wanted: Disclosure, held: Registers) -> Passed:
    """Hold a wanted disclosure against the registers and the notices.

    Args:
        wanted: What is to be disclosed.
        held: What the registers hold.

    Raises:
        DisclosureRefused: Something is missing; the reason says what.
    """
    recipient = held.recipient
    if recipient is None or recipient.ended_at is not None:
        raise DisclosureRefused("recipient", "The recipient is not in the register.", hint="Register it first.")
    activity = _activity(wanted, held.notices)
    _require_listed(wanted, recipient, activity)
    contract = _require_kind(wanted, recipient, held)
    instrument = _require_way(recipient, held)
    order = held.order if wanted.kind == "law" else None
    return Passed(recipient, contract, instrument, order, activity.basis.removeprefix("eu-gdpr:"))


def barred_by(purpose: str, notice: Notice) -> str:
    """The clause by which a notice rules out that data is given to anybody for a purpose, or an empty string.

    Args:
        purpose: Such as `sale`.
        notice: A notice in force.
    """
    for clause in notice.all("never"):
        does = getattr(clause, "does", ())
        if (
            purpose in getattr(clause, "purposes", ())
            and not getattr(clause, "who", ())
            and "disclose" in (does or "disclose")
        ):
            return clause.id
    return ""


def _activity(wanted: Disclosure, notices: Iterable[Notice]) -> Purpose:
    for notice in notices:
        barring = barred_by(wanted.purpose, notice)
        if barring:
            raise DisclosureRefused("purpose", f"The notice rules out this purpose (§ {barring}).")
    for notice in notices:
        found = notice.find("purpose", wanted.purpose)
        if isinstance(found, Purpose):
            if not found.basis:
                raise DisclosureRefused("basis", f"The activity (§ {found.id}) has no lawful basis.")
            if wanted.category not in found.categories:
                raise DisclosureRefused("category", f"The activity (§ {found.id}) does not use this category of data.")
            return found
    raise DisclosureRefused("purpose", "No activity of the notice has this purpose.")


def _require_listed(wanted: Disclosure, recipient: Recipient, activity: Purpose) -> None:
    if wanted.category not in recipient.categories:
        raise DisclosureRefused(
            "category", f"{recipient.name} is not registered for this category of data.", hint="Change the register."
        )
    if wanted.purpose not in recipient.purposes:
        raise DisclosureRefused(
            "purpose", f"{recipient.name} is not registered for this purpose.", hint="Change the register."
        )
    if wanted.kind == "stated" and recipient.stands_under not in activity.recipients:
        raise DisclosureRefused(
            "stated", f"The notice does not name {recipient.name} for this activity (§ {activity.id})."
        )


def _require_kind(wanted: Disclosure, recipient: Recipient, held: Registers) -> Contract | None:
    rule = RULES.get(wanted.kind)
    if rule is None:
        raise DisclosureRefused("kind", "There is no such kind of disclosure.")
    if recipient.kind not in rule.to:
        raise DisclosureRefused("kind", f"{recipient.name} is no recipient for this kind of disclosure.")
    if [wanted.study_id is not None, wanted.account_id is not None, bool(wanted.totals)].count(True) != 1:
        raise DisclosureRefused("kind", "A disclosure is about one study, one account or one table of totals.")
    if (wanted.kind == "totals") != bool(wanted.totals) or (wanted.totals and wanted.totals not in TOTALS):
        raise DisclosureRefused("kind", "Totals leave as totals, and nothing else does.")
    match wanted.kind:
        case "law":
            _require_order(wanted, held)
        case "protection" if len(wanted.reason.strip()) < _SHORTEST_REASON:
            raise DisclosureRefused("reason", "Write down whom it protects and why it cannot wait.")
        case "merger" if wanted.told_on is None or wanted.told_on > held.now.date():
            raise DisclosureRefused("told", "The people have to be told before their data goes to a successor.")
        case "consent" if not any(claim in held.claims for claim in _consents(wanted, held.notices)):
            raise DisclosureRefused("consent", "The person has not said yes to this, or has taken it back.")
        case "totals" if guard_of(wanted.purpose, held.notices) is None:
            raise DisclosureRefused("guard", "No clause says how large a group has to be for this activity.")
        case "instruction" if not held.instructed:
            raise DisclosureRefused("instruction", "No instruction of the controller covers this.")
    return _require_contract(rule, recipient, held) if rule.contracts else None


def _require_order(wanted: Disclosure, held: Registers) -> None:
    order = held.order
    if order is None:
        raise DisclosureRefused("order", "No legal order is named.")
    if order.document_id is None:
        raise DisclosureRefused("document", "The document of the legal order is not on file.", hint="File it first.")
    if not order.holds(held.now):
        raise DisclosureRefused("order", "The legal order is not in force.")
    if wanted.study_id is not None and wanted.study_id not in order.study_ids:
        raise DisclosureRefused("scope", "The legal order is not about this study.")
    if wanted.account_id is not None and wanted.account_id not in order.study_ids:
        raise DisclosureRefused("scope", "The legal order is not about this account.")


def _consents(wanted: Disclosure, notices: Iterable[Notice]) -> frozenset[str]:
    """The consents of the notices that are about this purpose."""
    return frozenset(
        f"consent:{clause.key}"
        for notice in notices
        for clause in notice.all("consent")
        if wanted.purpose in getattr(clause, "purposes", ())
    )


def _require_contract(rule: Rule, recipient: Recipient, held: Registers) -> Contract:
    filed = [each for each in held.contracts if each.key == recipient.contract_key]
    if not filed:
        raise DisclosureRefused("contract", f"No contract with {recipient.name} is on file.", hint="File it first.")
    fitting = [each for each in filed if each.kind in rule.contracts]
    if not fitting:
        raise DisclosureRefused("contract", f"The contract with {recipient.name} is not of the kind that this needs.")
    holding = next((each for each in fitting if each.holds(held.now)), None)
    if holding is None and any(each.kind == "subprocessor" and not each.approved_by for each in fitting):
        raise DisclosureRefused("approval", f"Nobody has approved {recipient.name} as a sub-processor.")
    if holding is None:
        raise DisclosureRefused("contract", f"The contract with {recipient.name} has lapsed.", hint="Renew it.")
    return holding


def _require_way(recipient: Recipient, held: Registers) -> Instrument | None:
    if not is_abroad(held.origin, recipient.country):
        return None
    ways = [each for each in held.instruments if each.leads(held.origin, recipient)]
    holding = next((each for each in ways if each.holds(held.now)), None)
    if holding is not None:
        return holding
    way = f"from {held.origin} to {recipient.country}"
    if ways:
        raise DisclosureRefused("transfer", f"The instrument for transfers {way} is not valid any more.")
    raise DisclosureRefused("transfer", f"There is no instrument on file for transfers {way}.", hint="File one.")
