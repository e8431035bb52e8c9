"""What a person is told with a copy, field by field, out of the notice in force: nothing is written here by hand.

Per: GDPR Art. 15(1)(a) to (h) and 15(2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any

from troth.notice import Clause, Notice, Period

AUDIENCE = "patients"


def told(notice: Notice) -> dict[str, Any]:
    """All fields of Art. 15 as the notice in force answers them.

    Args:
        notice: The notice in force.
    """
    purposes = [clause for clause in _of(notice, "purpose") if getattr(clause, "access", ())]
    unused = [clause for clause in _of(notice, "purpose") if clause not in purposes]
    contacts = _of(notice, "contact")
    return {
        "who": [_said(notice, each) for each in (*_contacts(contacts, "company", "dpo", "representative"),
                                                 *_of(notice, "capacity", "instruction"))],
        "15_1_a_purposes": [_said(notice, each) for each in purposes],
        "15_1_a_purposes_not_in_use": [_said(notice, each) for each in unused],
        "15_1_a_never": [_said(notice, each) for each in _of(notice, "never")],
        "15_1_b_categories": [_said(notice, each) for each in _of(notice, "category")],
        "15_1_c_recipients": [_said(notice, each) for each in _of(notice, "recipient", "sharing")],
        "15_1_d_period": [_said(notice, each) for each in _of(notice, "retention", "hold")],
        "15_1_e_rights": [_said(notice, each) for each in _of(notice, "right")],
        "15_1_f_complaint": [_said(notice, each) for each in _contacts(contacts, "authority", "complaints")],
        "15_1_g_sources": [_said(notice, each) for each in _of(notice, "source")],
        "15_1_h_automated_decisions": _automation(notice),
        "15_2_transfers_and_safeguards": {
            "where": [_said(notice, each) for each in _of(notice, "residency")],
            "recipients_outside": [
                _said(notice, each) for each in _of(notice, "recipient") if getattr(each, "is_outside", False)
            ],
            "safeguards": [_said(notice, each) for each in _of(notice, "safeguard", "logging")],
        },
    }  # fmt: skip


def _automation(notice: Notice) -> dict[str, Any]:
    """Whether any activity decides by itself, or advises those who decide (Art. 22)."""
    purposes = _of(notice, "purpose")
    advising = [each for each in purposes if getattr(each, "automation", "none") != "none"]
    deciding = [each for each in advising if getattr(each, "automation", "none") != "advice"]
    return {
        "decides_by_itself": [_said(notice, each) for each in deciding],
        "advises_a_person": [_said(notice, each) for each in advising],
    }


def _of(notice: Notice, *kinds: str) -> list[Clause]:
    return [clause for kind in kinds for clause in notice.all(kind) if AUDIENCE in clause.audiences]


def _contacts(contacts: Iterable[Clause], *of: str) -> list[Clause]:
    return [clause for wanted in of for clause in contacts if getattr(clause, "of", "") == wanted]


def _said(notice: Notice, clause: Clause) -> dict[str, Any]:
    """A clause: its number, its sentence, how it is kept, its terms."""
    passed_over = {"id", "says", "promises", "audiences"}
    return {
        "clause": clause.id,
        "says": clause.sentence(notice),
        "kept": _kept(notice, clause),
        "terms": {name: plain(value) for name, value in clause.content().items() if name not in passed_over},
    }


def _kept(notice: Notice, clause: Clause) -> dict[str, str]:
    """How a clause is kept; what stands under one head is joined."""
    rows: dict[str, str] = {}
    for row in clause.kept(notice):
        rows[row.term] = f"{rows[row.term]}; {row.words}" if row.term in rows else row.words
    return rows


def plain(value: Any) -> Any:
    """A term of a clause as JSON can hold it."""
    if isinstance(value, Period):
        return value.words
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    return value
