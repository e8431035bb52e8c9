"""What people chose: consents, channels, objections, versions, restrictions, ages; and what heeds it."""

from __future__ import annotations

from troth.people.choices.facts import ChoiceFacts
from troth.people.choices.model import Agreed, Choice, Holder, Proposal, Receipt, Restriction, Said
from troth.people.choices.objections import Activity
from troth.people.choices.proposals import UnusedAccount
from troth.people.choices.rows_store import ChoiceRows
from troth.people.choices.service import Choices, message_to

__all__ = [
    "Activity",
    "Agreed",
    "Choice",
    "ChoiceFacts",
    "ChoiceRows",
    "Choices",
    "Holder",
    "Proposal",
    "Receipt",
    "Restriction",
    "Said",
    "UnusedAccount",
    "message_to",
]
