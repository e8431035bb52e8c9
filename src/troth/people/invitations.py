"""Invitations: of staff by mail, of subjects by mail and a code that goes another way.

A subject is matched on four things at once: the link from the mailbox, name, birth date and the code that the
organisation handed over. Whatever is wrong, the answer is one; five wrong tries close the invitation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from hmac import compare_digest
from typing import Any
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, Row
from troth.people import emails, invitations_store, invitees, store, texts
from troth.people.accepting import BY_INVITATION
from troth.people.asks import Asks
from troth.people.choices.model import Agreed
from troth.people.errors import (
    InvitationOver,
    MatchFailed,
    OrganisationNotFound,
    RegistrationImpossible,
    TooManyTries,
)
from troth.people.factors import Challenge, codes
from troth.people.invitation import Held
from troth.people.model import (
    INVITATION_LIFETIME,
    MOST_TRIES,
    Invitation,
    OpenInvitation,
    Organisation,
    PendingInvitation,
    Session,
    Standing,
    StandingKind,
    Subject,
    digest_of,
    new_secret,
    tenant_of,
)
from troth.people.users import checked_role, require_letting
from troth.policy import Actor, Clear, Permit, refs
from troth.vault import KeyDestroyed, KeyRef

_NOBODY = Actor(kind="anonymous", surface="portal")


class Invitations(Asks):
    """The part of `People` that lets new ones in."""

    async def invite_subject(self, permit: Permit, subject_id: UUID, email: str) -> Invitation:
        """Mail a subject the link to register. Earlier invitations of the subject end.

        Args:
            permit: To `invite` in the subject's organisation.
            subject_id: Who is invited.
            email: As the organisation knows it; the account will have this address.

        Returns:
            The invitation with the one-time code, which must reach the subject another way.

        Raises:
            SubjectNotFound: Not in this organisation.
            EmailMalformed: Mail cannot be sent there.
            RegistrationImpossible: No name or no whole birth date is held: nobody could answer the invitation.
        """
        address = emails.normalised(email)
        subject = await self.subject(permit, subject_id)
        if not subject.can_register:
            raise RegistrationImpossible
        organisation = await self.organisation(subject.tenant)
        made = self._new_invitation(subject.tenant, "patient", ids.code())
        values: dict[str, Any] = {
            "subject_id": subject_id,
            "code_digest": self._code_digest(organisation, made.id, made.code),
        }
        values["invitee_sealed"] = invitees.sealed(self._keyring, subject.key, made, {"email": address}, values)
        async with self._db.transaction(permit) as connection:
            await invitations_store.end_of_subject(connection, subject_id, clock.now())
            await self._write_invitation(connection, permit, made, values, subject.audit_key, address, subject_id)
        text = texts.SUBJECT_TEXT.format(organisation=organisation.name, link=made.link)
        await self._mail.send(address, "An invitation to your images", text, {})
        return made

    async def invite_user(self, permit: Permit, tenant: UUID, email: str, name: str, role: str) -> Invitation:
        """Mail a future member the link to join.

        Args:
            permit: To `let_in` in the organisation in this role.
            tenant: The organisation.
            email: Where sign-in links will go.
            name: Display name in this organisation.
            role: `clinician`, `referrer`, `office` or `admin`.

        Raises:
            EmailMalformed: Mail cannot be sent there.
            FieldMalformed: No such role.
            SecondPersonNeeded: The permit is for another role.
        """
        require_letting(permit, checked_role(role))
        space = self._space(permit, tenant)
        address = emails.normalised(email)
        organisation = await self.organisation(tenant)
        made = self._new_invitation(tenant, "user", "")
        by = [each for each in (permit.actor.id,) if each is not None]
        async with self._db.transaction(space) as connection:
            await self._keep_for_user(connection, permit, made, {"email": address, "name": name}, role, by)
        await self._mail_to_user(organisation, address, role, made.link)
        return made

    async def _keep_for_user(
        self,
        connection: Connection,
        permit: Permit,
        made: Invitation,
        invitee: Mapping[str, str],
        role: str,
        by: Sequence[UUID],
    ) -> None:
        """Keep the invitation of a future member, with the accounts that had to agree to it."""
        key = (await self.organisation_over(connection, made.tenant)).key
        values: dict[str, Any] = {"role": role, "let_in_by": list(by)}
        values["invitee_sealed"] = invitees.sealed(self._keyring, key, made, invitee, values)
        await self._write_invitation(connection, permit, made, values, key, None, None)

    async def invitations(self, permit: Permit) -> list[PendingInvitation]:
        """The invitations of future members of the permit's organisation that wait, or ran out a while ago.

        Args:
            permit: To `administer` the organisation.
        """
        if permit.tenant is None:
            return []
        organisation = await self.organisation(permit.tenant)
        async with self._db.transaction(permit) as connection:
            rows = await invitations_store.of_staff(connection)
        return [self._pending(organisation, row) for row in rows]

    async def withdraw_invitation(self, permit: Permit, invitation_id: UUID) -> None:
        """Withdraw an invitation of a future member: its link is over at once.

        Args:
            permit: To `end_access` in the organisation.
            invitation_id: Which.

        Raises:
            InvitationOver: Used, withdrawn, or not of this organisation; or the permit is for something else.
        """
        if permit.tenant is None or permit.action != "end_access":
            raise InvitationOver
        organisation = await self.organisation(permit.tenant)
        async with self._db.transaction(permit) as connection:
            rows = await invitations_store.of_staff(connection, invitation_id)
            if not rows or not await invitations_store.withdraw(connection, invitation_id, clock.now()):
                raise InvitationOver
            await self._note_withdrawn(connection, permit, organisation, invitation_id)

    async def resend_invitation(self, permit: Permit, invitation_id: UUID) -> Invitation:
        """Mail an invitation of a future member again, with a new link for seven days; the link before is over.

        Args:
            permit: To `invite` in the organisation.
            invitation_id: Which; it may have run out.

        Raises:
            InvitationOver: Used, withdrawn, or not of this organisation.
        """
        if permit.tenant is None:
            raise InvitationOver
        organisation = await self.organisation(permit.tenant)
        made = self._new_invitation(organisation.id, "user", "")
        async with self._db.transaction(permit) as connection:
            rows = await invitations_store.of_staff(connection, invitation_id)
            if not rows or not invitees.is_as_made(self._keyring, organisation.key, rows[0]):
                raise InvitationOver
            pending = self._pending(organisation, rows[0])
            invitee, again = {"email": pending.email, "name": pending.name}, replace(made, id=invitation_id)
            renewed = {
                "digest": digest_of(made.secret),
                "expires_at": made.expires_at,
                "invitee_sealed": invitees.sealed(self._keyring, organisation.key, again, invitee, rows[0]),
            }
            if not await invitations_store.renew(connection, invitation_id, renewed):
                raise InvitationOver
            said = {"invitation": str(invitation_id), "role": pending.role, "again": True}
            await self._note(
                connection, "people:invitation:made", permit.actor, organisation.id, organisation.key, permit=permit,
                payload=said, clear=Clear(refs=refs(invitation=invitation_id), says={"role": pending.role}),
            )  # fmt: skip
        await self._mail_to_user(organisation, pending.email, pending.role, made.link)
        return again

    async def open_invitation(self, secret: str, address: str = "") -> OpenInvitation:
        """What may be shown to whoever holds the link. Changes nothing.

        Args:
            secret: What stands at the end of the link.
            address: IP address of whoever answers the invitation: a refusal is then written down. Empty for whoever
                only looks, which may be a mail scanner: nothing is.

        Raises:
            InvitationOver: Used, expired, or never made.
            TooManyTries: Closed after five wrong tries.
        """
        organisation = await self._organisation_claimed_by(secret)
        async with self._db.transaction(organisation) as connection:
            held = await self._hold(connection, organisation, secret)
            if held.fault is not None and address:
                await self._note_refusal(connection, held, address)
        if held.fault is not None:
            raise held.fault
        return OpenInvitation(
            organisation.name, held.kind, held.row["expires_at"], organisation.region, organisation.id
        )

    async def accept_invitation(self, secret: str, address: str, agreed: Agreed | None = None) -> Challenge:
        """Join an organisation as its user; the sign-in then owes a second factor.

        Args:
            secret: What stands at the end of the link.
            address: IP address; goes into the ledger, sealed.
            agreed: The yes that the form needed, where it needed one.

        Raises:
            AccountClosing: An account of this address is being closed at this moment; the invitation can still be used.
            InvitationOver: Used, expired, never made, or one of a subject.
            TooManyTries: Closed.
        """
        organisation = await self._organisation_claimed_by(secret)
        async with self._db.transaction(organisation) as connection:
            held = await self._hold(connection, organisation, secret)
            fault = held.fault or (InvitationOver if held.kind != "user" else None)
            if fault is not None:
                await self._note_refusal(connection, held, address)
        if fault is not None:
            raise fault
        invitee = invitees.opened(self._keyring, held.seal_key, held.row)
        account = await self._account_for(invitee["email"])
        found = await self._documents("user", held.organisation.region)
        tenant = held.organisation.id
        async with self._db.transaction(held.organisation) as connection:
            await self._hold_open(connection, account.id)
            if not await invitations_store.use(connection, held.id, clock.now()):
                raise InvitationOver
            role = held.row["role"]
            owner = Actor(kind="user", id=account.id, role=role, surface="portal")
            if await self._join(connection, tenant, account, invitee["email"], invitee["name"], role):
                by = held.row["let_in_by"]
                await self._note_way(connection, held.organisation, account.id, role, "invitation", by)
                await self._note_member(
                    connection, "joined", owner, held.organisation, account.id, role, way="invitation",
                    let_in_by=by, invitation=held.id,
                )  # fmt: skip
            await self._note_use(connection, held, owner, address)
            await self._accept(connection, found, held.organisation, account, owner, BY_INVITATION, address)
            await self._agree(connection, agreed, tenant, account)
            standing = Standing(account.id, tenant, held.organisation.name, "user")
            stands = await self._who_would_stand(connection, standing, None)
            assert stands is not None
            return await self._challenge(connection, standing, stands[0], "match")

    async def register_subject(
        self,
        secret: str,
        name: str,
        birth_date: date | None,
        code: str,
        email: str,
        address: str,
        agreed: Agreed | None = None,
    ) -> Session:
        """Match whoever holds the link with the invited subject, and sign in.

        Args:
            secret: What stands at the end of the link.
            name: In any order, with or without accents; middle names may be left out.
            birth_date: None when what was typed is no date.
            code: The one-time code.
            email: Must be the address that was invited; empty means just that.
            address: IP address; goes into the ledger, sealed.
            agreed: As for `accept_invitation`.

        Raises:
            AccountClosing: An account of this address is being closed at this moment; the invitation can still be used.
            MatchFailed: Something is wrong; not told what.
            InvitationOver: Used, expired, or never made.
            TooManyTries: This or an earlier try was one too many.
        """
        organisation = await self._organisation_claimed_by(secret)
        async with self._db.transaction(organisation) as connection:
            held = await self._hold(connection, organisation, secret)
            fault: type[MatchFailed | InvitationOver | TooManyTries] | None = held.fault
            if fault is None and held.subject is None:
                fault = InvitationOver
            if fault is not None:
                await self._note_refusal(connection, held, address)
            elif held.subject and not self._is_match(held, held.subject, name, birth_date, code, email):
                fault = await self._count_wrong_try(connection, held, address)
        if fault is not None:
            raise fault
        return await self._match(held, address, agreed)

    async def _match(self, held: Held, address: str, agreed: Agreed | None) -> Session:
        subject = held.subject
        assert subject is not None
        account = await self._account_for(invitees.opened(self._keyring, held.seal_key, held.row)["email"])
        found = await self._documents("patient", held.organisation.region)
        now = clock.now()
        owner = Actor(
            kind="patient", id=account.id, tenant=subject.tenant, role="patient", subject_id=subject.id,
            surface="portal",
        )  # fmt: skip
        link = {"tenant": subject.tenant, "subject_id": subject.id, "account_id": account.id, "matched_at": now}
        place = {"account_id": account.id, "organisation_id": subject.tenant, "kind": "patient", "made_at": now}
        async with self._db.transaction(held.organisation) as connection:
            await self._hold_open(connection, account.id)
            if not await invitations_store.use(connection, held.id, now):
                raise InvitationOver
            await store.link_subject(connection, link)
            await store.insert_standing(connection, place)
            await self._note_use(connection, held, owner, address)
            await self._note(
                connection, "people:subject:matched", owner, subject.tenant, subject.audit_key,
                subject_id=subject.id, purpose="own_access",
                payload={"address": address, "matched_on": ["link", "name", "birth date", "code"]},
                clear=Clear(refs=refs(account=account.id, invitation=held.id)),
            )  # fmt: skip
            await self._accept(connection, found, held.organisation, account, owner, BY_INVITATION, address, subject)
            await self._agree(connection, agreed, subject.tenant, subject)
            actor = self._as_patient(account.id, subject, held.organisation.name)
            return await self._write_session(connection, actor, "match", address, subject.audit_key)

    def _is_match(
        self, held: Held, subject: Subject, name: str, birth_date: date | None, code: str, email: str
    ) -> bool:
        """All is compared, always: which one was wrong must show neither in the answer nor in its time."""
        typed = codes.figures(code)
        same_code = compare_digest(self._code_digest(held.organisation, held.id, typed), held.row["code_digest"])
        same_email = compare_digest(
            email.strip().lower().encode(), invitees.opened(self._keyring, held.seal_key, held.row)["email"].encode()
        )
        same_subject = subject.is_described_by(name[:400], birth_date)
        return same_code & (same_email | (not email.strip())) & same_subject

    async def _count_wrong_try(
        self, connection: Connection, held: Held, address: str
    ) -> type[MatchFailed | TooManyTries]:
        tries = await invitations_store.count_try(connection, held.id)
        await self._note(
            connection, "people:match:failed", _NOBODY, held.organisation.id, held.audit_key,
            subject_id=held.row["subject_id"], purpose="own_access", outcome="refused", payload={"address": address},
            counts={"tries": tries, "most": MOST_TRIES}, clear=Clear(refs=refs(invitation=held.id)),
        )  # fmt: skip
        return TooManyTries if tries >= MOST_TRIES else MatchFailed

    async def _organisation_claimed_by(self, secret: str) -> Organisation:
        """The organisation that a secret names; a false claim finds nothing there.

        Raises:
            InvitationOver: It is no secret of ours.
        """
        tenant = tenant_of(secret)
        if tenant is None:
            raise InvitationOver
        try:
            return await self.organisation(tenant)
        except OrganisationNotFound:
            raise InvitationOver from None

    async def _hold(self, connection: Connection, organisation: Organisation, secret: str) -> Held:
        """The invitation of a secret, held until the transaction ends.

        Raises:
            InvitationOver: Never made, or its subject was erased.
        """
        row = await invitations_store.by_digest(connection, digest_of(secret))
        if row is None:
            raise InvitationOver
        try:
            subject = await self._subject_in(connection, row["subject_id"]) if row["subject_id"] else None
        except KeyDestroyed:
            raise InvitationOver from None
        is_over = row["used_at"] is not None or row["expires_at"] <= clock.now()
        if is_over or not invitees.is_as_made(self._keyring, subject.key if subject else organisation.key, row):
            return Held(row, organisation, subject, InvitationOver)
        return Held(row, organisation, subject, TooManyTries if row["tries"] >= MOST_TRIES else None)

    async def _note_refusal(self, connection: Connection, held: Held, address: str) -> None:
        await self._note_use(connection, held, _NOBODY, address, outcome="refused")

    async def _note_use(
        self, connection: Connection, held: Held, actor: Actor, address: str, outcome: str = "done"
    ) -> None:
        await self._note(
            connection,
            "people:invitation:used",
            actor,
            held.organisation.id,
            held.audit_key,
            subject_id=held.row["subject_id"],
            purpose=_purpose_of(held.kind),
            outcome=outcome,
            payload={"address": address, "invitation": str(held.id)},
            clear=Clear(refs=refs(invitation=held.id)),
        )

    async def _mail_to_user(self, organisation: Organisation, address: str, role: str, link: str) -> None:
        text = texts.USER_TEXT.format(organisation=organisation.name, role=texts.ROLES[role], link=link)
        await self._mail.send(address, f"An invitation from {organisation.name}", text, {})

    def _pending(self, organisation: Organisation, row: Row) -> PendingInvitation:
        invitee = invitees.opened(self._keyring, organisation.key, row)
        return PendingInvitation(
            row["id"], organisation.id, row["role"], row["made_by"], row["made_at"], row["expires_at"],
            row["expires_at"] <= clock.now(), invitee["name"], invitee["email"],
        )  # fmt: skip

    def _new_invitation(self, tenant: UUID, kind: StandingKind, code: str) -> Invitation:
        secret = new_secret(tenant)
        link = self._links.to_invitation(secret)
        return Invitation(ids.uuid7(), tenant, kind, secret, link, code, clock.now() + INVITATION_LIFETIME)

    async def _write_invitation(
        self,
        connection: Connection,
        permit: Permit,
        made: Invitation,
        values: Mapping[str, Any],
        key: KeyRef,
        address: str | None,
        subject_id: UUID | None,
    ) -> None:
        """Keep an invitation. The address of a subject stands in its entry, under their own key; of others nowhere."""
        fixed = {
            "tenant": made.tenant,
            "id": made.id,
            "digest": digest_of(made.secret),
            "kind": made.kind,
            "made_by": permit.actor.id,
            "made_at": clock.now(),
            "expires_at": made.expires_at,
        }
        await invitations_store.insert(connection, {**fixed, **values})
        await self._note(
            connection,
            "people:invitation:made",
            permit.actor,
            made.tenant,
            key,
            permit=permit,
            subject_id=subject_id,
            payload={"invitation": str(made.id), **(_of_staff(values) if address is None else {"email": address})},
            clear=Clear(
                refs=refs(invitation=made.id),
                says={"kind": made.kind, **({"role": values["role"]} if "role" in values else {})},
                people=tuple(values.get("let_in_by", ())),
            ),
        )

    def _code_digest(self, organisation: Organisation, invitation_id: UUID, code: str) -> bytes:
        # Keyed: six digits would be found from a plain digest in no time.
        return self._keyring.digest(organisation.key, "invitation_code", f"{invitation_id}:{code}")


def _of_staff(values: Mapping[str, Any]) -> dict[str, str]:
    """What an entry says of the invitation of a future member: the role, and who let them in."""
    return {"role": str(values["role"]), "let_in_by": " ".join(map(str, values["let_in_by"]))}


def _purpose_of(kind: StandingKind) -> str:
    return "own_access" if kind == "patient" else "administration"
