"""From rows of the registers to what they mean."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from troth.exchange.model import Contract, Instruction, Instrument, LegalOrder, Recipient, Term
from troth.kit.db import Row

Opened = Callable[[Row, str], str]
"""Unseals a field of a row."""


def recipient(row: Row) -> Recipient:
    """A recipient."""
    return Recipient(
        id=row["id"],
        tenant=row["tenant"],
        key=row["key"],
        stands_under=row["stands_under"],
        name=row["name"],
        kind=row["kind"],
        address=row["address"],
        country=row["country"],
        categories=tuple(row["categories"]),
        purposes=tuple(row["purposes"]),
        contract_key=row["contract_key"],
        peer_id=row["peer_id"],
        email=row["email"],
        made_at=row["made_at"],
        ended_at=row["ended_at"],
    )


def contract(row: Row) -> Contract:
    """A contract."""
    return Contract(
        id=row["id"],
        tenant=row["tenant"],
        key=row["key"],
        kind=row["kind"],
        party=row["party"],
        approved_by=row["approved_by"],
        term=_term(row, row["ended_at"]),
        document_id=row["document_id"],
        end_reason=row["end_reason"],
    )


def instrument(row: Row) -> Instrument:
    """An instrument for transfers."""
    return Instrument(
        id=row["id"],
        tenant=row["tenant"],
        key=row["key"],
        kind=row["kind"],
        origin=row["origin"],
        destination=row["destination"],
        recipient_key=row["recipient_key"],
        term=_term(row, row["invalidated_at"]),
        document_id=row["document_id"],
        reason=row["reason"],
    )


def instruction(row: Row, opened: Opened) -> Instruction:
    """An instruction of a controller."""
    return Instruction(
        id=row["id"],
        tenant=row["tenant"],
        key=row["key"],
        words=opened(row, "words"),
        actions=tuple(row["actions"]),
        purposes=tuple(row["purposes"]),
        term=_term(row, row["revoked_at"]),
    )


def order(row: Row, opened: Opened) -> LegalOrder:
    """A legal order."""
    return LegalOrder(
        id=row["id"],
        tenant=row["tenant"],
        kind=row["kind"],
        authority=row["authority"],
        country=row["country"],
        scope=opened(row, "scope"),
        study_ids=tuple(row["study_ids"]),
        document_id=row["document_id"],
        term=_term(row, row["ended_at"]),
        answer=row["answer"],
        made_by=row["made_by"],
        reviewed_by=row["reviewed_by"],
    )


def _term(row: Row, ended_at: datetime | None) -> Term:
    return Term(row["valid_from"], row["valid_until"], ended_at)
