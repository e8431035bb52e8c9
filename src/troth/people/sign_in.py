"""Sign-in without passwords: a one-time link to the mailbox, or from the hand of an administrator."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from troth.kit import clock, ids
from troth.people import emails, merges_store, sources_store, store
from troth.people.accepting import BY_SIGN_IN
from troth.people.errors import (
    SignInLinkOver,
    StandingNeeded,
    StandingNotFound,
    TooManyAttempts,
    UserNotFound,
)
from troth.people.factor_resets import FactorResets
from troth.people.factors import Challenge
from troth.people.model import LINK_LIFETIME, Organisation, Session, Standing, StandingKind, digest_of
from troth.people.room import Account
from troth.policy import Actor, Permit
from troth.vault import KeyDestroyed, KeyRef

ATTEMPT_WINDOW = timedelta(minutes=15)
MOST_ATTEMPTS_PER_EMAIL = 5
MOST_ATTEMPTS_PER_ADDRESS = 30

_SIGN_IN_TEXT = """Someone asked to sign in with this address.

Open this link within 15 minutes. It works once:

{link}

If it was not you, do nothing; nobody can sign in without this link.
"""


class SignIn(FactorResets):
    """The part of `People` that lets somebody in."""

    async def start_sign_in(self, email: str, address: str) -> None:
        """Mail a one-time link if the e-mail address is known. The answer, and its time, are the same if it is not.

        Args:
            email: As typed.
            address: IP address it came from.

        Raises:
            EmailMalformed: Mail cannot be sent there.
            TooManyAttempts: For this e-mail address or from this address; known or not makes no difference.
        """
        wanted = emails.normalised(email)
        platform = await self._platform_key()
        limits = {
            self._keyring.token(platform, "attempt_email", wanted): MOST_ATTEMPTS_PER_EMAIL,
            self._keyring.token(platform, "attempt_address", address): MOST_ATTEMPTS_PER_ADDRESS,
        }
        is_over = False
        async with self._db.transaction(None) as connection:
            # In one order everywhere, so that two of them never wait for each other.
            for bucket, most in sorted(limits.items()):
                tries = await store.count_attempt(connection, bucket, clock.now(), ATTEMPT_WINDOW)
                is_over |= tries > most
        if is_over:
            raise TooManyAttempts
        self._do_later(self._mail_sign_in_link(wanted))

    async def issue_sign_in_link(self, permit: Permit, user_id: UUID) -> str:
        """A one-time link for a member of the permit's organisation, to be handed over by its administrator.

        It leads into this organisation only, wherever else the account may stand, and as its member.

        Returns:
            The whole link.

        Raises:
            UserNotFound: No active member of this organisation.
        """
        member = await self.user(permit, user_id)
        if not member.is_active:
            raise UserNotFound
        return self._links.to_sign_in(await self._new_link(user_id, member.tenant))

    async def people_at(self, link_secret: str) -> list[Standing]:
        """As whom whoever holds a one-time link can sign in: all whose mailbox it is. Changes nothing.

        Raises:
            SignInLinkOver: Used, expired or never made, or the account stands nowhere any more.
        """
        async with self._db.transaction(None) as connection:
            link = await store.sign_in_link(connection, digest_of(link_secret), clock.now())
        found = await self._standings_of(link["account_id"], link["organisation_id"]) if link else []
        if not found:
            raise SignInLinkOver
        return found

    async def sign_in(self, link_secret: str, address: str, chosen: str = "") -> Session | Challenge:
        """Use up a one-time link and begin a session, or what leads to one where a second factor is owed.

        Args:
            link_secret: What stands at the end of the link.
            address: IP address; goes into the ledger, sealed.
            chosen: `Standing.key` of the person it is; may be left out where the mailbox is of one.

        Raises:
            SignInLinkOver: Used, expired, never made, or the account stands nowhere any more.
            StandingNeeded: Several people have this mailbox; the link can still be used.
            StandingNotFound: The chosen one is none of them; the link can still be used.
        """
        found = await self.people_at(link_secret)
        if not chosen and len(found) > 1:
            raise StandingNeeded
        standing = next((each for each in found if chosen in ("", each.key)), None)
        if standing is None:
            raise StandingNotFound
        async with self._db.transaction(None) as connection:
            used = await store.use_sign_in_link(connection, digest_of(link_secret), clock.now())
        if used is None:
            raise SignInLinkOver
        begun = await self._begin(standing, address, "issued" if used["organisation_id"] else "mail")
        if begun is None:
            raise SignInLinkOver
        return begun

    # Inside

    async def _standings_of(self, account_id: UUID, organisation_id: UUID | None) -> list[Standing]:
        """Everybody whose mailbox it is, staff before patients, oldest first; a link of an organisation is of staff."""
        async with self._db.transaction(None) as connection:
            rows = await store.standings(connection, account_id, organisation_id)
        found: list[Standing] = []
        for row in rows:
            if row["kind"] == "user" or organisation_id is None:
                organisation = await self.organisation(row["organisation_id"])
                found += await self._standing_there(account_id, organisation, row["kind"])
        return found

    async def _standing_there(self, account_id: UUID, organisation: Organisation, kind: StandingKind) -> list[Standing]:
        place = Standing(account_id, organisation.id, organisation.name, kind)
        async with self._db.transaction(organisation) as connection:
            if kind == "user":
                stands = await self._who_would_stand(connection, place, None)
                return [_named(place, stands[0], None)] if stands else []
            found: dict[UUID, Standing] = {}
            for subject_id in await store.subjects_of_account(connection, account_id):
                surviving = await merges_store.surviving(connection, subject_id)
                try:
                    stands = await self._who_would_stand(connection, place, subject_id)
                except KeyDestroyed:
                    continue
                if stands and surviving not in found:
                    found[surviving] = _named(place, stands[0], subject_id)
        return list(found.values())

    async def _begin(self, standing: Standing, address: str, proof: str) -> Session | Challenge | None:
        organisation = await self.organisation(standing.organisation_id)
        found = await self._documents(standing.kind, organisation.region)
        async with self._db.transaction(organisation) as connection:
            try:
                stands = await self._who_would_stand(connection, standing, standing.subject_id)
            except KeyDestroyed:
                return None
            if stands is None:
                return None
            actor, key = stands
            if standing.kind == "user" and not await sources_store.has_accepted(connection, standing.account_id, None):
                account = await store.account(connection, standing.account_id)
                assert account is not None
                owner = Account(account["id"], KeyRef(account["key"]))
                await self._accept(connection, found, organisation, owner, actor, BY_SIGN_IN, address)
            if await self._owes_factor(connection, standing.account_id, standing.kind):
                return await self._challenge(connection, standing, actor, proof)
            return await self._write_session(connection, actor, proof, address, key)

    async def _mail_sign_in_link(self, email: str) -> None:
        account = await self._account_of(email)
        if account is None:
            return
        async with self._db.transaction(None) as connection:
            if not await store.standings(connection, account.id):
                return
        link = self._links.to_sign_in(await self._new_link(account.id, None))
        await self._mail.send(email, "Your sign-in link", _SIGN_IN_TEXT.format(link=link), {})

    async def _new_link(self, account_id: UUID, organisation_id: UUID | None) -> str:
        secret, now = ids.secret(32), clock.now()
        values = {
            "digest": digest_of(secret),
            "account_id": account_id,
            "organisation_id": organisation_id,
            "made_at": now,
            "expires_at": now + LINK_LIFETIME,
        }
        async with self._db.transaction(None) as connection:
            await store.insert_sign_in_link(connection, values)
        return secret


def _named(place: Standing, actor: Actor, subject_id: UUID | None) -> Standing:
    return Standing(place.account_id, place.organisation_id, place.organisation, place.kind, subject_id, actor.name)
