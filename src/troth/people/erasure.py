"""What ends with a person who is erased: who they are to an organisation, and the account if it stands nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Connection, Row
from troth.people import sources_store, store
from troth.people.errors import SubjectNotFound
from troth.people.letters import Letters
from troth.people.room import email_of
from troth.policy import Clear, Permit, refs
from troth.vault import KeyDestroyed, KeyRef

_ERASED = "people:subject:erased"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased of a person beside their studies.

    Attributes:
        subjects: Identifiers of them, merged ones included.
        accounts: Accounts that were erased, because they stood nowhere else.
        sessions: Sessions that ended.
        event_id: The entry of the ledger; None where all was gone already.
    """

    subjects: int
    accounts: int
    sessions: int
    event_id: UUID | None


class Erasure(Letters):
    """The part of `People` that erases a person."""

    async def forget(self, permit: Permit, subject_ids: Sequence[UUID], audit_key: bytes) -> Forgotten:
        """Erase who somebody is: the rows of their identifiers, links, sessions, invitations, acceptances, account.

        Their keys are destroyed already, by whoever erased their studies: this takes away what cannot be read any
        more. May be repeated; an account that a killed run left over is found by its mark (`resume_closures`). The
        access list stays under its own key, for as long as the notice says.

        Args:
            permit: To `erase` the subject.
            subject_ids: The subject, and those that are merged with it.
            audit_key: What seals the entry.

        Raises:
            SubjectNotFound: The permit is for something else.

        Per: GDPR Art. 17.
        """
        if permit.action != "erase" or permit.tenant is None or permit.target.subject_id not in subject_ids:
            raise SubjectNotFound
        tenant, subject_id = permit.tenant, permit.target.subject_id
        if subject_id is None:
            raise SubjectNotFound
        event_id: UUID | None = None
        async with self._db.transaction(permit) as connection:
            accounts = await store.accounts_of_subject(connection, subject_id)
            held = await self._hold_accounts(connection, [each["id"] for each in accounts])
            sessions = await store.end_sessions_of_subjects(connection, subject_ids, clock.now())
            gone = await store.delete_subjects(connection, subject_ids)
            for account in accounts:
                if not await store.subjects_of_account(connection, account["id"]):
                    await store.delete_standing(connection, account["id"], tenant, "patient")
            over = [each for each in accounts if not await store.standings(connection, each["id"])]
            contacts = await self._delete_contacts(connection, tenant, over)
            keys = {bytes(each[name]) for each in contacts for name in ("key", "source_key")}
            await self._destroy([KeyRef(each) for each in sorted(keys)])  # whoever is killed now finds the rows again
            closing = {each["id"] for each in over}
            await self._mark_closed(connection, [each for each in held if each["id"] in closing])
            if gone:
                counts = {
                    "identifiers": gone, "accounts": len(over), "sessions": sessions,
                    "contacts": len({each["id"] for each in contacts}),
                }  # fmt: skip
                event_id = await self._note(
                    connection, _ERASED, permit.actor, tenant, KeyRef(audit_key), permit=permit,
                    subject_id=subject_id, counts=counts,
                )  # fmt: skip
        await self._erase_closed([each["id"] for each in over])
        return Forgotten(gone, len(over), sessions, event_id)

    async def _delete_contacts(self, connection: Connection, tenant: UUID, over: Sequence[Row]) -> list[Row]:
        """What others told the organisation of the people whose accounts go, such as their places on lists.

        Returns:
            The rows that went, one for each source, with the keys that are to be destroyed.
        """
        organisation = await self.organisation_over(connection, tenant)
        tokens = []
        for each in over:
            try:
                email = email_of(self._keyring, each, each["id"])
            except KeyDestroyed:
                continue
            tokens.append(self._keyring.token(organisation.key, sources_store.FOUND_BY, email))
        return await sources_store.delete_contacts(connection, tokens)

    async def close_account(self, permit: Permit) -> None:
        """Close a patient's own account here: link, sessions, sign-in; the account itself where it stands nowhere else.

        What the organisation holds of them stays: that is erased by a request.

        Args:
            permit: To `choose` about themselves.

        Raises:
            SubjectNotFound: It is not their own, or they are not signed in as a patient.
        """
        actor, subject_id = permit.actor, permit.actor.subject_id
        if permit.action != "choose" or actor.kind != "patient" or actor.id is None or subject_id is None:
            raise SubjectNotFound
        if permit.target.subject_id != subject_id or permit.tenant is None:
            raise SubjectNotFound
        subject = await self.subject(permit, subject_id)
        async with self._db.transaction(permit) as connection:
            held = await self._hold_accounts(connection, [actor.id])
            if not held or not await store.unlink_account(connection, actor.id):
                raise SubjectNotFound
            await store.delete_standing(connection, actor.id, permit.tenant, "patient")
            ended = await store.end_sessions(connection, clock.now(), account_id=actor.id, kind="patient")
            is_over = not await store.standings(connection, actor.id)
            if is_over:
                await self._mark_closed(connection, held)
            await self._note(
                connection, "people:account:closed", actor, permit.tenant, subject.audit_key, permit=permit,
                subject_id=subject_id, counts={"sessions": len(ended), "erased": int(is_over)},
                clear=Clear(refs=refs(account=actor.id)),
            )  # fmt: skip
        if is_over:
            await self._erase_closed([actor.id])

    async def write_once(self, permit: Permit, address: str, title: str, text: str) -> None:
        """Mail somebody whose account is gone: the answer to what they asked for, to where they asked from.

        Args:
            permit: Of the request.
            address: Where to.
            title: The subject line; nothing personal.
            text: What the message says.

        Raises:
            troth.kit.mail.MailNotSent: It was not taken.
        """
        if permit.target.kind != "request":
            raise SubjectNotFound
        await self._mail.send(address, title, text, {})
