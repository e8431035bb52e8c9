"""Sessions and bearer tokens: what turns a secret into an actor."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, Row, Space
from troth.people import sources_store, store
from troth.people.accepting import BY_SIGN_IN
from troth.people.errors import FieldMalformed, StandingNotFound
from troth.people.model import (
    IDLE_OF_PATIENT,
    IDLE_OF_STAFF,
    SESSION_LIFETIME,
    TOUCH_EVERY,
    Bearer,
    Session,
    Standing,
    StandingKind,
    Subject,
    demographics_from_bytes,
    digest_of,
    new_secret,
    tenant_of,
)
from troth.people.names import displayed
from troth.people.room import Account
from troth.people.subjects import Subjects, subject_context
from troth.people.users import Users, checked_role, member_context
from troth.policy import Actor, Permit
from troth.vault import KeyDestroyed, KeyRef

MOST_TOKEN_LIFETIME = timedelta(days=31)
_DOOR_OF_PATIENTS = "portal"  # the service by which levels switch it


class Sessions(Subjects, Users):
    """The part of `People` that knows who is there."""

    # Sessions

    async def standings(self, actor: Actor) -> list[Standing]:
        """Where else the actor's account can stand, for somebody who proved to own its mailbox."""
        if not await self._owns_mailbox(actor) or actor.id is None:
            return []
        async with self._db.transaction(None) as connection:
            return [Standing(**row) for row in await store.standings(connection, actor.id)]

    async def stand_in(self, actor: Actor, organisation_id: UUID, kind: StandingKind, address: str) -> Session:
        """Go on in another organisation, or as patient instead of staff: a new session, the old one ends.

        Raises:
            StandingNotFound: The account cannot stand there, or its owner did not sign in by mail.
        """
        for standing in await self.standings(actor):
            if (standing.organisation_id, standing.kind) == (organisation_id, kind):
                begun = await self._begin(standing, address, "mail")
                if begun is not None:
                    await self.end_session(actor)
                    return begun
        raise StandingNotFound

    async def actor_of_session(self, token: str) -> Actor | None:
        """Who stands behind a session cookie; None when it is over, whatever the reason.

        One statement. It writes only where the last touch is a minute old.
        """
        bearer = await self._resolve(token, "browser")
        return bearer.actor if bearer else None

    async def end_session(self, actor: Actor) -> None:
        """Sign out. Nothing happens when the session is over already."""
        if actor.session_id is None or actor.tenant is None:
            return
        organisation = await self.organisation(actor.tenant)
        async with self._db.transaction(actor) as connection:
            if await store.end_sessions(connection, clock.now(), session_id=actor.session_id):
                row = await store.subject(connection, actor.subject_id) if actor.subject_id else None
                await self._note(
                    connection,
                    "people:session:ended",
                    actor,
                    actor.tenant,
                    KeyRef(row["audit_key"]) if row else organisation.key,
                    subject_id=actor.subject_id,
                    purpose=_purpose(actor.kind),
                )

    async def end_session_by_id(self, permit: Permit, session_id: UUID) -> bool:
        """Revoke a session or bearer token of the permit's organisation; felt at its next step.

        Returns:
            Whether it lived until now.
        """
        if permit.tenant is None:
            return False
        organisation = await self.organisation(permit.tenant)
        async with self._db.transaction(permit) as connection:
            ended = await store.end_sessions(connection, clock.now(), session_id=session_id)
            if ended:
                await self._note(
                    connection,
                    "people:session:ended",
                    permit.actor,
                    organisation.id,
                    organisation.key,
                    permit=permit,
                    payload={"session": str(session_id)},
                )
        return bool(ended)

    # Bearer tokens

    async def issue_token(self, permit: Permit, tenant: UUID, role: str, purpose: str, lifetime: timedelta) -> str:
        """Issue a bearer token for DICOMweb and REST.

        Args:
            permit: To `administer` the organisation.
            tenant: The organisation it acts in.
            role: A role of staff, or `peer` for a machine.
            purpose: The only purpose it may be used for, as the notice names it.
            lifetime: At most 31 days.

        Returns:
            The token; it cannot be shown again.

        Raises:
            FieldMalformed: No such role, or too long a lifetime.
        """
        space = self._space(permit, tenant)
        if role != "peer":
            checked_role(role)
        if not timedelta(0) < lifetime <= MOST_TOKEN_LIFETIME:
            raise FieldMalformed("the lifetime of a token is up to 31 days")
        token, now = new_secret(tenant), clock.now()
        values = {
            "tenant": tenant,
            "id": ids.uuid7(),
            "digest": digest_of(token),
            "form": "bearer",
            "kind": "peer" if role == "peer" else "user",
            "role": role,
            "proof": "issued",
            "purpose": purpose,
            "made_at": now,
            "seen_at": now,
            "expires_at": now + lifetime,
        }
        async with self._db.transaction(space) as connection:
            await store.insert_session(connection, values)
        return token

    async def bearer_of_token(self, token: str) -> Bearer | None:
        """Who stands behind a bearer token, and for which purpose; None when it is over."""
        return await self._resolve(token, "bearer")

    async def actor_of_token(self, token: str) -> Actor | None:
        """Who stands behind a bearer token; None when it is over."""
        bearer = await self.bearer_of_token(token)
        return bearer.actor if bearer else None

    # Upkeep

    async def sweep(self) -> int:
        """Delete what has been over for a day: attempts, links, sessions, invitations.

        Returns:
            How many rows went.
        """
        before = clock.now() - timedelta(days=1)
        async with self._db.transaction(None) as connection:
            gone = await store.sweep_platform(connection, before)
        for organisation in await self.organisations():
            async with self._db.transaction(organisation) as connection:
                gone += await store.sweep_tenant(connection, before)
        return gone

    # Inside

    async def _begin(self, standing: Standing, address: str, proof: str) -> Session | None:
        organisation = await self.organisation(standing.organisation_id)
        found = await self._documents(standing.kind, organisation.region)
        async with self._db.transaction(organisation) as connection:
            if standing.kind == "user":
                begun = await self._begin_as_user(connection, standing, address, proof)
                if begun is not None and not await sources_store.has_accepted(connection, standing.account_id, None):
                    account = await store.account(connection, standing.account_id)
                    assert account is not None
                    owner = Account(account["id"], KeyRef(account["key"]))
                    await self._accept(connection, found, organisation, owner, begun.actor, BY_SIGN_IN, address)
                return begun
            matched = await store.subjects_of_account(connection, standing.account_id)
            if not matched:
                return None
            try:
                subject = await self._subject_in(connection, matched[0])
            except KeyDestroyed:
                return None
            return await self._begin_as_patient(connection, standing, subject, address, proof)

    async def _begin_as_user(
        self, connection: Connection, standing: Standing, address: str, proof: str
    ) -> Session | None:
        rows = await store.memberships(connection, standing.account_id)
        if not rows or not rows[0]["is_active"]:
            return None
        member = self._user(rows[0])
        actor = Actor(
            kind="user",
            id=member.id,
            tenant=member.tenant,
            role=member.role,
            session_id=ids.uuid7(),
            name=member.name,
            organisation=standing.organisation,
        )
        organisation = await self.organisation(member.tenant)
        return await self._write_session(connection, actor, IDLE_OF_STAFF, proof, address, organisation.key)

    async def _begin_as_patient(
        self, connection: Connection, standing: Standing, subject: Subject, address: str, proof: str
    ) -> Session:
        actor = Actor(
            kind="patient",
            id=standing.account_id,
            tenant=subject.tenant,
            role="patient",
            subject_id=subject.id,
            session_id=ids.uuid7(),
            name=subject.name,
            organisation=standing.organisation,
            via=_DOOR_OF_PATIENTS,
        )
        return await self._write_session(connection, actor, IDLE_OF_PATIENT, proof, address, subject.audit_key)

    async def _write_session(
        self, connection: Connection, actor: Actor, idle: timedelta, proof: str, address: str, key: KeyRef
    ) -> Session:
        assert actor.tenant is not None
        token, now = new_secret(actor.tenant), clock.now()
        values = {
            "tenant": actor.tenant,
            "id": actor.session_id,
            "digest": digest_of(token),
            "form": "browser",
            "kind": actor.kind,
            "account_id": actor.id,
            "subject_id": actor.subject_id,
            "proof": proof,
            "purpose": "",
            "made_at": now,
            "seen_at": now,
            "idle": idle,
            "expires_at": now + SESSION_LIFETIME,
        }
        await store.insert_session(connection, values)
        await self._note(
            connection,
            "people:session:started",
            actor,
            actor.tenant,
            key,
            subject_id=actor.subject_id,
            purpose=_purpose(actor.kind),
            payload={"address": address},
        )
        return Session(token, actor, now + SESSION_LIFETIME)

    async def _resolve(self, secret: str, form: str) -> Bearer | None:
        tenant = tenant_of(secret)
        if tenant is None:
            return None
        async with self._db.transaction(Space(tenant)) as connection:
            row = await store.resolve_session(connection, digest_of(secret), form, clock.now(), TOUCH_EVERY)
        if row is None:
            return None
        try:
            name = self._display_name(row, tenant)
        except KeyDestroyed:
            return None
        actor = Actor(
            kind=row["kind"],
            id=row["account_id"] or row["id"],
            tenant=tenant,
            role="patient" if row["kind"] == "patient" else row["role"],
            subject_id=row["surviving_id"],
            session_id=row["id"],
            name=name,
            organisation=row["organisation"],
            via=_DOOR_OF_PATIENTS if row["kind"] == "patient" else "",
        )
        return Bearer(actor, row["purpose"], row["expires_at"])

    def _display_name(self, row: Row, tenant: UUID) -> str:
        if row["name_sealed"] is not None:
            context = member_context(tenant, row["account_id"])
            return self._keyring.unseal(KeyRef(row["account_key"]), row["name_sealed"], context).decode()
        if row["demographics_sealed"] is not None:
            context = subject_context(tenant, row["subject_id"])
            plain = self._keyring.unseal(KeyRef(row["subject_key"]), row["demographics_sealed"], context)
            return displayed(demographics_from_bytes(plain)[1].name)
        return "Bearer token"

    async def _owns_mailbox(self, actor: Actor) -> bool:
        if actor.session_id is None or actor.tenant is None:
            return False
        async with self._db.transaction(actor) as connection:
            return await store.proof_of_session(connection, actor.session_id, clock.now()) == "mail"


def _purpose(kind: str) -> str:
    return "own_access" if kind == "patient" else "administration"
