"""Setting up a second factor, recovery codes, and taking a factor away."""

from __future__ import annotations

import secrets
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, Space
from troth.people.challenges import Challenges, HeldChallenge, factor_context
from troth.people.errors import ChallengeOver, FactorNotFound, FactorRefused, LastFactor, TooManyCodes
from troth.people.factors import Enrolled, PasskeyRefused, codes, store, totp
from troth.people.model import StandingKind, digest_of, tenant_of
from troth.policy import Actor


class Enrolments(Challenges):
    """The part of `People` that sets second factors up."""

    async def begin_enrolment(self, token: str) -> bool:
        """Let whoever has a session set up one more factor; the sign-in has to be fresh.

        Args:
            token: Value of the session cookie.

        Returns:
            Whether they may: somebody is signed in, and the sign-in is fresh.
        """
        actor = await self.actor_of_session(token)
        if actor is None or actor.kind not in ("user", "patient") or not await self.is_fresh(actor):
            return False
        async with self._db.transaction(actor) as connection:
            kind: StandingKind = "patient" if actor.kind == "patient" else "user"
            await self._put_challenge(connection, token, actor, kind, "mail", actor.session_id)
            assert actor.id is not None
            await self._put_enrolling(connection, digest_of(token), await self._account_key(connection, actor.id))
        return True

    async def enrolling(self, token: str) -> tuple[str, str]:
        """The key of an app for codes that is being set up, in base 32, and as an `otpauth:` address.

        Raises:
            ChallengeOver: Nothing is being set up.
        """
        async with self._db.transaction(_space_of(token)) as connection:
            held = await self._may_enrol(connection, token)
            secret = self._enrolling(held)
            organisation = await self.organisation_over(connection, held.row["tenant"])
        return totp.in_base32(secret), totp.address(secret, organisation.name, held.actor.name)

    async def enrol_app(self, token: str, typed: str, address: str) -> Enrolled:
        """Set up an app for codes by the code that it shows now, and go on.

        Args:
            token: Value of the cookie.
            typed: As typed.
            address: IP address; goes into the ledger, sealed.

        Raises:
            ChallengeOver: Nothing is being set up.
            FactorRefused: It is not the code of now.
            TooManyCodes: It was one try too many.
        """
        fault: type[FactorRefused | TooManyCodes] | None = None
        enrolled: Enrolled | None = None
        async with self._db.transaction(_space_of(token)) as connection:
            held = await self._may_enrol(connection, token)
            secret, now = self._enrolling(held), clock.now()
            step = totp.matching_step(secret, codes.figures(typed), now, 0) if secret else None
            if step is None:
                fault = await self._refuse(connection, held, "totp", address)
            else:
                enrolled = await self._enrol(connection, held, "totp", secret, step, address)
        if fault is not None:
            raise fault
        assert enrolled is not None
        return enrolled

    async def passkey_creation(self, token: str) -> str:
        """What a browser is asked for to make a passkey, as JSON; empty where browsers make none for our name.

        Raises:
            ChallengeOver: Nothing is being set up.
        """
        async with self._db.transaction(_space_of(token)) as connection:
            held = await self._may_enrol(connection, token)
            if not self.party.is_possible:
                return ""
            nonce = secrets.token_bytes(32)
            await store.put_nonce(connection, held.digest, nonce)
            known = self._credentials(held)
        handle = held.row["tenant"].bytes + held.account_id.bytes + held.kind[:1].encode()
        return self.party.creation(nonce, handle, held.actor.name, known)

    async def enrol_passkey(self, token: str, answer: str, address: str) -> Enrolled:
        """Set up the passkey that a browser made, and go on; see `enrol_app`.

        Args:
            token: Value of the cookie.
            answer: What the browser made of `passkey_creation`, as JSON.
            address: IP address; goes into the ledger, sealed.

        Raises:
            ChallengeOver: Nothing is being set up.
            FactorRefused: It does not fit what was asked, or the device asked nobody.
            TooManyCodes: It was one try too many.
        """
        fault: type[FactorRefused | TooManyCodes] | None = None
        enrolled: Enrolled | None = None
        async with self._db.transaction(_space_of(token)) as connection:
            held = await self._may_enrol(connection, token)
            nonce = held.row["nonce"]
            await store.put_nonce(connection, held.digest, None)
            try:
                credential = self.party.made(bytes(nonce or b""), answer) if nonce else b""
            except PasskeyRefused:
                credential = b""
            if credential:
                enrolled = await self._enrol(connection, held, "passkey", credential, 0, address)
            else:
                fault = await self._refuse(connection, held, "passkey", address)
        if fault is not None:
            raise fault
        assert enrolled is not None
        return enrolled

    async def renew_codes(self, actor: Actor, address: str) -> tuple[str, ...]:
        """Make ten new recovery codes; the old ones end. The sign-in has to be fresh, which the door has looked at.

        Raises:
            FactorNotFound: No factor is set up, so there is nothing to recover.
        """
        if actor.tenant is None or actor.id is None:
            raise FactorNotFound
        organisation = await self.organisation(actor.tenant)
        async with self._db.transaction(actor) as connection:
            if not await store.factors(connection, actor.id, actor.kind):
                raise FactorNotFound
            made = await self._new_codes(connection, actor.tenant, actor.id, actor.kind)
            await self._note(
                connection, "people:recovery:made", actor, actor.tenant, organisation.key,
                purpose="administration", payload={"address": address}, counts={"codes": len(made)},
            )  # fmt: skip
        return made

    async def remove_factor(self, actor: Actor, factor_id: UUID, address: str) -> None:
        """Take one's own factor away.

        Raises:
            FactorNotFound: There is none such.
            LastFactor: Whoever works here cannot be without one.
        """
        if actor.tenant is None or actor.id is None:
            raise FactorNotFound
        organisation = await self.organisation(actor.tenant)
        async with self._db.transaction(actor) as connection:
            held = await store.factors(connection, actor.id, actor.kind)
            if actor.kind == "user" and len(held) < 2:
                raise LastFactor
            if not await store.delete_factor(connection, actor.id, actor.kind, factor_id):
                raise FactorNotFound
            if len(held) == 1:  # recovery codes of nothing are no way in
                await store.delete_factors(connection, actor.id, actor.kind)
            await self._note(
                connection, "people:factor:removed", actor, actor.tenant, organisation.key,
                purpose="own_access" if actor.kind == "patient" else "administration",
                payload={"address": address, "factor": str(factor_id)},
            )  # fmt: skip

    # Inside

    async def _may_enrol(self, connection: Connection, token: str) -> HeldChallenge:
        """The challenge, where a factor may be set up by it: nothing is set up yet, or the session is fresh."""
        held = await self._held_challenge(connection, token)
        if held is None:
            raise ChallengeOver
        session_id = held.row["session_id"]
        if held.factors and (session_id is None or not await self._is_session_fresh(connection, session_id)):
            raise ChallengeOver  # who knows the link alone must not add a factor of their own
        return held

    async def _enrol(
        self, connection: Connection, held: HeldChallenge, form: str, content: bytes, step: int, address: str
    ) -> Enrolled:
        factor_id, tenant, now = ids.uuid7(), held.row["tenant"], clock.now()
        values = {
            "tenant": tenant, "id": factor_id, "account_id": held.account_id, "kind": held.kind, "form": form,
            "sealed": self._keyring.seal(held.account_key, content, factor_context(tenant, factor_id)),
            "last_step": step, "made_at": now,
        }  # fmt: skip
        await store.insert_factor(connection, values)
        await self._note_factor(connection, "people:factor:enrolled", held, address, form=form)
        made: tuple[str, ...] = ()
        if not await store.codes_left(connection, held.account_id, held.kind):
            made = await self._new_codes(connection, tenant, held.account_id, held.kind)
            await self._note_factor(connection, "people:recovery:made", held, address, form="recovery_code")
        session = await self._go_on(connection, held, form, address)
        return Enrolled(session.token, session.expires_at, made, held.actor.role)

    async def _new_codes(self, connection: Connection, tenant: UUID, account_id: UUID, kind: str) -> tuple[str, ...]:
        made = codes.recovery_codes()
        key = await self._account_key(connection, account_id)
        digests = [self._recovery_digest(key, kind, codes.plain(each)) for each in made]
        await store.put_codes(connection, tenant, account_id, kind, digests, clock.now())
        return made


def _space_of(token: str) -> Space:
    """The space that a cookie claims.

    Raises:
        ChallengeOver: It claims none.
    """
    tenant = tenant_of(token)
    if tenant is None:
        raise ChallengeOver
    return Space(tenant)
