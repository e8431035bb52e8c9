"""A lost second factor: two others of the organisation let somebody set one up anew."""

from __future__ import annotations

from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection
from troth.people import store as people_store
from troth.people.enrolments import Enrolments
from troth.people.errors import FactorNotFound, OwnAssignment, ResetWaits, SecondPersonNeeded, UserNotFound
from troth.people.factors import Reset, store
from troth.people.factors.model import RESET_LIFETIME
from troth.people.model import Organisation
from troth.people.seconds import Seconds
from troth.people.users import require_ending
from troth.policy import Permit

_TEXT = """{organisation} took away the second factor of your account, because somebody told it that you lost yours.

{asked} asked for it, and {agreed} agreed. Your sessions ended. You set up a new
one when you sign in next.

If you did not lose anything, tell the privacy office of {organisation} today.
"""


class FactorResets(Enrolments, Seconds):
    """The part of `People` that lets somebody back in who lost their second factor."""

    async def forms_of_members(self, permit: Permit) -> dict[UUID, frozenset[str]]:
        """Which forms of second factor the members of the permit's organisation have."""
        async with self._db.transaction(permit) as connection:
            rows = await store.accounts_with_factors(connection, "user")
        return {row["account_id"]: frozenset(row["forms"]) for row in rows}

    async def resets(self, permit: Permit) -> list[Reset]:
        """What was asked in the permit's organisation and waits for a second person."""
        async with self._db.transaction(permit) as connection:
            rows = await store.resets(connection, clock.now())
        return [Reset(row["id"], row["account_id"], row["asked_by"], row["asked_at"]) for row in rows]

    async def ask_reset(self, permit: Permit, user_id: UUID) -> Reset:
        """Ask that the factors of a member be taken away; somebody else has to agree within three days.

        Args:
            permit: To `end_access` in the organisation, of a person.
            user_id: The member.

        Raises:
            OwnAssignment: Nobody asks it for themselves.
            UserNotFound: No active member of this organisation, or the permit is for something else.
            ResetWaits: Somebody asked for it already.
        """
        require_ending(permit)
        member = await self.user(permit, user_id)
        if not member.is_active:
            raise UserNotFound
        asker = permit.actor.id
        if asker is None or asker == user_id:
            raise OwnAssignment
        made = Reset(ids.uuid7(), user_id, asker, clock.now())
        values = {
            "tenant": permit.tenant, "id": made.id, "account_id": user_id, "asked_by": asker,
            "asked_at": made.asked_at, "expires_at": made.asked_at + RESET_LIFETIME,
        }  # fmt: skip
        organisation = await self.organisation(member.tenant)
        async with self._db.transaction(permit) as connection:
            if not await store.open_reset(connection, values):
                raise ResetWaits
            await self._note(
                connection, "people:factor:reset_asked", permit.actor, organisation.id, organisation.key,
                permit=permit, payload={"user": str(user_id)},
            )  # fmt: skip
        return made

    async def drop_reset(self, permit: Permit, reset_id: UUID) -> None:
        """Take back, or refuse, what was asked.

        Args:
            permit: To `end_access` in the organisation, of a person.
            reset_id: What was asked.

        Raises:
            FactorNotFound: It waits no longer.
            UserNotFound: The permit is for something else.
        """
        require_ending(permit)
        if permit.tenant is None:
            raise FactorNotFound
        organisation = await self.organisation(permit.tenant)
        async with self._db.transaction(permit) as connection:
            dropped = await store.take_reset(connection, reset_id, clock.now())
            if dropped is None:
                raise FactorNotFound
            await self._note(
                connection, "people:factor:reset_dropped", permit.actor, organisation.id, organisation.key,
                permit=permit, payload={"user": str(dropped["account_id"]), "asked_by": str(dropped["asked_by"])},
            )  # fmt: skip

    async def agree_reset(self, permit: Permit, reset_id: UUID) -> None:
        """Agree to what another one asked: factors, recovery codes and sessions of the member end, and mail tells them.

        Args:
            permit: To `end_access` in the organisation, of a person.
            reset_id: What was asked.

        Raises:
            FactorNotFound: It waits no longer.
            OwnAssignment: By whoever asked, or for whom it is.
            RowsAltered: Somebody wrote past the platform who was let in by whom.
            SecondPersonNeeded: By somebody who is not independent of whoever asked.
            UserNotFound: The permit is for something else.
        """
        require_ending(permit)
        waiting = next((each for each in await self.resets(permit) if each.id == reset_id), None)
        if waiting is None:
            raise FactorNotFound
        if permit.actor.id is None or permit.actor.id in (waiting.asked_by, waiting.user_id):
            raise OwnAssignment
        member, asker = await self.user(permit, waiting.user_id), await self.user(permit, waiting.asked_by)
        organisation = await self.organisation(member.tenant)
        async with self._db.transaction(permit) as connection:
            if not await self._independents(connection, waiting.asked_by, (permit.actor.id,)):
                raise SecondPersonNeeded
            if await store.take_reset(connection, reset_id, clock.now()) is None:
                raise FactorNotFound
            told = {"asked_by": str(waiting.asked_by)}
            await self._forget_factors(connection, permit, organisation, waiting.user_id, told)
        text = _TEXT.format(organisation=organisation.name, asked=asker.name, agreed=permit.actor.name)
        self._do_later(self._tell_of_reset(member.email, text))

    async def reset_by_operator(self, permit: Permit, user_id: UUID) -> None:
        """The same from the command line, where an organisation has not two others who could.

        Args:
            permit: To `administer` the organisation, of whoever runs the service.
            user_id: The member.

        Raises:
            UserNotFound: No member of this organisation, or the permit is of a person.
        """
        if permit.actor.kind != "system":
            raise UserNotFound
        member = await self.user(permit, user_id)
        organisation = await self.organisation(member.tenant)
        async with self._db.transaction(permit) as connection:
            await self._forget_factors(connection, permit, organisation, user_id, {"asked_by": "operator"})
        text = _TEXT.format(organisation=organisation.name, asked="Its operator", agreed="no second person could")
        await self._tell_of_reset(member.email, text)

    async def _tell_of_reset(self, email: str, text: str) -> None:
        await self._mail.send(email, "Your second factor was taken away", text, {})

    async def _forget_factors(
        self, connection: Connection, permit: Permit, organisation: Organisation, user_id: UUID, told: dict[str, str]
    ) -> None:
        gone = await store.delete_factors(connection, user_id, "user")
        ended = await people_store.end_sessions(connection, clock.now(), account_id=user_id, kind="user")
        await self._note(
            connection, "people:factor:reset", permit.actor, organisation.id, organisation.key, permit=permit,
            payload={"user": str(user_id), **told}, counts={"factors": gone, "sessions": len(ended)},
        )  # fmt: skip
