"""Letting somebody into a role: at once where the notice lets one person do it, else proposed and agreed to by two.

A door asks for `let_in` on the organisation with the role, and for an agreement with the proposal, as attributes of
the target (`letting`, `agreeing`); the notice says whether one person is enough. What a permit was given for is
compared with what is done.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, Row
from troth.people import admissions_store, emails, invitations_store, store
from troth.people.errors import AdmissionOver, InvitationOver, SecondPersonNeeded, UserExists, UserNotFound
from troth.people.invitations import Invitations
from troth.people.model import Admission, Invitation, Organisation
from troth.people.users import checked_role
from troth.policy import Actor, Clear, Permit, Target, refs

ADMISSION_LIFETIME: Final = timedelta(days=7)


def letting(actor: Actor, role: str) -> Target:
    """The organisation of an actor, as what somebody is let into in a role."""
    return Target("organisation", actor.tenant, actor.tenant, attributes=(("role", role),))


def agreeing(actor: Actor, admission: Admission) -> Target:
    """The same, for what another person proposed."""
    place = letting(actor, admission.role)
    return replace(place, attributes=(*place.attributes, ("admission", str(admission.id))))


class Admissions(Invitations):
    """The part of `People` that takes two people where a role sees more."""

    async def propose_invitation(self, permit: Permit, email: str, name: str, role: str) -> Admission:
        """Propose to invite somebody into a role that takes two people to let in.

        Args:
            permit: To `invite` in the organisation.
            email: Where sign-in links will go.
            name: Display name.
            role: The role.

        Raises:
            EmailMalformed: Mail cannot be sent there.
            FieldMalformed: No such role.
        """
        organisation = await self._own(permit)
        address = emails.normalised(email)
        invitee = json.dumps({"email": address, "name": name}).encode()
        made_id = ids.uuid7()
        sealed = self._keyring.seal(organisation.key, invitee, _context(organisation.id, made_id))
        return await self._propose(permit, organisation, made_id, checked_role(role), None, sealed)

    async def propose_role(self, permit: Permit, user_id: UUID, role: str) -> Admission:
        """Propose to give a member a role that takes two people to let in.

        Args:
            permit: To `change_role` in the organisation.
            user_id: The member.
            role: The role.

        Raises:
            FieldMalformed: No such role.
            UserExists: Has this role already.
            UserNotFound: No active member of this organisation.
        """
        organisation = await self._own(permit)
        member = await self.user(permit, user_id)
        if not member.is_active:
            raise UserNotFound
        if member.role == checked_role(role):
            raise UserExists
        return await self._propose(permit, organisation, ids.uuid7(), role, user_id, None)

    async def admissions(self, permit: Permit) -> list[Admission]:
        """What waits for a second person in the permit's organisation, oldest first.

        Args:
            permit: To `administer` the organisation, or to `invite` in it.
        """
        organisation = await self._own(permit)
        async with self._db.transaction(permit) as connection:
            rows = await admissions_store.waiting(connection, clock.now())
            return [await self._admission(connection, organisation, row) for row in rows]

    async def waits(self, permit: Permit, account_id: UUID) -> int:
        """How many wait for a second person who is not the one who proposed them.

        Args:
            permit: To `administer` the organisation, or to `invite` in it.
            account_id: Whose own proposals do not count.
        """
        if permit.action not in ("administer", "invite") or permit.target.kind != "organisation":
            raise AdmissionOver
        async with self._db.transaction(permit) as connection:
            rows = await admissions_store.waiting(connection, clock.now())
        return sum(row["proposed_by"] != account_id for row in rows)

    async def agree_admission(self, permit: Permit, admission_id: UUID) -> Invitation | None:
        """Agree as the second person: the invitation goes out, or the member has the role from their next step on.

        Args:
            permit: To `let_in` in the organisation, for this proposal.
            admission_id: What is agreed to.

        Returns:
            The invitation; None where a member was given another role.

        Raises:
            AdmissionOver: Decided, lapsed, or not of this organisation.
            RowsAltered: Somebody wrote past the platform who was let in by whom, or what waits.
            SecondPersonNeeded: Not independent of who proposed it, or the permit is for something else.
            UserNotFound: The member has left.
        """
        organisation = await self._own(permit)
        made = self._new_invitation(organisation.id, "user", "")
        async with self._db.transaction(permit) as connection:
            await self._ledger.require_whole(connection, "admission")
            rows = await admissions_store.waiting(connection, clock.now(), admission_id)
            if not rows:
                raise AdmissionOver
            found = await self._admission(connection, organisation, rows[0])
            if permit.target.attributes != agreeing(permit.actor, found).attributes or permit.actor.id is None:
                raise SecondPersonNeeded
            if not await self._independents(connection, found.proposed_by, (permit.actor.id,)):
                raise SecondPersonNeeded
            if not await admissions_store.decide(connection, admission_id, "agreed", permit.actor.id, clock.now()):
                raise AdmissionOver
            two = (found.proposed_by, permit.actor.id)
            if found.account_id is not None:
                await self._give_role(connection, permit, organisation, found.account_id, found.role, two)
                return None
            invitee = {"email": found.email, "name": found.name}
            await self._keep_for_user(connection, permit, made, invitee, found.role, two)
        await self._mail_to_user(organisation, found.email, found.role, made.link)
        return made

    async def refuse_admission(self, permit: Permit, admission_id: UUID) -> None:
        """Refuse what was proposed, or take one's own proposal back.

        Args:
            permit: To `invite` in the organisation.
            admission_id: Which.

        Raises:
            AdmissionOver: Decided, lapsed, or not of this organisation.
        """
        organisation = await self._own(permit)
        async with self._db.transaction(permit) as connection:
            if not await admissions_store.decide(connection, admission_id, "refused", permit.actor.id, clock.now()):
                raise AdmissionOver
            await self._note(
                connection, "people:admission:refused", permit.actor, organisation.id, organisation.key, permit=permit,
                payload={"admission": str(admission_id)}, clear=Clear(refs=refs(admission=admission_id)),
            )  # fmt: skip

    # Subjects: one invitation each, which whoever may make it may take back

    async def subject_invited_until(self, permit: Permit, subject_id: UUID) -> datetime | None:
        """Until when a subject can answer the invitation that is open; None where none is."""
        async with self._db.transaction(permit) as connection:
            row = await invitations_store.open_of_subject(connection, subject_id, clock.now())
        return row["expires_at"] if row is not None else None

    async def withdraw_of_subject(self, permit: Permit, subject_id: UUID) -> None:
        """Withdraw the invitation of a subject: its link is over at once.

        Args:
            permit: To `invite` the subject.
            subject_id: Whose.

        Raises:
            InvitationOver: None is open.
            SubjectNotFound: Not in this organisation.
        """
        subject = await self.subject(permit, subject_id)
        async with self._db.transaction(permit) as connection:
            row = await invitations_store.open_of_subject(connection, subject_id, clock.now())
            if row is None or not await invitations_store.withdraw(connection, row["id"], clock.now()):
                raise InvitationOver
            await self._note(
                connection, "people:invitation:withdrawn", permit.actor, subject.tenant, subject.audit_key,
                permit=permit, subject_id=subject_id, payload={"invitation": str(row["id"])},
                clear=Clear(refs=refs(invitation=row["id"])),
            )  # fmt: skip

    # Inside

    async def _own(self, permit: Permit) -> Organisation:
        if permit.tenant is None:
            raise AdmissionOver
        return await self.organisation(permit.tenant)

    async def _propose(
        self,
        permit: Permit,
        organisation: Organisation,
        made_id: UUID,
        role: str,
        account_id: UUID | None,
        sealed: bytes | None,
    ) -> Admission:
        if permit.actor.id is None:
            raise SecondPersonNeeded
        now = clock.now()
        values = {
            "tenant": organisation.id,
            "id": made_id,
            "account_id": account_id,
            "role": role,
            "invitee_sealed": sealed,
            "proposed_by": permit.actor.id,
            "proposed_at": now,
            "expires_at": now + ADMISSION_LIFETIME,
        }
        async with self._db.transaction(permit) as connection:
            await admissions_store.insert(connection, values)
            said = {"admission": str(made_id), "role": role, **({"user": str(account_id)} if account_id else {})}
            await self._note(
                connection, "people:admission:proposed", permit.actor, organisation.id, organisation.key,
                permit=permit, payload=said,
                clear=Clear(refs=refs(admission=made_id, account=account_id), says={"role": role}),
            )  # fmt: skip
            return await self._admission(connection, organisation, values)

    async def _admission(self, connection: Connection, organisation: Organisation, row: Row) -> Admission:
        if row["account_id"] is not None:
            member = self._user((await store.memberships(connection, row["account_id"]))[0])
            who = {"email": member.email, "name": member.name}
        else:
            context = _context(organisation.id, row["id"])
            who = json.loads(self._keyring.unseal(organisation.key, row["invitee_sealed"], context))
        return Admission(
            row["id"], organisation.id, row["role"], row["account_id"], row["proposed_by"], row["proposed_at"],
            row["expires_at"], str(who["name"]), str(who["email"]),
        )  # fmt: skip


def _context(tenant: UUID, admission_id: UUID) -> bytes:
    return b"admission:" + tenant.bytes + admission_id.bytes
