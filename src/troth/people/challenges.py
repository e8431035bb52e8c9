"""The second proof: what a sign-in still owes before there is a session, and what a session owes before some acts."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Connection, Row, Space
from troth.people import store as people_store
from troth.people.drafts import Drafts
from troth.people.errors import ChallengeOver, FactorRefused, TooManyCodes
from troth.people.factors import Challenge, Factor, Owed, Party, PasskeyRefused, codes, store, totp
from troth.people.factors.model import CHALLENGE_LIFETIME, FRESH, MOST_TRIES
from troth.people.model import Session, Standing, StandingKind, digest_of, new_secret, tenant_of
from troth.people.room import email_of
from troth.policy import Actor, Permit
from troth.vault import KeyDestroyed, KeyRef

_RECOVERY = "recovery_code"
_RECOVERED = """Someone signed in to your account at {place} with one of its recovery codes. Your other sessions ended.

If it was not you, tell the privacy office of {place} today.
"""


@dataclass(frozen=True, slots=True)
class HeldChallenge:
    """A challenge held by the running transaction, with its account's factors and who would stand there."""

    row: Row
    factors: tuple[Row, ...]
    actor: Actor
    key: KeyRef

    @property
    def account_id(self) -> UUID:
        """Whose it is."""
        return UUID(str(self.row["account_id"]))

    @property
    def kind(self) -> StandingKind:
        """As staff or as patient."""
        return "patient" if self.row["kind"] == "patient" else "user"

    @property
    def digest(self) -> bytes:
        """What is kept of the cookie."""
        return bytes(self.row["digest"])

    @property
    def account_key(self) -> KeyRef:
        """What everything of the account is sealed under."""
        return KeyRef(self.row["account_key"])

    def of_form(self, form: str) -> list[Row]:
        """The factors of one form."""
        return [each for each in self.factors if each["form"] == form]


