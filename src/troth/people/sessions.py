"""Sessions and bearer tokens: what turns a secret into an actor."""

from __future__ import annotations

from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, Row, Space
from troth.people import store, trust
from troth.people.model import (
    IDLE_OF_PATIENT,
    IDLE_OF_STAFF,
    SESSION_LIFETIME,
    TOUCH_EVERY,
    Bearer,
    LiveSession,
    Organisation,
    Session,
    Standing,
    Subject,
    demographics_from_bytes,
    digest_of,
    new_secret,
    tenant_of,
)
from troth.people.names import displayed
from troth.people.owner import subject_context
from troth.people.subjects import Subjects
from troth.people.users import Users, member_context
from troth.policy import Actor, Clear, Permit, refs
from troth.vault import KeyDestroyed, KeyRef

_SESSION_ENDED = "people:session:ended"
_DOOR_OF_PATIENTS = "portal"  # the service by which levels switch it


class Sessions(Subjects, Users):
    """The part of `People` that knows who is there."""

    # Sessions

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
                    _SESSION_ENDED,
                    actor,
                    actor.tenant,
                    KeyRef(row["audit_key"]) if row else organisation.key,
                    subject_id=actor.subject_id,
                    purpose=_purpose(actor.kind),
                    clear=Clear(refs=refs(session=actor.session_id)),
                )

    async def sessions(self, permit: Permit) -> list[LiveSession]:
        """Who is signed in now as staff of the permit's organisation, newest first.

        Args:
            permit: To `administer` the organisation.
        """
        async with self._db.transaction(permit) as connection:
            rows = await store.living(connection, clock.now(), "browser", kind="user")
        return [_live(row) for row in rows]

    async def own_sessions(self, actor: Actor) -> list[LiveSession]:
        """Where the actor is signed in now, in every organisation where the account stands, newest first.

        Args:
            actor: Somebody with an account, signed in.
        """
        found: list[LiveSession] = []
        for organisation in await self._own_spaces(actor):
            async with self._db.transaction(organisation) as connection:
                rows = await store.living(connection, clock.now(), "browser", account_id=actor.id)
            found += [_live(row, organisation.name) for row in rows]
        return sorted(found, key=lambda one: one.made_at, reverse=True)

    async def end_own_session(self, actor: Actor, session_id: UUID) -> bool:
        """End one of the actor's own sessions, wherever it is; felt at its next step.

        Returns:
            Whether it was theirs and lived until now.
        """
        for organisation in await self._own_spaces(actor):
            async with self._db.transaction(organisation) as connection:
                rows = await store.living(connection, clock.now(), "browser", account_id=actor.id)
                row = next((each for each in rows if each["id"] == session_id), None)
                if row is None:
                    continue
                await store.end_sessions(connection, clock.now(), session_id=session_id)
                subject = await store.subject(connection, row["subject_id"]) if row["subject_id"] else None
                await self._note(
                    connection, _SESSION_ENDED, actor, organisation.id,
                    KeyRef(subject["audit_key"]) if subject else organisation.key,
                    subject_id=row["subject_id"], purpose=_purpose(row["kind"]), payload={"session": str(session_id)},
                    clear=Clear(refs=refs(session=session_id)),
                )  # fmt: skip
                return True
        return False

    async def end_session_by_id(self, permit: Permit, session_id: UUID) -> bool:
        """Revoke a session or bearer token of the permit's organisation; felt at its next step.

        Args:
            permit: To `end_access` in the organisation.
            session_id: Of `sessions` or `tokens`.

        Returns:
            Whether it lived until now, and the permit reaches it.
        """
        if permit.tenant is None or permit.action != "end_access":
            return False
        organisation = await self.organisation(permit.tenant)
        async with self._db.transaction(permit) as connection:
            form = await store.form_of_session(connection, session_id)
            ended = await store.end_sessions(connection, clock.now(), session_id=session_id)
            if ended:
                kind = "people:token:ended" if form == "bearer" else _SESSION_ENDED
                await self._note(
                    connection, kind, permit.actor, organisation.id, organisation.key, permit=permit,
                    payload={(noun := "token" if form == "bearer" else "session"): str(session_id)},
                    clear=Clear(refs=((noun, session_id),)),
                )  # fmt: skip
        return bool(ended)

    # Bearer tokens

    async def bearer_of_token(self, token: str) -> Bearer | None:
        """Who stands behind a bearer token, and for which purpose; None when it is over."""
        return await self._resolve(token, "bearer")

    async def actor_of_token(self, token: str) -> Actor | None:
        """Who stands behind a bearer token; None when it is over."""
        bearer = await self.bearer_of_token(token)
        return bearer.actor if bearer else None

    # Inside

    async def _own_spaces(self, actor: Actor) -> list[Organisation]:
        if actor.id is None or actor.kind not in ("user", "patient"):
            return []
        async with self._db.transaction(None) as connection:
            rows = await store.standings(connection, actor.id)
        return [await self.organisation(tenant) for tenant in dict.fromkeys(row["organisation_id"] for row in rows)]

    async def _who_would_stand(
        self, connection: Connection, standing: Standing, subject_id: UUID | None
    ) -> tuple[Actor, KeyRef] | None:
        """Whom a session of a standing would be of, with the key of their ledger entries; None where it has gone.

        Raises:
            KeyDestroyed: The subject was erased.
        """
        await self._learn_organisation(connection, standing.organisation_id)
        organisation = await self.organisation(standing.organisation_id)
        if standing.kind == "user":
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
                organisation=organisation.name,
                surface="portal",
            )
            return actor, organisation.key
        if subject_id is None or subject_id not in await store.subjects_of_account(connection, standing.account_id):
            return None
        subject = await self._subject_in(connection, subject_id)
        return self._as_patient(standing.account_id, subject, organisation.name), subject.audit_key

    def _as_patient(self, account_id: UUID, subject: Subject, organisation: str) -> Actor:
        return Actor(
            kind="patient",
            id=account_id,
            tenant=subject.tenant,
            role="patient",
            subject_id=subject.id,
            session_id=ids.uuid7(),
            name=subject.name,
            organisation=organisation,
            via=_DOOR_OF_PATIENTS,
            surface="portal",
        )

    async def _write_session(
        self, connection: Connection, actor: Actor, proof: str, address: str, key: KeyRef
    ) -> Session:
        """Begin a session; it is fresh."""
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
            "fresh_at": now,
            "idle": IDLE_OF_PATIENT if actor.kind == "patient" else IDLE_OF_STAFF,
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
            clear=Clear(refs=refs(session=actor.session_id, account=actor.id), says={"proof": proof}),
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
        if distrusted := trust.of_session(self._keyring, tenant, row):
            await self.alarm.raise_about(distrusted, tenant, row["account_id"])
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
            surface="portal" if form == "browser" else "",
            zone=row["zone"] or "",
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


def _purpose(kind: str) -> str:
    return "own_access" if kind == "patient" else "administration"


def _live(row: Row, organisation: str = "") -> LiveSession:
    return LiveSession(
        row["id"], row["account_id"], row["kind"], row["proof"], row["made_at"], row["seen_at"], row["expires_at"],
        organisation,
    )  # fmt: skip
