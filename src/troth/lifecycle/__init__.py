"""Legal holds: what a court or the law says must stay is not erased. The face of the room."""

from __future__ import annotations

from troth.lifecycle.contacts import ContactDisposal
from troth.lifecycle.errors import HoldIncomplete, HoldNotFound
from troth.lifecycle.facts import LifecycleFacts
from troth.lifecycle.model import Hold, HoldScope
from troth.lifecycle.overdue import Overdue, Overdues
from troth.lifecycle.service import Lifecycle
from troth.lifecycle.unused import UnusedAccounts

__all__ = [
    "ContactDisposal",
    "Hold",
    "HoldIncomplete",
    "HoldNotFound",
    "HoldScope",
    "Lifecycle",
    "LifecycleFacts",
    "Overdue",
    "Overdues",
    "UnusedAccounts",
]
