"""Users: who works in an organisation, in which role."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, Row
from troth.people import admissions_store, emails, sources_store, store
from troth.people.accepting import Acceptances
from troth.people.errors import FieldMalformed, LastAdministrator, SecondPersonNeeded, UserExists, UserNotFound
from troth.people.factors import store as factors_store
from troth.people.model import ROLES, Organisation, User
from troth.people.room import Account, email_of
from troth.policy import Actor, Clear, Permit, refs
from troth.vault import KeyDestroyed, KeyRef

_FOUNDERS: Final = 2
"""How many people found an organisation: enough that each can be the other's second person."""

FORMER: Final = "A former colleague"
"""What somebody is called whose account is closed: nothing here says who they were."""


class Users(Acceptances):
    """The part of `People` that knows members of organisations."""

    async def add_user(self, permit: Permit, tenant: UUID, email: str, name: str, role: str) -> User:
        """Make somebody a member at once; to let them agree first, use `invite_user`.

        Args:
            permit: To `administer` the organisation.
            tenant: The organisation.
            email: Where sign-in links go.
            name: Display name in this organisation.
            role: `clinician`, `referrer`, `office` or `admin`.

        Raises:
            EmailMalformed: Mail cannot be sent there.
            FieldMalformed: No such role.
            AccountClosing: Their account is being closed at this moment.
            UserExists: Is an active member already.
        """
        space = self._space(permit, tenant)
        address = emails.normalised(email)
        checked_role(role)
        organisation = await self.organisation(tenant)
        account = await self._account_for(address)
        async with self._db.transaction(space) as connection:
            await self._hold_open(connection, account.id)
            # The first two whom the operator adds found the organisation: there is nobody else to let them in.
            is_founder = permit.actor.kind == "system" and len(await store.memberships(connection)) < _FOUNDERS
            if not await self._join(connection, tenant, account, address, name, role):
                raise UserExists
            by = () if is_founder or permit.actor.id is None else (permit.actor.id,)
            way = "founding" if is_founder else "command"
            await self._note_way(connection, organisation, account.id, role, way, by)
            await self._note_member(
                connection, "joined", permit.actor, organisation, account.id, role, permit=permit, way=way,
                let_in_by=by,
            )  # fmt: skip
        return User(account.id, tenant, role, True, name, address)

    async def users(self, permit: Permit) -> list[User]:
        """The members of the permit's organisation, former ones included."""
        async with self._db.transaction(permit) as connection:
            return [self._user(row) for row in await store.memberships(connection)]

    async def last_here(self, permit: Permit) -> dict[UUID, datetime]:
        """When each member of the permit's organisation was signed in here last; who never was is not in it.

        Args:
            permit: To `administer` the organisation.
        """
        async with self._db.transaction(permit) as connection:
            return {row["account_id"]: row["at"] for row in await store.last_here(connection) if row["at"]}

    async def user(self, permit: Permit, user_id: UUID) -> User:
        """One member.

        Raises:
            UserNotFound: Not in this organisation.
        """
        async with self._db.transaction(permit) as connection:
            rows = await store.memberships(connection, user_id)
        if not rows:
            raise UserNotFound
        return self._user(rows[0])

    async def change_role(self, permit: Permit, user_id: UUID, role: str) -> None:
        """Give a member another role. Open sessions have it from their next step on.

        Args:
            permit: To `let_in` in the organisation in this role, by one person alone.
            user_id: The member.
            role: The role.

        Raises:
            FieldMalformed: No such role.
            SecondPersonNeeded: The permit is for another role.
            UserNotFound: No active member of this organisation.
        """
        require_letting(permit, checked_role(role))
        if permit.tenant is None:
            raise UserNotFound
        organisation = await self.organisation(permit.tenant)
        by = () if permit.actor.id is None else (permit.actor.id,)
        async with self._db.transaction(permit) as connection:
            await self._give_role(connection, permit, organisation, user_id, role, by)

    async def _give_role(
        self,
        connection: Connection,
        permit: Permit,
        organisation: Organisation,
        user_id: UUID,
        role: str,
        by: Sequence[UUID],
    ) -> None:
        if role != "admin":
            await self._require_another_admin(connection, permit.actor, user_id)
        before = await store.set_role(connection, user_id, role)
        if before is None:
            raise UserNotFound
        if before != role:
            await self._note_way(connection, organisation, user_id, role, "role", by)
            await self._note_member(
                connection, "changed", permit.actor, organisation, user_id, role, permit=permit, before=before,
                let_in_by=by,
            )  # fmt: skip

    async def _note_way(
        self,
        connection: Connection,
        organisation: Organisation,
        account_id: UUID,
        role: str,
        way: str,
        by: Sequence[UUID],
    ) -> None:
        """Keep which accounts had to agree so that an account came into a role; none at the founding."""
        values = {
            "tenant": organisation.id,
            "id": ids.uuid7(),
            "account_id": account_id,
            "role": role,
            "way": way,
            "accounts": list(by),
            "made_at": clock.now(),
        }
        await admissions_store.insert_way(connection, values)

    async def end_user(self, permit: Permit, user_id: UUID) -> None:
        """End a membership and its sessions.

        Args:
            permit: To `end_access` in the organisation; or the member's own, to `choose` about themselves.
            user_id: The member.

        Raises:
            LastAdministrator: Nobody could let anybody in any more.
            UserNotFound: No active member of this organisation, or the permit is for something else.
        """
        require_ending(permit, user_id)
        if permit.tenant is None:
            raise UserNotFound
        organisation = await self.organisation(permit.tenant)
        async with self._db.transaction(permit) as connection:
            await self._end_member(connection, permit, organisation, user_id)

    async def _end_member(
        self, connection: Connection, permit: Permit, organisation: Organisation, user_id: UUID
    ) -> None:
        await self._require_another_admin(connection, permit.actor, user_id)
        if not await store.end_membership(connection, user_id):
            raise UserNotFound
        await store.delete_standing(connection, user_id, organisation.id, "user")
        await factors_store.delete_factors(connection, user_id, "user")
        ended = await store.end_sessions(connection, clock.now(), account_id=user_id, kind="user")
        await self._note_member(
            connection, "ended", permit.actor, organisation, user_id, "", permit=permit, sessions=len(ended)
        )

    async def _require_another_admin(self, connection: Connection, actor: Actor, user_id: UUID) -> None:
        """Refuse to take the last administrator away; the operator may, who can let in another one.

        Raises:
            LastAdministrator: It would.
        """
        rows = await store.memberships(connection)
        admins = {row["account_id"] for row in rows if row["is_active"] and row["role"] == "admin"}
        if admins == {user_id} and actor.kind != "system":
            raise LastAdministrator

    async def _note_member(
        self,
        connection: Connection,
        what: str,
        actor: Actor,
        organisation: Organisation,
        account_id: UUID,
        role: str,
        *,
        permit: Permit | None = None,
        sessions: int = 0,
        invitation: UUID | None = None,
        let_in_by: Sequence[UUID] = (),
        **more: str,
    ) -> None:
        """Write that somebody is a member (`joined`), has another role (`changed`), or is none any more (`ended`)."""
        said = {"user": str(account_id), **({"role": role} if role else {})}
        said |= {name: value for name, value in more.items() if value}
        if let_in_by:
            said["let_in_by"] = " ".join(map(str, let_in_by))
        await self._note(
            connection, f"people:member:{what}", actor, organisation.id, organisation.key, permit=permit,
            purpose="administration", payload=said, counts={"sessions": sessions} if sessions else None,
            clear=Clear(
                refs=refs(account=account_id, invitation=invitation),
                says={name: word for name, word in said.items() if name in ("role", "way", "before")},
                people=tuple(let_in_by),
            ),
        )  # fmt: skip

    async def _join(
        self, connection: Connection, tenant: UUID, account: Account, email: str, name: str, role: str
    ) -> bool:
        """Write the membership and its standing, of an account that is held; False when there is an active one."""
        now = clock.now()
        sealed = self._keyring.seal(account.key, name.strip().encode(), member_context(tenant, account.id))
        membership = {
            "tenant": tenant,
            "account_id": account.id,
            "role": role,
            "name_sealed": sealed,
            "is_active": True,
            "made_at": now,
        }
        if not await store.upsert_membership(connection, membership):
            return False
        standing = {"account_id": account.id, "organisation_id": tenant, "kind": "user", "made_at": now}
        await store.insert_standing(connection, standing)
        await self._link_with_lists(connection, await self.organisation(tenant), account, email)
        return True

    async def _note_withdrawn(
        self, connection: Connection, permit: Permit, organisation: Organisation, invitation_id: UUID
    ) -> None:
        await self._note(
            connection, "people:invitation:withdrawn", permit.actor, organisation.id, organisation.key,
            permit=permit, payload={"invitation": str(invitation_id)}, clear=Clear(refs=refs(invitation=invitation_id)),
        )  # fmt: skip

    async def _link_with_lists(
        self, connection: Connection, organisation: Organisation, account: Account, email: str
    ) -> None:
        """Who was named on a list by the same address is the same human being, as far as anybody can tell."""
        token = self._keyring.token(organisation.key, sources_store.FOUND_BY, email)
        if await sources_store.link_account(connection, organisation.id, token, account.id, clock.now()):
            await self._note(
                connection, "people:staff:linked", Actor("system", role="worker"), organisation.id, organisation.key,
                purpose="administration",
                payload={"account": str(account.id), "concluded_from": "the same e-mail address"},
                clear=Clear(refs=refs(account=account.id)),
            )  # fmt: skip

    def _user(self, row: Row) -> User:
        account_id, tenant = row["account_id"], row["tenant"]
        closed = User(account_id, tenant, row["role"], row["is_active"], FORMER, "", is_closed=True)
        if row["key"] is None:
            return closed
        key = KeyRef(row["key"])
        try:
            name = self._keyring.unseal(key, row["name_sealed"], member_context(tenant, account_id)).decode()
            email = email_of(self._keyring, row, account_id)
        except KeyDestroyed:
            return closed
        if not name:  # closed here, and stands elsewhere
            return closed
        return User(account_id, tenant, row["role"], row["is_active"], name, email, row["zone"])


def require_letting(permit: Permit, role: str) -> None:
    """Refuse a permit to let somebody in that was given for another role. The operator's names none.

    Raises:
        SecondPersonNeeded: It is for another role, or for something else.
    """
    if permit.actor.kind != "system" and (
        permit.action != "let_in" or dict(permit.target.attributes).get("role") != role
    ):
        raise SecondPersonNeeded


def require_ending(permit: Permit, user_id: UUID | None = None) -> None:
    """Refuse a permit that was not given to end access; with one's own, to `choose`, one ends one's own alone.

    Raises:
        UserNotFound: It is for something else.
    """
    is_own = permit.actor.kind == "user" and user_id is not None and permit.actor.id == user_id
    if permit.action != "end_access" and not (permit.action == "choose" and is_own):
        raise UserNotFound


def checked_role(role: str) -> str:
    """A role that staff can have.

    Raises:
        FieldMalformed: It is none.
    """
    if role not in ROLES:
        raise FieldMalformed("there is no such role", hint=f"Roles are {', '.join(ROLES)}.")
    return role


def member_context(tenant: UUID, account_id: UUID) -> bytes:
    """What a sealed display name is bound to."""
    return b"member:" + tenant.bytes + account_id.bytes