class Challenges(Drafts):
    """The part of `People` that asks for a second factor, and looks whether it was shown.

    Every member of staff owes one; a patient owes one where they set one up.
    """

    @property
    def party(self) -> Party:
        """Whom passkeys are made for: the pages, by their address."""
        return Party(self._links.base_url)

    # What is owed

    async def owed(self, token: str) -> Owed | None:
        """What a sign-in or a session of this cookie owes; None when there is nothing, or it is over.

        Args:
            token: Value of the cookie.
        """
        tenant = tenant_of(token)
        if tenant is None:
            return None
        async with self._db.transaction(Space(tenant)) as connection:
            held = await self._held_challenge(connection, token)
            if held is None:
                return None
            organisation = await self.organisation_over(connection, tenant)
            left = await store.codes_left(connection, held.account_id, held.kind)
            secret = self._enrolling(held) if not held.factors else b""
        return Owed(
            "factor" if held.factors else "enrolment",
            held.account_id,
            held.kind,
            organisation.name,
            held.actor.name,
            held.row["session_id"] is not None,
            frozenset(each["form"] for each in held.factors),
            left > 0,
            totp.in_base32(secret) if secret else "",
            totp.address(secret, organisation.name, held.actor.name) if secret else "",
        )

    async def is_fresh(self, actor: Actor) -> bool:
        """Whether the actor signed in, or showed a factor again, in the last five minutes."""
        if actor.session_id is None or actor.tenant is None:
            return False
        async with self._db.transaction(actor) as connection:
            return await self._is_session_fresh(connection, actor.session_id)

    async def ask_again(self, token: str) -> bool:
        """Ask whoever has a session for a factor once more, before an act that needs a fresh sign-in.

        Returns:
            Whether a factor is set up; a patient without one signs in again by mail.
        """
        actor = await self.actor_of_session(token)
        if actor is None or actor.tenant is None or actor.id is None or actor.kind not in ("user", "patient"):
            return False
        kind: StandingKind = "patient" if actor.kind == "patient" else "user"
        async with self._db.transaction(actor) as connection:
            if not await store.factors(connection, actor.id, kind):
                return kind == "user"
            await self._put_challenge(connection, token, actor, kind, "mail", actor.session_id)
        return True

    async def factors_of(self, actor: Actor) -> tuple[list[Factor], int]:
        """An account's own factors, and how many recovery codes are left."""
        if actor.id is None or actor.kind not in ("user", "patient"):
            return [], 0
        async with self._db.transaction(actor) as connection:
            rows = await store.factors(connection, actor.id, actor.kind)
            left = await store.codes_left(connection, actor.id, actor.kind)
        return [Factor(row["id"], row["form"], row["made_at"], row["used_at"]) for row in rows], left

    async def factors_of_patient(self, permit: Permit, account_id: UUID) -> tuple[Factor, ...]:
        """The factors with which an account signs in as a patient of the permit's organisation; no secret of them.

        Args:
            permit: Of the request for which it is told; `accounts_of_subject` says which accounts are theirs.
            account_id: The account.
        """
        async with self._db.transaction(permit) as connection:
            rows = await store.factors(connection, account_id, "patient")
        return tuple(Factor(row["id"], row["form"], row["made_at"], row["used_at"]) for row in rows)

    # Showing it

    async def show_code(self, token: str, typed: str, address: str) -> Session:
        """Show a code of an app, or a recovery code, and go on: a sign-in ends, or a session is fresh again.

        Args:
            token: Value of the cookie.
            typed: As typed.
            address: IP address; goes into the ledger, sealed.

        Raises:
            ChallengeOver: There is nothing to show it for.
            FactorRefused: Wrong, or used already.
            TooManyCodes: It was one try too many: signing in begins anew.
        """
        space = Space(tenant_of(token))
        if space.tenant is None:
            raise ChallengeOver
        fault: type[FactorRefused | TooManyCodes] | None = None
        begun: Session | None = None
        async with self._db.transaction(space) as connection:
            held = await self._held_challenge(connection, token)
            if held is None:
                raise ChallengeOver
            form = await self._takes_code(connection, held, typed)
            if form:
                begun = await self._go_on(connection, held, form, address)
            else:
                fault = await self._refuse(connection, held, "code", address)
        if fault is not None:
            raise fault
        assert begun is not None
        if form == _RECOVERY:
            self._do_later(self._tell_of_recovery(begun.actor))
        return begun

    async def passkey_request(self, token: str) -> str:
        """What a browser is asked to sign for this challenge, as JSON; empty where the account has no passkey.

        Raises:
            ChallengeOver: There is nothing to show it for.
        """
        space = Space(tenant_of(token))
        if space.tenant is None:
            raise ChallengeOver
        async with self._db.transaction(space) as connection:
            held = await self._held_challenge(connection, token)
            if held is None:
                raise ChallengeOver
            known = self._credentials(held)
            if not known or not self.party.is_possible:
                return ""
            nonce = secrets.token_bytes(32)
            await store.put_nonce(connection, held.digest, nonce)
        return self.party.request(nonce, known)

    async def show_passkey(self, token: str, answer: str, address: str) -> Session:
        """Show a passkey, and go on; see `show_code`.

        Args:
            token: Value of the cookie.
            answer: What the browser made of `passkey_request`, as JSON.
            address: IP address; goes into the ledger, sealed.

        Raises:
            ChallengeOver: There is nothing to show it for.
            FactorRefused: It was not signed as asked, or not by somebody whom the device knows.
            TooManyCodes: It was one try too many.
        """
        space = Space(tenant_of(token))
        if space.tenant is None:
            raise ChallengeOver
        fault: type[FactorRefused | TooManyCodes] | None = None
        begun: Session | None = None
        async with self._db.transaction(space) as connection:
            held = await self._held_challenge(connection, token)
            if held is None:
                raise ChallengeOver
            if await self._takes_passkey(connection, held, answer):
                begun = await self._go_on(connection, held, "passkey", address)
            else:
                fault = await self._refuse(connection, held, "passkey", address)
        if fault is not None:
            raise fault
        assert begun is not None
        return begun

    # Inside

    async def _challenge(self, connection: Connection, standing: Standing, actor: Actor, proof: str) -> Challenge:
        """Begin a sign-in that owes a factor."""
        assert actor.tenant is not None
        assert actor.id is not None
        token = new_secret(actor.tenant)
        has = await store.factors(connection, standing.account_id, standing.kind)
        await self._put_challenge(connection, token, actor, standing.kind, proof, None)
        if not has:
            await self._put_enrolling(connection, digest_of(token), await self._account_key(connection, actor.id))
        needs: Literal["factor", "enrolment"] = "factor" if has else "enrolment"
        return Challenge(token, needs, clock.now() + CHALLENGE_LIFETIME)

    async def _owes_factor(self, connection: Connection, account_id: UUID, kind: StandingKind) -> bool:
        return kind == "user" or bool(await store.factors(connection, account_id, kind))

    async def _put_challenge(
        self, connection: Connection, token: str, actor: Actor, kind: StandingKind, proof: str,
        session_id: UUID | None,
    ) -> None:  # fmt: skip
        now = clock.now()
        values = {
            "tenant": actor.tenant, "digest": digest_of(token), "account_id": actor.id, "kind": kind,
            "subject_id": actor.subject_id, "session_id": session_id, "proof": proof, "made_at": now,
            "expires_at": now + CHALLENGE_LIFETIME,
        }  # fmt: skip
        await store.put_challenge(connection, values)

    async def _held_challenge(self, connection: Connection, token: str) -> HeldChallenge | None:
        row = await store.challenge(connection, digest_of(token), clock.now())
        if row is None or row["tries"] >= MOST_TRIES:
            return None
        standing = Standing(row["account_id"], row["tenant"], "", "patient" if row["kind"] == "patient" else "user")
        try:
            found = await self._who_would_stand(connection, standing, row["subject_id"])
        except KeyDestroyed:
            return None
        if found is None:
            return None
        actor, key = found
        rows = await store.factors(connection, row["account_id"], row["kind"])
        return HeldChallenge(row, tuple(rows), actor, key)

    async def _takes_code(self, connection: Connection, held: HeldChallenge, typed: str) -> str:
        """The form of factor that a typed code is of; empty when it is none."""
        now, figures = clock.now(), codes.figures(typed)
        if len(figures) == totp.DIGITS and not any(letter.isalpha() for letter in typed):
            for each in held.of_form("totp"):
                secret = self._unsealed(held.account_key, each)
                step = totp.matching_step(secret, figures, now, each["last_step"])
                if step is not None and await store.use_factor(connection, each["id"], step, now):
                    return "totp"
            return ""
        digest = self._recovery_digest(held.account_key, held.kind, codes.plain(typed))
        return _RECOVERY if await store.use_code(connection, held.account_id, held.kind, digest) else ""

    async def _takes_passkey(self, connection: Connection, held: HeldChallenge, answer: str) -> bool:
        nonce = held.row["nonce"]
        if nonce is None:
            return False
        await store.put_nonce(connection, held.digest, None)
        known = held.of_form("passkey")
        try:
            place, counter = self.party.proved(bytes(nonce), self._credentials(held), answer)
        except PasskeyRefused:
            return False
        return await store.use_factor(connection, known[place]["id"], counter, clock.now())

    async def _go_on(self, connection: Connection, held: HeldChallenge, form: str, address: str) -> Session:
        """The factor was shown: end the challenge, and begin the session or make it fresh."""
        await store.delete_challenge(connection, held.digest)
        kind = "people:recovery:used" if form == _RECOVERY else "people:factor:used"
        await self._note_factor(connection, kind, held, address, form=form)
        session_id = held.row["session_id"]
        if session_id is None:
            if form == _RECOVERY:
                await self._end_others(connection, held)
            return await self._write_session(connection, held.actor, held.row["proof"], address, held.key)
        token = new_secret(held.row["tenant"])
        renewed = await store.renew_session(connection, session_id, digest_of(token), clock.now())
        if renewed is None:
            raise ChallengeOver
        return Session(token, held.actor, renewed["expires_at"])

    async def _tell_of_recovery(self, actor: Actor) -> None:
        assert actor.id is not None
        async with self._db.transaction(None) as connection:
            row = await people_store.account(connection, actor.id)
        if row is None:
            return
        email = email_of(self._keyring, row, row["id"])
        await self._mail.send(email, "A recovery code was used", _RECOVERED.format(place=actor.organisation), {})

    async def _end_others(self, connection: Connection, held: HeldChallenge) -> None:
        """After a recovery whatever else was open ends: the lost device may be in other hands."""
        await people_store.end_sessions(connection, clock.now(), account_id=held.account_id, kind=held.kind)

    async def _refuse(
        self, connection: Connection, held: HeldChallenge, form: str, address: str
    ) -> type[FactorRefused | TooManyCodes]:
        tries = await store.count_try(connection, held.digest)
        await self._note_factor(
            connection, "people:factor:refused", held, address, form=form, outcome="refused",
            counts={"tries": tries, "most": MOST_TRIES},
        )  # fmt: skip
        return TooManyCodes if tries >= MOST_TRIES else FactorRefused

    async def _note_factor(
        self, connection: Connection, kind: str, held: HeldChallenge, address: str, *, form: str, outcome: str = "done",
        counts: dict[str, int] | None = None,
    ) -> None:  # fmt: skip
        await self._note(
            connection, kind, held.actor, held.row["tenant"], held.key, subject_id=held.actor.subject_id,
            purpose="own_access" if held.kind == "patient" else "administration", outcome=outcome,
            payload={"address": address, "form": form}, counts=counts or {},
        )  # fmt: skip

    async def _put_enrolling(self, connection: Connection, digest: bytes, account_key: KeyRef) -> None:
        """Make the key that an app for codes may take, for as long as the challenge lives."""
        sealed = self._keyring.seal(account_key, totp.new_secret(), _challenge_context(digest))
        await store.put_secret(connection, digest, sealed)

    def _enrolling(self, held: HeldChallenge) -> bytes:
        if held.row["secret_sealed"] is None:
            return b""
        return self._keyring.unseal(held.account_key, held.row["secret_sealed"], _challenge_context(held.digest))

    def _credentials(self, held: HeldChallenge) -> list[bytes]:
        return [self._unsealed(held.account_key, each) for each in held.of_form("passkey")]

    def _unsealed(self, key: KeyRef, row: Row) -> bytes:
        return self._keyring.unseal(key, row["sealed"], factor_context(row["tenant"], row["id"]))

    def _recovery_digest(self, key: KeyRef, kind: str, code: str) -> bytes:
        # Keyed, and of one account: what is in the database tells nobody a code, not even by trying them all.
        return self._keyring.digest(key, _RECOVERY, f"{kind}:{code}")

    async def _account_key(self, connection: Connection, account_id: UUID) -> KeyRef:
        row = await people_store.account(connection, account_id)
        assert row is not None
        return KeyRef(row["key"])

    async def _is_session_fresh(self, connection: Connection, session_id: UUID) -> bool:
        at = await store.fresh_at(connection, session_id)
        return at is not None and at > clock.now() - FRESH


def _challenge_context(digest: bytes) -> bytes:
    return b"challenge:" + digest


def factor_context(tenant: UUID, factor_id: UUID) -> bytes:
    """What a sealed factor is bound to."""
    return b"factor:" + tenant.bytes + factor_id.bytes
