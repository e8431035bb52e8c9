"""Closing an account of staff: what says who somebody was is destroyed, what they did stays under an id.

The ledger and the rows of what was decided name the id of the account, and stay. Its key, its address, its name, its
factors and its sessions go. The key is destroyed before a row is deleted, and the account is marked before that: who
is killed in between finds it again (`resume_closures`). The mark counts where an empty address is sealed beside it,
which takes the keyring; and no key goes while the ledger says that its account stands anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Connection
from troth.people import closures_store, invitations_store, invitees, store
from troth.people.errors import UserNotFound
from troth.people.model import Organisation
from troth.people.users import Users, member_context, require_ending
from troth.policy import Clear, Permit, refs
from troth.vault import KeyRef


class Closures(Users):
    """The part of `People` that closes accounts of staff."""

    async def close_member(self, permit: Permit, user_id: UUID) -> bool:
        """End a membership if it has not ended, and destroy what says who its member was. May be repeated.

        An account that stands elsewhere too stays there; here it loses its name.

        Args:
            permit: To `end_access` in the organisation; or the member's own, to `choose` about themselves.
            user_id: The member.

        Returns:
            Whether the account itself went.

        Raises:
            LastAdministrator: Nobody could let anybody in any more.
            UserNotFound: No member of this organisation, or one whose account is closed; or the permit is for something
                else.

        Per: GDPR Art. 17(1)(a), 17(3)(b).
        """
        require_ending(permit, user_id)
        if permit.tenant is None:
            raise UserNotFound
        organisation = await self.organisation(permit.tenant)
        async with self._db.transaction(permit) as connection:
            held = await self._hold_accounts(connection, [user_id])
            rows = await store.memberships(connection, user_id)
            if not rows or self._user(rows[0]).is_closed:
                raise UserNotFound
            if rows[0]["is_active"]:
                await self._end_member(connection, permit, organisation, user_id)
            is_over = not await store.standings(connection, user_id)
            if is_over:
                await self._mark_closed(connection, held)
            await self._withdraw_others(connection, permit, organisation, self._user(rows[0]).email)
            nobody = self._keyring.seal(KeyRef(rows[0]["key"]), b"", member_context(permit.tenant, user_id))
            await closures_store.put_member_name(connection, user_id, nobody)
            await self._note(
                connection, "people:account:closed", permit.actor, organisation.id, organisation.key, permit=permit,
                purpose="administration", payload={"user": str(user_id)}, counts={"erased": int(is_over)},
                clear=Clear(refs=refs(account=user_id)),
            )  # fmt: skip
        if is_over:
            await self._erase_closed([user_id])
        return is_over

    async def _withdraw_others(
        self, connection: Connection, permit: Permit, organisation: Organisation, email: str
    ) -> None:
        """Withdraw, and forget, what else was sent to the address of somebody whose account is closed here."""
        for row in await invitations_store.of_staff(connection):
            if invitees.opened(self._keyring, organisation.key, row)["email"] != email:
                continue
            if await invitations_store.withdraw(connection, row["id"], clock.now()):
                await self._note_withdrawn(connection, permit, organisation, row["id"])

    async def resume_closures(self, account_ids: Sequence[UUID] | None = None) -> int:
        """Destroy the keys of accounts that are marked as closed, then their rows; all that are left over, or some.

        Returns:
            How many went.

        Raises:
            RowsAltered: Somebody marked one past us, changed its key, or took away that it stands somewhere. Nothing of
                it was destroyed; the others went.
        """
        return await self._erase_closed(account_ids)
