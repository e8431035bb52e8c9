"""Decisions with significant effect that a program would make: queued, for a person to decide (GDPR Art. 22)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, Row
from troth.people import store as people_store
from troth.people.choices import store
from troth.people.choices.model import Holder, Proposal, context, from_bytes, to_bytes
from troth.people.choices.restrictions import Restrictions
from troth.people.errors import ChoiceNotFound, PersonNeeded
from troth.policy import Actor, Clear, Permit, refs

CLOSURE: Final = "account_closure"
WORDS: Final = MappingProxyType({CLOSURE: "close your account, because it was not used for a long time"})
"""What programs propose, as the person it is about reads it."""


@dataclass(frozen=True, slots=True)
class UnusedAccount:
    """An account of a member, and when it was used last.

    Attributes:
        proposal_id: The proposal to close it that waits already.
        decided_at: When a person decided last whether to close it; None where nobody did.
    """

    id: UUID
    last_at: datetime
    proposal_id: UUID | None
    decided_at: datetime | None = None


class Proposals(Restrictions):
    """The part of `Choices` that holds back what programs would decide."""

    async def propose(
        self, permit: Permit, holder_id: UUID, what: str, ground: str, due_on: date | None = None
    ) -> Proposal | None:
        """Queue what a program proposes; nothing happens to the person by it.

        Args:
            permit: About this person or their organisation.
            holder_id: Whom it is about.
            what: Such as `account_closure`.
            ground: Why the program proposes it; sealed.
            due_on: The day from which a rule of the notice has it so, where one does.

        Returns:
            The proposal, or None where the same waits already.
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
            if not await store.insert_proposal(connection, values):
                return None
            told = {"what": what, "ground": ground}
            dates = {} if due_on is None else {"due": due_on}
            clear = Clear(refs=refs(proposal=made_id), says={"key": what, "state": "queued"}, dates=dates)
            await self._tell(
                connection, permit, holder, "people:proposal:queued", "queued", {"queued": 1}, told, clear=clear
            )
        return _proposal({**values, "decided_at": None, "decided_by": None}, plain)

    async def proposals(self, permit: Permit) -> list[Proposal]:
        """What waits for a person in the permit's organisation, oldest first."""
        async with self._db.transaction(permit) as connection:
            rows = await store.proposals(connection)
        return [await self._with_ground(permit, row) for row in rows]

    async def waits(self, permit: Permit) -> tuple[list[datetime], int]:
        """What waits for a person, of whomever.

        Args:
            permit: To `administer` the organisation, or to `decide_request` in it.

        Returns:
            When each objection was made, and how many proposals of programs there are.
        """
        if permit.action not in ("administer", "decide_request") or permit.target.kind != "organisation":
            raise ChoiceNotFound
        async with self._db.transaction(permit) as connection:
            objections, proposals = await store.waiting(connection), await store.proposals(connection)
        return [row["made_at"] for row in objections], len(proposals)

    async def proposals_about(self, permit: Permit, holder_id: UUID) -> list[Proposal]:
        """What programs propose about one person and nobody decided yet.

        Args:
            permit: Whose target is that person.
            holder_id: The subject or account.
        """
        async with self._db.transaction(permit) as connection:
            rows = [row for row in await store.proposals(connection) if row["holder_id"] == holder_id]
        return [await self._with_ground(permit, row) for row in rows]

    async def decide_proposal(self, permit: Permit, proposal_id: UUID, reason: str, *, is_confirmed: bool) -> Proposal:
        """Write what a person decided. An account that they close is closed in the same transaction.

        Anything else is carried out by the caller, under this permit.

        Args:
            permit: Of a person; to `decide_about` the account where one is closed.
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
            if not await store.decide_proposal(connection, values):
                raise ChoiceNotFound
            told = {"what": row["what"], "reason": reason, "state": values["state"]}
            counts = {"confirmed": int(is_confirmed)}
            state = str(values["state"])
            clear = Clear(refs=refs(proposal=proposal_id), says={"key": row["what"], "state": state})
            await self._tell(connection, permit, holder, "people:proposal:decided", state, counts, told, clear=clear)
            if is_confirmed and row["what"] == CLOSURE:
                await self._close(connection, permit, holder, reason, proposal_id)
        return _proposal({**row, **values}, plain)

    async def withdraw_proposal(self, permit: Permit, proposal_id: UUID, reason: str) -> None:
        """Take back what a program proposed, because its ground has gone: that may happen without a person.

        Args:
            permit: To `propose`, about this person.
            proposal_id: The proposal.
            reason: What changed.
        """
        async with self._db.transaction(permit) as connection:
            row = await store.proposal(connection, proposal_id)
            if permit.action != "propose" or row is None or row["state"] != "queued":
                raise ChoiceNotFound
        holder = await self.holder(permit, row["holder_id"], (permit.action,))
        opened = from_bytes(self._keyring.unseal(holder.key, row["sealed"], context(row["tenant"], row["id"])))
        values = {
            "id": proposal_id,
            "state": "dismissed",
            "decided_at": clock.now(),
            "decided_by": None,
            "sealed": self._keyring.seal(
                holder.key, to_bytes({**opened, "reason": reason}), context(row["tenant"], row["id"])
            ),
        }
        async with self._db.transaction(permit) as connection:
            if await store.decide_proposal(connection, values):
                told = {"what": row["what"], "reason": reason, "state": "dismissed"}
                clear = Clear(refs=refs(proposal=proposal_id), says={"key": row["what"], "state": "dismissed"})
                await self._tell(
                    connection, permit, holder, "people:proposal:decided", "dismissed", {}, told, clear=clear
                )

    async def unused_accounts(self, actor: Actor, now: datetime) -> list[UnusedAccount]:
        """Accounts of members who are not here now, with when they last were, and what of it waits already.

        Args:
            actor: One of our own programs, in the organisation.
            now: Who was here since has used it.
        """
        if actor.kind != "system" or actor.tenant is None:
            raise PersonNeeded
        async with self._db.transaction(actor) as connection:
            rows = await store.unused(connection, now)
        return [UnusedAccount(row["account_id"], row["last_at"], row["proposal_id"], row["decided_at"]) for row in rows]

    async def close_account(self, permit: Permit, holder_id: UUID, reason: str) -> None:
        """End somebody's membership and sessions at once, where the notice lets a program decide that.

        Args:
            permit: To `decide_about` the account.
            holder_id: The account.
            reason: Why.
        """
        holder = await self.holder(permit, holder_id, ("decide_about",))
        async with self._db.transaction(permit) as connection:
            await self._close(connection, permit, holder, reason, None)

    async def _close(
        self, connection: Connection, permit: Permit, holder: Holder, reason: str, proposal_id: UUID | None
    ) -> None:
        if permit.action != "decide_about" or permit.target.id != holder.id:
            raise PersonNeeded
        if await people_store.end_membership(connection, holder.id):
            await people_store.delete_standing(connection, holder.id, holder.tenant, "user")
            ended = await people_store.end_sessions(connection, clock.now(), account_id=holder.id, kind="user")
            told, counts = {"reason": reason}, {"sessions": len(ended)}
            clear = Clear(refs=refs(account=holder.id, proposal=proposal_id))
            await self._tell(
                connection, permit, holder, "people:account:closed", "withdrawn", counts, told, clear=clear
            )

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
