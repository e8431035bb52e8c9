"""The forms of the registers: their fields, and from what was typed to values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from troth.doors.web import forms
from troth.doors.web.forms import Fault
from troth.exchange import (
    CONTRACT_KINDS,
    DISCLOSURE_KINDS,
    INSTRUMENT_KINDS,
    ORDER_KINDS,
    RECIPIENT_KINDS,
    TOTALS,
    RegisterMalformed,
)

Known = Mapping[str, tuple[tuple[str, str], ...]]
"""Words of the notice and of the registers, each as it is kept and as people read it, by what they are of."""
_NO_ID = "This is not one of our ids."
CHOSEN = frozenset({"select", "date"})
"""Types of fields in which one chooses and does not write."""


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field of a form.

    Attributes:
        type: `text`, `date`, `area` or `select`.
        options: For a choice: value and label.
        known: Words of which the field takes several, with blanks between; empty where it does not.
    """

    name: str
    label: str
    hint: str
    type: str
    value: str
    is_optional: bool
    options: tuple[tuple[str, str], ...] = ()
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """A field as it is declared.

    Attributes:
        of: What its words are of, such as `categories`; one is chosen from a list, or several are written.
    """

    name: str
    label: str
    hint: str = ""
    type: str = "text"
    is_optional: bool = False
    options: tuple[str, ...] = ()
    of: str = ""
    takes_several: bool = False

    @property
    def is_chosen(self) -> bool:
        """One chooses in it and does not write."""
        return self.type in CHOSEN or bool(self.of and not self.takes_several)

    def view(self, typed: Mapping[str, str], known: Known) -> FieldView:
        """The field with what was typed.

        Args:
            typed: By name of the field.
            known: Words of the notice and of the registers.
        """
        options, words, kind = tuple((each, said(each)) for each in self.options), known.get(self.of, ()), self.type
        if self.of and not self.takes_several:
            # Nothing is chosen beforehand: whoever sends data chooses to whom.
            options, words, kind = words if self.is_optional else (("", "Choose"), *words), (), "select"
        several = tuple(value for value, _ in words)
        return FieldView(
            self.name, self.label, self.hint, kind, typed.get(self.name, ""), self.is_optional, options, several
        )


_KEY = FieldTerm("key", "Short name", "Small letters, digits and underscores; the notice and other rows refer to it.")
_FROM = FieldTerm("valid_from", "First day", type="date")
_UNTIL = FieldTerm("valid_until", "Ends on", type="date", is_optional=True)
_DOCUMENT = FieldTerm("document", "Its text", "It is sealed and kept.", "area", is_optional=True)
_SCOPE = FieldTerm("scope", "What it demands", type="area")
_COUNTRY = FieldTerm("country", "Country", "ISO 3166 code, such as GB.")

