"""Decisions with significant effect that a program would make: queued, for a person to decide (GDPR Art. 22)."""

from __future__ import annotations

from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Row
from troth.people.choices import store
from troth.people.choices.model import Proposal, context, from_bytes, to_bytes
from troth.people.choices.restrictions import Restrictions
from troth.people.errors import ChoiceNotFound, PersonNeeded
from troth.policy import Permit


class Proposals(Restrictions):
    """The part of `Choices` that holds back what programs would decide."""

    async def propose(self, permit: Permit, holder_id: UUID, what: str, ground: str) -> Proposal:
        """Queue what a program proposes; nothing happens to the person by it.

        Args:
            permit: About this person or their organisation.
            holder_id: Whom it is about.
            what: Such as `account_closure`.
            ground: Why the program proposes it; sealed.
        """
        holder = await self.holder(permit, holder_id, (permit.action,))
        made_id = ids.uuid7()
        plain = to_bytes({"ground": ground, "reason": ""})
        values = {
            "tenant": holder.tenant,
            "id": made_id,
            "holder_id": holder_id,
            "what": what,
            "state": "queued",
            "made_at": clock.now(),
            "sealed": self._keyring.seal(holder.key, plain, context(holder.tenant, made_id)),
        }
        async with self._db.transaction(permit) as connection:
            await store.insert_proposal(connection, values)
            told = {"what": what, "ground": ground}
            await self._tell(connection, permit, holder, "people:proposal:queued", "queued", {"queued": 1}, told)
        return _proposal({**values, "decided_at": None, "decided_by": None}, plain)

    async def proposals(self, permit: Permit) -> list[Proposal]:
        """What waits for a person in the permit's organisation, oldest first."""
        async with self._db.transaction(permit) as connection:
            rows = await store.proposals(connection)
        return [await self._with_ground(permit, row) for row in rows]

    async def decide_proposal(self, permit: Permit, proposal_id: UUID, reason: str, *, is_confirmed: bool) -> Proposal:
        """Write what a person decided. Carrying it out is for the caller, under this permit.

        Args:
            permit: Of a person.
            proposal_id: The proposal.
            reason: Why; asked for whichever way it goes.
            is_confirmed: Whether it is to be done.

        Raises:
            PersonNeeded: The permit is a program's, or no reason is given.
            ChoiceNotFound: Nothing of this id waits.
        """
        if permit.actor.kind != "user" or permit.actor.id is None or not reason.strip():
            raise PersonNeeded
        async with self._db.transaction(permit) as connection:
            row = await store.proposal(connection, proposal_id)
        if row is None or row["state"] != "queued":
            raise ChoiceNotFound
        holder = await self.holder(permit, row["holder_id"], (permit.action,))
        opened = from_bytes(self._keyring.unseal(holder.key, row["sealed"], context(row["tenant"], row["id"])))
        plain = to_bytes({**opened, "reason": reason})
        values = {
            "id": proposal_id,
            "state": "confirmed" if is_confirmed else "dismissed",
            "decided_at": clock.now(),
            "decided_by": permit.actor.id,
            "sealed": self._keyring.seal(holder.key, plain, context(row["tenant"], row["id"])),
        }
        async with self._db.transaction(permit) as connection:
            await store.decide_proposal(connection, values)
            told = {"what": row["what"], "reason": reason, "state": values["state"]}
            counts = {"confirmed": int(is_confirmed)}
            await self._tell(connection, permit, holder, "people:proposal:decided", str(values["state"]), counts, told)
        return _proposal({**row, **values}, plain)

    async def _with_ground(self, permit: Permit, row: Row) -> Proposal:
        holder = await self.holder(permit, row["holder_id"], (permit.action,))
        return _proposal(row, self._keyring.unseal(holder.key, row["sealed"], context(row["tenant"], row["id"])))


def _proposal(row: Row, plain: bytes) -> Proposal:
    record = from_bytes(plain)
    return Proposal(
        id=row["id"],
        tenant=row["tenant"],
        holder_id=row["holder_id"],
        what=row["what"],
        state=row["state"],
        made_at=row["made_at"],
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
        ground=record["ground"],
        reason=record["reason"],
    )
