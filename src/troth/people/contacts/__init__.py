"""People whom others named to us: where each record came from, what they are told, how long it stays."""

from __future__ import annotations

from troth.people.contacts.facts import SourceFacts
from troth.people.contacts.ground import WORKER
from troth.people.contacts.model import ContactRecord, Disposal, Due, PeopleList, Preview
from troth.people.contacts.service import Contacts
from troth.people.contacts.terms import Origin, origins

__all__ = [
    "WORKER",
    "ContactRecord",
    "Contacts",
    "Disposal",
    "Due",
    "Origin",
    "PeopleList",
    "Preview",
    "SourceFacts",
    "origins",
]
