"""What a request to erase comes to, study by study: pure.

A study is erased when no law keeps it: the retention clause of the notice gives the day from which it is due. Before
that day the answer for this study is a refusal with its ground, its clause and its end (GDPR Art. 17(3)(b) and (c)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Protocol
from uuid import UUID

from troth.archive import StudySummary
from troth.kit import clock, ids
from troth.notice import Notice
from troth.policy import Permit, Target
from troth.rights.model import Item, Outcome

STUDY = "imaging_study"
MODALITIES = {
    "CT": "CT scan", "MR": "MR scan", "CR": "X-ray", "DX": "X-ray", "US": "Ultrasound", "MG": "Mammogram",
    "PT": "PET scan", "NM": "Nuclear scan", "XA": "Angiogram", "RF": "Fluoroscopy", "SR": "Report", "OT": "Images",
}  # fmt: skip


class Standing(Protocol):
    """A legal hold that is in force."""

    @property
    def review_on(self) -> date:
        """When somebody looks whether it is still needed."""

    @property
    def ends_on(self) -> date | None:
        """Its last day, where that is known."""


class Holds(Protocol):
    """Who knows of legal holds; `main` binds it, because that room is a neighbour."""

    async def holds_on(self, permit: Permit, target: Target) -> Sequence[Standing]:
        """Holds in force that cover a study."""
        ...


def title_of(study: StudySummary) -> str:
    """What a person calls a study, such as "CT scan of the head · 14 Nov 2026"."""
    kind = next((MODALITIES[name] for name in study.modalities if name in MODALITIES), "Images")
    day = f"{study.study_date.day} {study.study_date:%b %Y}" if study.study_date else "no date"
    return f"{study.description or kind} · {day}"


def kept_until(study: StudySummary, birth_date: date | None, notice: Notice) -> date:
    """The day from which no law keeps a study any more.

    Args:
        study: The study.
        birth_date: Of the subject, where known: children's studies are kept longer.
        notice: The notice in force.
    """
    return notice.retention(STUDY).dispose_on(study.study_date or study.stored_at.date(), birth_date)


def decision_on(study: StudySummary, birth_date: date | None, notice: Notice, item_id: UUID | None = None) -> Item:
    """Whether a study would be erased today, or why not and until when.

    Args:
        study: The study.
        birth_date: Of the subject, where known.
        notice: The notice in force.
        item_id: Id of the item where there is one already.
    """
    terms = notice.retention(STUDY)
    until = kept_until(study, birth_date, notice)
    item = Item(
        id=item_id or ids.uuid7(),
        kind="study",
        target_id=study.id,
        title=title_of(study),
        outcome=Outcome.WAITING,
        clause=terms.clause_id,
    )
    if until <= clock.today():
        return item
    law = f" The law behind it: {terms.law.source}." if terms.law is not None else ""
    return replace(item, outcome=Outcome.REFUSED, ground=terms.sentence(notice) + law, until=until)


def held_back(item: Item, holds: Sequence[Standing], notice: Notice) -> Item:
    """What would be erased, but is under a legal hold: refused with its ground and end.

    Args:
        item: As the retention clause decided it.
        holds: Holds in force on the study.
        notice: The notice in force.
    """
    if item.outcome is Outcome.REFUSED or not holds:
        return item
    ends = [hold.ends_on for hold in holds]
    until = None if None in ends else max(day for day in ends if day is not None)
    review = min(hold.review_on for hold in holds)
    clause = next(iter(notice.all("hold")), None)
    says = clause.sentence(notice) if clause is not None else ""
    look = f"A legal hold is on it; we look on {review.day} {review:%B %Y} whether it is still needed."
    ground = f"{says} {look}".strip()
    return replace(item, outcome=Outcome.REFUSED, ground=ground, clause=clause.id if clause else "", until=until)
