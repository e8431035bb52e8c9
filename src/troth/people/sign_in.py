"""Sign-in without passwords: a one-time link to the mailbox, or from the hand of an administrator."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from troth.kit import clock, ids
from troth.people import emails, store
from troth.people.errors import SignInLinkOver, TooManyAttempts, UserNotFound
from troth.people.model import LINK_LIFETIME, Session, Standing, digest_of
from troth.people.sessions import Sessions
from troth.policy import Permit

ATTEMPT_WINDOW = timedelta(minutes=15)
MOST_ATTEMPTS_PER_EMAIL = 5
MOST_ATTEMPTS_PER_ADDRESS = 30

_SIGN_IN_TEXT = """Somebody, we hope you, asked to sign in with this e-mail address.

Open this link within 15 minutes. It works once:

{link}

If it was not you, do nothing; nobody can sign in without this link.
"""


class SignIn(Sessions):
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

        It leads into this organisation only, wherever else the account may stand.

        Returns:
            The whole link.

        Raises:
            UserNotFound: No active member of this organisation.
        """
        member = await self.user(permit, user_id)
        if not member.is_active:
            raise UserNotFound
        return self._links.to_sign_in(await self._new_link(user_id, member.tenant))

    async def look_at_link(self, link_secret: str) -> None:
        """Look whether a one-time link still works, before anybody presses anything. Changes nothing.

        Raises:
            SignInLinkOver: Used, expired or never made.
        """
        async with self._db.transaction(None) as connection:
            if not await store.is_sign_in_link_open(connection, digest_of(link_secret), clock.now()):
                raise SignInLinkOver

    async def sign_in(self, link_secret: str, address: str) -> Session:
        """Use up a one-time link and begin a session.

        Args:
            link_secret: What stands at the end of the link.
            address: IP address; goes into the ledger, sealed.

        Raises:
            SignInLinkOver: Used, expired, never made, or the account stands nowhere any more.
        """
        async with self._db.transaction(None) as connection:
            used = await store.use_sign_in_link(connection, digest_of(link_secret), clock.now())
            rows = await store.standings(connection, used["account_id"], used["organisation_id"]) if used else []
        for row in rows:
            proof = "issued" if used and used["organisation_id"] else "mail"
            begun = await self._begin(Standing(**row), address, proof)
            if begun is not None:
                return begun
        raise SignInLinkOver

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
