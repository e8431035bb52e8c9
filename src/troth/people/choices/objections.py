"""Objections (GDPR Art. 21): decided by the basis of the activity, with the reason, and felt by the next decision."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from troth.notice import MARKETING, NoticeVersion, Purpose
from troth.people.choices import store
from troth.people.choices.consents import Consents
from troth.people.choices.model import Choice, Said, State
from troth.people.errors import ChoiceNotFound, PersonNeeded
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
        is_weighed: A person decides; where it can help, the activity rests until then (GDPR Art. 18(1)(d)).
    """

    key: str
    clause: str
    sentence: str
    basis: str
    is_granted: bool
    ground: str
    right_clause: str
    is_weighed: bool = False


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
                if isinstance(clause, Purpose) and _concerns(version, clause, holder.audience):
                    found.setdefault(clause.key, weighed(version, clause))
        return list(found.values())

    async def object_to(self, permit: Permit, holder_id: UUID, purpose: str, said: Said | None = None) -> Choice:
        """Object to an activity. What comes of it is in the state: `granted` or `refused`, with the ground.

        Where the notice says that a person decides, it is `waiting`, and the activity rests meanwhile.

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
        state: State = "waiting" if found.is_weighed else "granted" if found.is_granted else "refused"
        event = "people:objection:queued" if found.is_weighed else "people:objection:decided"
        return await self._record(
            permit, holder, "objection", purpose, state, version,
            said=said or Said(), event=event, clause=clause,
            more={"ground": found.ground, "decided_by_clause": found.right_clause, "lawful_basis": clause.basis},
        )  # fmt: skip

    async def waiting_objections(self, permit: Permit) -> list[Choice]:
        """Objections that wait for a person in the permit's organisation, oldest first.

        Args:
            permit: To `decide_request` in the organisation.
        """
        if permit.action != "decide_request":
            raise ChoiceNotFound
        async with self._db.transaction(permit) as connection:
            rows = await store.waiting(connection)
        return [self._choice(row, await self.holder(permit, row["holder_id"])) for row in rows]

    async def decide_objection(self, permit: Permit, choice_id: UUID, reason: str, *, is_granted: bool) -> Choice:
        """Write what a person decided about an objection; refused, the activity may go on from then.

        Args:
            permit: To `decide_request` in the organisation, of a person.
            choice_id: The objection that waits.
            reason: Why; the person reads it.
            is_granted: The activity stays stopped.

        Raises:
            PersonNeeded: The permit is a program's, or no reason is given.
            ChoiceNotFound: Nothing of this id waits.
        """
        said = " ".join(reason.split())
        if permit.action != "decide_request" or permit.actor.kind != "user" or permit.actor.id is None or not said:
            raise PersonNeeded
        async with self._db.transaction(permit) as connection:
            row = await store.choice(connection, choice_id)
        if row is None or row["kind"] != "objection" or row["state"] != "waiting" or not row["is_current"]:
            raise ChoiceNotFound(hint="Somebody decided it, or it was taken back.")
        holder = await self.holder(permit, row["holder_id"])
        version, clause = await self.clause_for(holder, "purpose", row["key"])
        held = self._opened(row, holder)
        return await self._record(
            permit, holder, "objection", row["key"], "granted" if is_granted else "refused", version,
            said=Said(how="page", reason=said), event="people:objection:decided", clause=clause, instead_of=choice_id,
            more={
                "ground": said,
                "decided_by": permit.actor.name,
                "decided_by_clause": held.get("decided_by_clause", ""),
                "lawful_basis": held.get("lawful_basis", ""),
            },
        )  # fmt: skip

    async def withdraw_objection(
        self, permit: Permit, holder_id: UUID, purpose: str, said: Said | None = None
    ) -> Choice:
        """Take an objection back: the activity may go on.

        Raises:
            ChoiceNotFound: None stands.
        """
        for state in ("granted", "waiting"):
            if await self._stands(permit, holder_id, "objection", purpose, state):
                break
        else:
            raise ChoiceNotFound(hint="No objection stands.")
        holder = await self.holder(permit, holder_id)
        version, clause = await self.clause_for(holder, "purpose", purpose)
        return await self._record(
            permit, holder, "objection", purpose, "withdrawn", version,
            said=said or Said(), event="people:objection:decided", clause=clause,
        )  # fmt: skip


def _concerns(version: NoticeVersion, clause: Purpose, audience: str) -> bool:
    """Whether an activity uses what is held of people like them, and is there already."""
    if audience not in clause.audiences or clause.not_yet is True:
        return False
    used = [version.notice.find("category", key) for key in clause.categories]
    return any(audience in getattr(each, "whose", ()) for each in used if each is not None)


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
    is_weighed = not is_marketing and bool(right_clause) and notice.right("object").is_decided_by_person
    if is_marketing:
        stands, ground = True, "Against messages that advertise you can always object, and nobody weighs it."
    elif is_weighed and stands:
        ground = f"It rests on {_rests(words)}. A person weighs it and tells you why; until then we stop."
    elif is_weighed:
        ground = f"It rests on {_rests(words)}. An objection rarely succeeds here; a person looks at it."
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
        is_weighed=is_weighed,
    )


def _rests(words: str) -> str:
    """The words of a basis, where they do not say what it rests on but what for."""
    return f"the need {words}" if words.startswith("to ") else words
