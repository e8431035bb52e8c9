"""Leaving the organisation: registers of recipients and what they rest on, the one gate, the accounting."""

from __future__ import annotations

from troth.exchange.errors import (
    DisclosureRefused,
    NotDelivered,
    RegisterMalformed,
    RowNotFound,
    SaleBarred,
    WrongPermit,
)
from troth.exchange.facts import ExchangeFacts
from troth.exchange.model import (
    AGREEMENT,
    CONTRACT_KINDS,
    DISCLOSURE_KINDS,
    INSTRUMENT_KINDS,
    ORDER_KINDS,
    PLATFORM,
    RECIPIENT_KINDS,
    Accounted,
    Contract,
    Disclosure,
    Instruction,
    Instrument,
    LegalOrder,
    Recipient,
    Term,
)
from troth.exchange.registers import Affected
from troth.exchange.requests import Way
from troth.exchange.room import Send
from troth.exchange.service import Departure, Exchange
from troth.exchange.totals import TOTALS

__all__ = [
    "AGREEMENT",
    "CONTRACT_KINDS",
    "DISCLOSURE_KINDS",
    "INSTRUMENT_KINDS",
    "ORDER_KINDS",
    "PLATFORM",
    "RECIPIENT_KINDS",
    "TOTALS",
    "Accounted",
    "Affected",
    "Contract",
    "Departure",
    "Disclosure",
    "DisclosureRefused",
    "Exchange",
    "ExchangeFacts",
    "Instruction",
    "Instrument",
    "LegalOrder",
    "NotDelivered",
    "Recipient",
    "RegisterMalformed",
    "RowNotFound",
    "SaleBarred",
    "Send",
    "Term",
    "Way",
    "WrongPermit",
]
