"""From the registers to the tables that the office reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from troth.doors.web import words
from troth.doors.web.office.exchange_forms import FORMS, Known, said
from troth.doors.web.office.exchange_views import RegisterView, RowView
from troth.doors.web.places import place
from troth.exchange import PLATFORM, Contract, Exchange, Instruction, Instrument, LegalOrder, Recipient, Term
from troth.kit import clock
from troth.notice import ACTIONS, Notice
from troth.policy import Permit

TITLES: Mapping[str, tuple[str, str, str, tuple[str, ...]]] = {
    "recipients": (
        "Recipients", "Nobody outside receives anything.", "Register a recipient",
        ("Recipient", "Where", "Data", "What for", "Contract"),
    ),
    "contracts": (
        "Contracts", "No contract is on file.", "File a contract", ("Contract", "With", "Kind", "Until", "Approved by"),
    ),
    "instruments": (
        "Transfer instruments", "No instrument is on file here.", "File an instrument",
        ("Instrument", "From", "To", "Kind", "Until"),
    ),
    "orders": (
        "Legal orders and requests of governments", "No order has come in.", "Register an order",
        ("Authority", "Country", "Demands", "Document", "Answer"),
    ),
    "instructions": (
        "Instructions", "No instruction is in force.", "Give an instruction",
        ("Instruction", "What it says", "Actions", "Purposes", "Until"),
    ),
}  # fmt: skip

PAGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "recipients": ("Recipients", ("recipients", "contracts")),
    "transfers": ("Transfers and orders", ("instruments", "orders")),
    "instructions": ("Instructions", ("instructions",)),
}
"""Pages, their headings and registers."""

REASONED = frozenset({"instruments", "orders"})
"""Registers in which whoever ends a row has to say why."""


async def known_words(exchange: Exchange, permit: Permit, notices: Sequence[Notice]) -> Known:
    """The words that the forms may be filled with: of the notices in force, and of the registers.

    Args:
        exchange: The room.
        permit: `keep_register`, or `instruct`.
        notices: In force.
    """
    outside = {
        clause.key for each in notices for clause in each.all("recipient") if getattr(clause, "is_outside", False)
    }
    found: dict[str, set[tuple[str, str]]] = {
        "categories": {(clause.key, said(clause.key)) for each in notices for clause in each.all("category")},
        "purposes": {(clause.key, words.purpose(clause.key)) for each in notices for clause in each.all("purpose")},
        "outside": {(key, said(key)) for key in outside},
        "actions": {(each, said(each)) for each in ACTIONS},
        "contracts": {
            (each.key, f"{each.party} ({each.key})") for each in await exchange.contracts(permit) if _is_open(each.term)
        },
        "recipients": {
            (each.key, f"{each.name}, {place(each.country)}")
            for each in await exchange.recipients(permit)
            if each.ended_at is None
        },
    }
    return {name: tuple(sorted(each, key=lambda one: one[1].lower())) for name, each in found.items()}


async def register(
    exchange: Exchange,
    permit: Permit,
    name: str,
    typed: Mapping[str, str],
    known: Known,
    base: str = "/office",
) -> RegisterView:
    """One register as a table with its form.

    Args:
        exchange: The room.
        permit: `keep_register`, or `instruct` for instructions.
        name: Which.
        typed: What was typed into its form, to be shown again.
        known: Words that it may be filled with.
        base: Where its forms lead to.
    """
    title, nothing, add_title, columns = TITLES[name]
    read: Mapping[str, Callable[[Permit], Any]] = {
        "recipients": exchange.recipients,
        "contracts": exchange.contracts,
        "instruments": exchange.instruments,
        "orders": exchange.orders,
        "instructions": exchange.instructions,
    }
    held: Sequence[Any] = await read[name](permit)
    return RegisterView(
        name=name,
        title=title,
        nothing=nothing,
        columns=columns,
        rows=tuple(_row(name, each, permit, base) for each in held),
        add_title=add_title,
        add_path=f"{base}/{name}",
        fields=tuple(each.view(typed, known) for each in FORMS[name]),
    )


def _row(name: str, held: Any, permit: Permit, base: str) -> RowView:
    now = clock.now()
    cells, state, is_open = _CELLS[name](held, now)
    is_own = held.tenant == (PLATFORM if permit.target.kind == "platform" else permit.tenant)
    end_words = {"instruments": "Declare invalid", "instructions": "Revoke", "orders": "Close"}.get(name, "End")
    return RowView(
        id=str(held.id),
        cells=cells,
        state=state,
        end_path=f"{base}/{name}/{held.id}/end" if is_open and is_own else "",
        end_words=end_words,
        needs_reason=name in REASONED,
        review_path=f"/office/orders/{held.id}/review" if is_own and is_open and _waits(held, permit) else "",
    )


def _waits(held: Any, permit: Permit) -> bool:
    """Whether it is an order that whoever looks at the page could review."""
    is_order = isinstance(held, LegalOrder) and held.document_id is not None
    return is_order and held.reviewed_by is None and held.made_by != permit.actor.id


_Cells = tuple[tuple[str, ...], tuple[str, str], bool]


def _recipient(held: Recipient, now: datetime) -> _Cells:
    is_open = held.ended_at is None
    cells = (
        held.name,
        place(held.country),
        " ".join(held.categories),
        " ".join(held.purposes),
        held.contract_key or "none",
    )
    return cells, ("kept", "registered") if is_open else ("refused", "ended"), is_open


def _contract(held: Contract, now: datetime) -> _Cells:
    cells = (held.key, held.party, said(held.kind), _until(held.term), held.approved_by or "not needed")
    if held.kind == "subprocessor" and not held.approved_by:
        return (*cells[:-1], "nobody"), ("refused", "not approved"), _is_open(held.term)
    return cells, _state(held.holds(now)), _is_open(held.term)


def _instrument(held: Instrument, now: datetime) -> _Cells:
    cells = (held.key, place(held.origin), place(held.destination), said(held.kind), _until(held.term))
    return cells, _state(held.holds(now)), _is_open(held.term)


def _order(held: LegalOrder, now: datetime) -> _Cells:
    document = "on file" if held.document_id is not None else "not on file"
    document += ", read by a second person" if held.is_reviewed else ", waits for a second person to read it"
    cells = (held.authority, place(held.country), held.scope, document, held.answer or "none yet")
    return cells, _state(held.holds(now)), held.term.ended_at is None


def _instruction(held: Instruction, now: datetime) -> _Cells:
    cells = (held.key, held.words, " ".join(held.actions), " ".join(held.purposes), _until(held.term))
    return cells, _state(held.term.holds(now)), _is_open(held.term)


_CELLS: Mapping[str, Callable[[Any, datetime], _Cells]] = {
    "recipients": _recipient,
    "contracts": _contract,
    "instruments": _instrument,
    "orders": _order,
    "instructions": _instruction,
}


def _state(holds: bool) -> tuple[str, str]:
    return ("kept", "in force") if holds else ("refused", "not in force")


def _is_open(term: Term) -> bool:
    """Whether there is something left to end: it was not ended, and its last day is not over."""
    return term.ended_at is None and (term.until is None or clock.now().date() <= term.until)


def _until(term: Term) -> str:
    if term.ended_at is not None:
        return f"ended {words.day(term.ended_at.date())}"
    return words.day(term.until) if term.until is not None else "no end"