FORMS: Mapping[str, tuple[FieldTerm, ...]] = {
    "recipients": (
        _KEY,
        FieldTerm("name", "Name"),
        FieldTerm("kind", "What it is to us", type="select", options=RECIPIENT_KINDS),
        FieldTerm("address", "Address", "A patient who asks who received something reads it.", is_optional=True),
        _COUNTRY,
        FieldTerm(
            "stands_under", "Recipient of the notice", "Whose sentence covers it.", is_optional=True, of="outside"
        ),
        FieldTerm("categories", "Data it may receive", of="categories", takes_several=True),
        FieldTerm("purposes", "What for", of="purposes", takes_several=True),
        FieldTerm("contract_key", "Contract", "On file here.", is_optional=True, of="contracts"),
        FieldTerm("peer_ae", "AE title", "Of its registered system.", is_optional=True),
        FieldTerm("email", "E-mail", "Where mail for it goes.", is_optional=True),
    ),
    "contracts": (
        _KEY,
        FieldTerm("kind", "Kind", type="select", options=CONTRACT_KINDS),
        FieldTerm("party", "Other party"),
        FieldTerm("approved_by", "Approved by", "For a sub-processor: which controller.", is_optional=True),
        _FROM,
        _UNTIL,
        _DOCUMENT,
    ),
    "instruments": (
        _KEY,
        FieldTerm("kind", "Kind", type="select", options=INSTRUMENT_KINDS),
        FieldTerm("origin", "From", "ISO 3166 code, or EEA."),
        FieldTerm("destination", "To", "ISO 3166 code, or EEA."),
        FieldTerm("recipient_key", "Only for", "Left empty, for all of them.", is_optional=True, of="recipients"),
        _FROM,
        _UNTIL,
        _DOCUMENT,
    ),
    "orders": (
        FieldTerm("kind", "Kind", type="select", options=ORDER_KINDS),
        FieldTerm("authority", "Authority"),
        _COUNTRY,
        _SCOPE,
        FieldTerm("studies", "Studies or accounts it is about", "Our ids, with blanks between.", is_optional=True),
        _FROM,
        _UNTIL,
        _DOCUMENT,
    ),
    "instructions": (
        _KEY,
        FieldTerm("words", "What we are told to do", type="area"),
        FieldTerm("actions", "Actions it covers", of="actions", takes_several=True),
        FieldTerm("purposes", "Purposes it covers", of="purposes", takes_several=True),
        _FROM,
        _UNTIL,
    ),
    "disclosures": (
        FieldTerm("kind", "On which ground", type="select", options=DISCLOSURE_KINDS),
        FieldTerm("recipient", "To", of="recipients"),
        FieldTerm("study", "Study", "Our id of it.", is_optional=True),
        FieldTerm("account", "Account", "Our id of it, instead of a study.", is_optional=True),
        FieldTerm("totals", "Totals", "Counts instead of either.", "select", is_optional=True, options=tuple(TOTALS)),
        FieldTerm("category", "Data", of="categories"),
        FieldTerm("purpose", "What for", of="purposes"),
        FieldTerm("order", "Legal order", "Our id of it.", is_optional=True),
        FieldTerm("told_on", "People were told on", "When the organisation changes hands.", "date", is_optional=True),
        FieldTerm("reason", "Why it cannot wait", "When it protects somebody.", "area", is_optional=True),
    ),
}


def said(word: str) -> str:
    """A word of a register, as people read it."""
    return {
        "baa": "business associate agreement",
        "scc": "standard contractual clauses",
        "bcr": "binding corporate rules",
        "adequacy": "adequacy decision",
        "privacy_shield": "Privacy Shield",
        "law": "a legal order",
        "affiliate": "a company of our group",
        "service": "a service provider",
        "stated": "as the notice states",
        "merger": "a merger or sale of the business",
        "protection": "to protect somebody",
        "totals": "totals in which nobody can be found",
    }.get(word, word.replace("_", " "))


def missing(name: str, typed: Mapping[str, str]) -> tuple[Fault, ...]:
    """What has to be in the form of a register and is not, each at its field.

    Args:
        name: Of the register.
        typed: By name of the field.
    """
    return tuple(
        Fault(f"{name}-{each.name}", f"{'Choose' if each.is_chosen else 'Write'}: {each.label.lower()}")
        for each in FORMS[name]
        if not each.is_optional and not typed.get(each.name, "").strip()
    )


def listed(typed: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The words of a field."""
    return tuple(re.split(r"[\s,]+", typed.get(name, "").strip())) if typed.get(name, "").strip() else ()


def day(typed: Mapping[str, str], name: str) -> date:
    """A day that has to be there.

    Raises:
        RegisterMalformed: It is not.
    """
    found = day_or_none(typed, name)
    if found is None:
        raise RegisterMalformed("Name the first day.")
    return found


def day_or_none(typed: Mapping[str, str], name: str) -> date | None:
    """A day, or None.

    Raises:
        RegisterMalformed: Something else was typed.
    """
    text = typed.get(name, "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise RegisterMalformed("A day is written as 2026-11-30.") from None


def id_or_none(typed: Mapping[str, str], name: str) -> UUID | None:
    """One of our ids, or None.

    Raises:
        RegisterMalformed: Something else was typed.
    """
    text = typed.get(name, "")
    return forms.as_uuid(text, RegisterMalformed(_NO_ID)) if text else None


def ids(typed: Mapping[str, str], name: str) -> tuple[UUID, ...]:
    """Our ids in a field.

    Raises:
        RegisterMalformed: Something else was typed.
    """
    return tuple(forms.as_uuid(each, RegisterMalformed(_NO_ID)) for each in listed(typed, name))
