"""Objections (GDPR Art. 21): decided by the basis of the activity, with the reason, and felt by the next decision."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from troth.notice import MARKETING, NoticeVersion, Purpose
from troth.people.choices.consents import Consents
from troth.people.choices.model import Choice, Said
from troth.people.errors import ChoiceNotFound
from troth.policy import Permit

# GDPR Art. 21(1): against a public task and a legitimate interest, where a notice grants no more.
_BY_LAW = ("A6-1-e", "A6-1-f")


@dataclass(frozen=True, slots=True)
class Activity:
    """One activity, and what an objection to it comes to.

    Attributes:
        key: The purpose.
        clause: Its clause.
        sentence: What it says.
        is_granted: An objection would be granted.
        ground: Why, in one sentence.
        right_clause: The clause that grants the right to object; empty where the law alone does.
    """

    key: str
    clause: str
    sentence: str
    basis: str
    is_granted: bool
    ground: str
    right_clause: str


class Objections(Consents):
    """The part of `Choices` that decides objections."""

    async def activities_for(self, permit: Permit, holder_id: UUID) -> list[Activity]:
        """The activities that concern a person, with what an objection to each would come to: shown before.

        Args:
            permit: To see or make choices of this person.
            holder_id: The subject or account.
        """
        holder = await self.holder(permit, holder_id, ("choose", "open_request", "see_request", "decide_request"))
        found: dict[str, Activity] = {}
        for version in await self.versions_for(holder):
            for clause in version.notice.all("purpose"):
                if isinstance(clause, Purpose) and holder.audience in clause.audiences:
                    found.setdefault(clause.key, weighed(version, clause))
        return list(found.values())

    async def object_to(self, permit: Permit, holder_id: UUID, purpose: str, said: Said | None = None) -> Choice:
        """Object to an activity. What comes of it is in the state: `granted` or `refused`, with the ground.

        Args:
            permit: To `choose`, about this person.
            holder_id: Who objects.
            purpose: Key of the activity.
            said: How, and why; a reason is not asked for.

        Raises:
            ChoiceNotFound: No notice in force has the activity.
        """
        holder = await self.holder(permit, holder_id)
        version, clause = await self.clause_for(holder, "purpose", purpose)
        if not isinstance(clause, Purpose):
            raise ChoiceNotFound
        found = weighed(version, clause)
        return await self._record(
            permit, holder, "objection", purpose, "granted" if found.is_granted else "refused", version,
            said=said or Said(), event="people:objection:decided", clause=clause,
            more={"ground": found.ground, "decided_by_clause": found.right_clause, "lawful_basis": clause.basis},
        )  # fmt: skip

    async def withdraw_objection(
        self, permit: Permit, holder_id: UUID, purpose: str, said: Said | None = None
    ) -> Choice:
        """Take an objection back: the activity may go on.

        Raises:
            ChoiceNotFound: None stands.
        """
        if not await self._stands(permit, holder_id, "objection", purpose, "granted"):
            raise ChoiceNotFound(hint="No objection stands.")
        holder = await self.holder(permit, holder_id)
        version, clause = await self.clause_for(holder, "purpose", purpose)
        return await self._record(
            permit, holder, "objection", purpose, "withdrawn", version,
            said=said or Said(), event="people:objection:decided", clause=clause,
        )  # fmt: skip


def weighed(version: NoticeVersion, clause: Purpose) -> Activity:
    """What an objection to an activity comes to, by its basis.

    Args:
        version: The notice.
        clause: The activity.

    Per: GDPR Art. 21(1) to (3).
    """
    notice = version.notice
    words = next((row.words for row in clause.kept(notice) if row.term == "Basis"), clause.basis)
    try:
        terms = notice.right("object")
    except KeyError:
        right_clause, stands = "", clause.basis.endswith(_BY_LAW)
    else:
        right_clause, stands = terms.clause_id, terms.stands_against(clause.basis)
    is_marketing = clause.key in MARKETING or any(
        clause.key in getattr(each, "purposes", ()) for each in notice.all("marketing")
    )
    if is_marketing:
        stands, ground = True, "Against messages that advertise you can always object, and nobody weighs it."
    elif stands:
        ground = f"It rests on {_rests(words)}. Your objection weighs more, so we stop."
    else:
        ground = f"It rests on {_rests(words)}. Against that an objection does not help."
    return Activity(
        key=clause.key,
        clause=clause.id,
        sentence=clause.sentence(notice),
        basis=words,
        is_granted=stands,
        ground=ground,
        right_clause=right_clause,
    )


def _rests(words: str) -> str:
    """The words of a basis, where they do not say what it rests on but what for."""
    return f"the need {words}" if words.startswith("to ") else words
