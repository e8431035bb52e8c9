"""Restrictions (GDPR Art. 18): the use of a study, or of everything about a subject, stops until it is lifted.

The decision reads them here. The archive keeps its own mark on a study for its searches: whoever restricts one tells
it too (`Archive.restrict_study`).
"""

from __future__ import annotations

from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Row
from troth.people.choices import store
from troth.people.choices.model import Holder, Restriction, Said, context, from_bytes, to_bytes
from troth.people.choices.objections import Objections
from troth.people.errors import ChoiceNotFound, SubjectNotFound
from troth.policy import Clear, Permit, refs

_EVENT = "people:restriction:set"
_SEEING = ("choose", "restrict", "open_request", "see_request", "query")


class Restrictions(Objections):
    """The part of `Choices` that stops the use of something."""

    async def restrict(
        self, permit: Permit, subject_id: UUID, study_id: UUID | None = None, said: Said | None = None
    ) -> Restriction:
        """Stop the use of a study, or of everything about a subject. The same again changes nothing.

        Args:
            permit: To `restrict` the study or subject.
            subject_id: The subject; for one study, the one whose identifier it came with.
            study_id: One study; without it everything.
            said: How, and why.
        """
        holder = await self.holder(permit, subject_id)
        if permit.target.kind == "study" and permit.target.id != study_id:
            raise ChoiceNotFound
        for standing in await self.restrictions_of(permit, subject_id):
            if (standing.subject_id, standing.study_id) == (subject_id, study_id):
                return standing
        now, made_id, how = clock.now(), ids.uuid7(), said or Said()
        clause = await self._clause_of_restriction(holder)
        async with self._db.transaction(permit) as connection:
            number = await store.next_number(connection, holder.tenant)
            values = {
                "tenant": holder.tenant,
                "id": made_id,
                "number": number,
                "subject_id": subject_id,
                "study_id": study_id,
                "clause": clause,
                "made_at": now,
                "lifted_at": None,
                "sealed": self._keyring.seal(
                    holder.key, to_bytes({"reason": how.reason, "how": how.how}), context(holder.tenant, made_id)
                ),
            }
            await store.insert_restriction(connection, values)
            told = {"state": "restricted", "reason": how.reason}
            await self._tell(
                connection, permit, holder, _EVENT, "given", {"receipt": number, "is_restricted": 1}, told,
                study_id=study_id, clear=Clear(refs=refs(restriction=made_id), says={"state": "given"}),
            )  # fmt: skip
        return self._restriction(values, holder)

    async def lift(self, permit: Permit, restriction_id: UUID, said: Said | None = None) -> Restriction:
        """Allow the use again.

        Args:
            permit: To `restrict` the study or subject.
            restriction_id: The restriction.
            said: How, and why.

        Raises:
            ChoiceNotFound: It does not stand, or is about somebody else.
        """
        now = clock.now()
        async with self._db.transaction(permit) as connection:
            row = await store.restriction(connection, restriction_id)
        if row is None or row["lifted_at"] is not None:
            raise ChoiceNotFound
        try:
            holder = await self.holder(permit, row["subject_id"])
        except SubjectNotFound:
            raise ChoiceNotFound from None
        told = {"state": "lifted", "reason": (said or Said()).reason}
        async with self._db.transaction(permit) as connection:
            await store.lift(connection, restriction_id, now)
            await self._tell(
                connection, permit, holder, _EVENT, "withdrawn", {"receipt": row["number"], "is_restricted": 0}, told,
                study_id=row["study_id"],
                clear=Clear(refs=refs(restriction=restriction_id), says={"state": "withdrawn"}),
            )  # fmt: skip
        return self._restriction({**row, "lifted_at": now}, holder)

    async def restrictions_of(self, permit: Permit, subject_id: UUID) -> list[Restriction]:
        """What is restricted of a subject, newest first; also what was of those that are merged with it."""
        await self.holder(permit, subject_id, _SEEING)
        async with self._db.transaction(permit) as connection:
            rows = await store.restrictions(connection, subject_id)
        return [self._restriction(row, await self.holder(permit, row["subject_id"], _SEEING)) for row in rows]

    async def _clause_of_restriction(self, holder: Holder) -> str:
        for version in await self.versions_for(holder):
            try:
                return version.notice.right("restrict").clause_id
            except KeyError:
                continue
        return ""

    def _restriction(self, row: Row, holder: Holder) -> Restriction:
        record = from_bytes(self._keyring.unseal(holder.key, row["sealed"], context(row["tenant"], row["id"])))
        return Restriction(
            id=row["id"],
            number=row["number"],
            tenant=row["tenant"],
            subject_id=row["subject_id"],
            study_id=row["study_id"],
            clause=row["clause"],
            made_at=row["made_at"],
            lifted_at=row["lifted_at"],
            reason=record["reason"],
        )
