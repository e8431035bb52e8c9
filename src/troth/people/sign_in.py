"""Sign-in without passwords: a one-time link to the mailbox, or from the hand of an administrator."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from uuid import UUID

from troth.kit import clock, ids
from troth.people import asks_store, emails, merges_store, sources_store, store, trust
from troth.people.accepting import BY_SIGN_IN
from troth.people.errors import (
    SignInLinkOver,
    StandingNeeded,
    StandingNotFound,
    UserNotFound,
)
from troth.people.factor_resets import FactorResets
from troth.people.factors import Challenge
from troth.people.model import LINK_LIFETIME, Asked, Organisation, Session, Standing, StandingKind, digest_of
from troth.people.room import Account
from troth.policy import Actor, Permit
from troth.vault import KeyDestroyed, KeyRef

ATTEMPT_WINDOW = timedelta(minutes=15)
MOST_OF_PAIR = 5
"""Links for one mailbox, asked for from one network. A link lives as long as the window: one of them is open."""
MOST_OF_MAILBOX = 20
"""Links for one mailbox, from anywhere."""
MOST_REPEATED = 30
"""From then on a network, which may be all of a hospital, has one link for each mailbox."""
MOST_OF_NETWORK = 300
"""From then on a network has a link for a mailbox only where nobody, anywhere, asked for one. So a visitor who asks
without end keeps nobody out behind the same proxy: whoever asks then is mailed a link, or has one that lives."""
BUCKETS = 1 << 18
"""Most rows that are kept of networks, of mailboxes and of both; two that share a row share its count."""

_logger = logging.getLogger(__name__)

CODE_DIGITS = 6
CODE_LIFETIME = timedelta(minutes=10)
_CODE = "sign_in_code"

_SIGN_IN_TEXT = """Someone asked to sign in with this address.

Open this link within 15 minutes. It works once:

{link}
{code}
If it was not you, do nothing; nobody can sign in without this mail.
"""
_CODE_TEXT = """
Or type this code within 10 minutes where you asked, in the same browser:

{code}

