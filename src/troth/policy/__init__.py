"""The one place that decides. The face of the room."""

from __future__ import annotations

from troth.ledger import NOTHING, Clear, act, entry, refs
from troth.policy import belief
from troth.policy.decision import Verdict
from troth.policy.errors import NotInLevel, PermitDenied
from troth.policy.facts import Distrusted, Facts, FactSet, Instructed
from troth.policy.filtering import Column, Columns, Filter, RowFacts
from troth.policy.model import Actor, ActorKind, Permit, Target
from troth.policy.service import PERMIT_LIFETIME, OnRefusal, Policy

__all__ = [
    "NOTHING",
    "PERMIT_LIFETIME",
    "Actor",
    "ActorKind",
    "Clear",
    "Column",
    "Columns",
    "Distrusted",
    "FactSet",
    "Facts",
    "Filter",
    "Instructed",
    "NotInLevel",
    "OnRefusal",
    "Permit",
    "PermitDenied",
    "Policy",
    "RowFacts",
    "Target",
    "Verdict",
    "act",
    "belief",
    "entry",
    "refs",
]