Whichever you use first uses up the other. Tell the code to nobody: nobody of ours asks for it.
"""


class SignIn(FactorResets):
    """The part of `People` that lets somebody in."""

    async def start_sign_in(self, email: str, address: str, token: str = "") -> Asked:
        """Mail a one-time link and a code if the e-mail address is known; answer and time are the same if it is not.

        Who asks too often is sent no more mail, and told nothing of it: links that are open go on working, so nobody
        can be kept out by others who ask for them.

        Args:
            email: As typed.
            address: IP address it came from.
            token: Value of the cookie that the browser has; empty where it has none.

        Returns:
            The cookie with which the code counts: the same one, or a new one.

        Raises:
            EmailMalformed: Mail cannot be sent there.
        """
        wanted, asked, now = emails.normalised(email), token or ids.secret(32), clock.now()
        is_mailed, has_code = await self._may_be_mailed(wanted, network_of(address))
        values: dict[str, Any] = {}
        if has_code:
            bucket = _bucket(3, self._keyring.token(await self._platform_key(), "attempt_code", wanted))
            values = {"digest": digest_of(asked), "bucket": bucket, "made_at": now, "expires_at": now + CODE_LIFETIME}
            async with self._db.transaction(None) as connection:
                await asks_store.put(connection, values)
        if is_mailed:
            self._do_later(self._mail_sign_in_link(wanted, values))
        return Asked(asked, now + CODE_LIFETIME)

    async def _may_be_mailed(self, email: str, network: str) -> tuple[bool, bool]:
        """Count who asks, and for whom; whether one more mail is sent, and whether a code stands in it.

        A code is a row more, so a network that asks without end has links alone.
        """
        platform = await self._platform_key()
        from_there = _bucket(0, self._keyring.token(platform, "attempt_network", network))
        this_pair = _bucket(1, self._keyring.token(platform, "attempt_pair", f"{network} {email}"))
        this_mailbox = _bucket(2, self._keyring.token(platform, "attempt_email", email))
        now = clock.now()
        async with self._db.transaction(None) as connection:
            asked = await asks_store.count_attempt(connection, from_there, now, ATTEMPT_WINDOW)
            # In one order everywhere, so that two of them never wait for each other.
            by_pair = await asks_store.count_attempt(connection, this_pair, now, ATTEMPT_WINDOW)
            by_mailbox = await asks_store.count_attempt(connection, this_mailbox, now, ATTEMPT_WINDOW)
        if by_pair > MOST_OF_PAIR:
            self._refused("mailbox from one network", by_pair, MOST_OF_PAIR)
        elif by_mailbox > MOST_OF_MAILBOX:
            self._refused("mailbox", by_mailbox, MOST_OF_MAILBOX)
        elif asked > MOST_REPEATED and by_pair > 1:
            self._refused("network that repeats itself", asked, MOST_REPEATED)
        elif asked > MOST_OF_NETWORK and by_mailbox > 1:
            self._refused("network", asked, MOST_OF_NETWORK)
        else:
            return True, asked <= MOST_OF_NETWORK
        return False, False

    def _refused(self, whose: str, tries: int, most: int) -> None:
        """Write down that no mail is sent, once in a window; neither whose mailbox nor from where."""
        if tries == most + 1:
            _logger.warning("sign-in: no more links are mailed to a %s for %s", whose, ATTEMPT_WINDOW)

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
        return await self._people_of(digest_of(link_secret))

    async def _people_of(self, link_digest: bytes) -> list[Standing]:
        async with self._db.transaction(None) as connection:
            link = await store.sign_in_link(connection, link_digest, clock.now())
        if link is not None and not trust.of_link(self._keyring, link_digest, link):
            await self.alarm.raise_about("sign_in_link", None, link["account_id"])
            raise SignInLinkOver
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
        return await self._sign_in(digest_of(link_secret), await self.people_at(link_secret), address, chosen)

    async def _sign_in(
        self, link_digest: bytes, found: list[Standing], address: str, chosen: str
    ) -> Session | Challenge:
        standing = chosen_of(found, chosen)
        async with self._db.transaction(None) as connection:
            used = await store.use_sign_in_link(connection, link_digest, clock.now())
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

    async def _mail_sign_in_link(self, email: str, ask: Mapping[str, Any]) -> None:
        account = await self._account_of(email)
        if account is None:
            return
        async with self._db.transaction(None) as connection:
            if not await store.standings(connection, account.id):
                return
        secret = await self._new_link(account.id, None)
        code = await self._new_mail_code(ask, secret) if ask else ""
        text = _SIGN_IN_TEXT.format(
            link=self._links.to_sign_in(secret), code=_CODE_TEXT.format(code=f"{code[:3]} {code[3:]}") if code else ""
        )
        await self._mail.send(email, "Your sign-in link", text, {})

    async def _new_mail_code(self, ask: Mapping[str, Any], link_secret: str) -> str:
        """A code for what a browser asked; empty where it has asked for another mailbox, or once more, since."""
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
        digest = self._mail_code_digest(await self._platform_key(), ask["digest"], code)
        async with self._db.transaction(None) as connection:
            is_kept = await asks_store.put_code(connection, ask, digest, digest_of(link_secret))
        return code if is_kept else ""

    def _mail_code_digest(self, platform: KeyRef, ask: bytes, figures: str) -> bytes:
        """What is kept of a code: keyed, since six figures are tried out in no time, and bound to the question."""
        return self._keyring.digest(platform, _CODE, f"{ask.hex()}:{figures}")

    async def _new_link(self, account_id: UUID, organisation_id: UUID | None) -> str:
        secret, now = ids.secret(32), clock.now()
        digest = digest_of(secret)
        values = {
            "digest": digest,
            "account_id": account_id,
            "organisation_id": organisation_id,
            "made_at": now,
            "expires_at": now + LINK_LIFETIME,
        }
        values["tag"] = self._keyring.tag(trust.link_message(digest, values))
        async with self._db.transaction(None) as connection:
            await store.insert_sign_in_link(connection, values)
        return secret


def _named(place: Standing, actor: Actor, subject_id: UUID | None) -> Standing:
    return Standing(place.account_id, place.organisation_id, place.organisation, place.kind, subject_id, actor.name)


def chosen_of(found: list[Standing], chosen: str) -> Standing:
    """Who of those who stand there it is.

    Args:
        found: Whoever can sign in by what was shown.
        chosen: `Standing.key` of one; may be empty where there is one.

    Raises:
        StandingNeeded: There are several, and none is chosen.
        StandingNotFound: The chosen one is none of them.
    """
    if not chosen and len(found) > 1:
        raise StandingNeeded
    standing = next((each for each in found if chosen in ("", each.key)), None)
    if standing is None:
        raise StandingNotFound
    return standing


def network_of(address: str) -> str:
    """Who asks, as far as limits go: one IPv4 address, or the 64 bits of an IPv6 address that one line has.

    Args:
        address: IP address; anything else counts as one.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or ip_network((int(found), 64), strict=False))


def _bucket(lane: int, token: int) -> int:
    return lane * BUCKETS + token % BUCKETS
