"""What a browser asked for at the door: the six figures of its mail, and a sign-in by a passkey alone.

The figures count only in the browser that asked, five times, for ten minutes, and together with the link of the same
mail: whichever of the two is used uses up both. Opening the link uses up nothing.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import timedelta
from typing import Final
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Row, Space
from troth.people import asks_store
from troth.people.challenges import factor_context
from troth.people.errors import (
    CodeOver,
    CodeRefused,
    CodesClosed,
    FactorRefused,
    SignInLinkOver,
)
from troth.people.factors import Challenge, PasskeyRefused
from troth.people.factors import store as factors_store
from troth.people.model import Organisation, Session, Standing, digest_of
from troth.people.sign_in import SignIn, chosen_of
from troth.vault import KeyDestroyed, KeyRef

MOST_CODES: Final = 5
"""Wrong ones of one question; then a new mail is needed, while its link goes on working."""
MOST_WRONG: Final = 20
"""Wrong ones for one mailbox in a day, from anywhere. Then its codes are refused, and its links go on working."""
WRONG_WINDOW: Final = timedelta(days=1)
NONCE_LIFETIME: Final = timedelta(minutes=10)
_NONCE = "passkey_nonce"
_RANDOM_BYTES, _TIME_BYTES, _MAC_BYTES = 16, 8, 16
_HANDLE_BYTES = 33


class Asks(SignIn):
    """The part of `People` for those who type the code of their mail, or show a passkey and nothing else."""

    # By mail

    async def people_by_code(self, token: str, typed: str) -> list[Standing]:
        """As whom whoever types a code can sign in; a wrong one is counted.

        Args:
            token: Value of the cookie of the browser.
            typed: As typed.

        Raises:
            CodeOver: There is nothing to type it for any more: too late, too often, used, or never asked.
            CodeRefused: It is another one.
            CodesClosed: Too many wrong ones were typed for this mailbox, known here or not.
        """
        return await self._people_of_code(await self._link_of_code(token, typed))

    async def _link_of_code(self, token: str, typed: str) -> bytes:
        """The digest of the link of the mail that a code stood in; a wrong code is counted. See `people_by_code`."""
        figures = "".join(letter for letter in typed if letter.isdigit() and letter.isascii())
        link, fault = b"", None
        async with self._db.transaction(None) as connection:
            row = await asks_store.held(connection, digest_of(token), clock.now())
            if row is None or row["tries"] >= MOST_CODES:
                raise CodeOver
            if await asks_store.attempts(connection, row["bucket"], clock.now(), WRONG_WINDOW) >= MOST_WRONG:
                raise CodesClosed
            if await self._is_code(row, figures):
                link = bytes(row["link_digest"])
            else:
                # Written down whether or not there is such a mailbox, so that neither time nor number tells.
                tries = await asks_store.count_try(connection, row["digest"])
                await asks_store.count_attempt(connection, row["bucket"], clock.now(), WRONG_WINDOW)
                fault = CodeOver if tries >= MOST_CODES else CodeRefused
        if fault is not None:
            raise fault
        return link

    async def _people_of_code(self, link: bytes) -> list[Standing]:
        try:
            return await self._people_of(link)
        except SignInLinkOver:
            raise CodeOver from None

    async def sign_in_by_code(self, token: str, typed: str, address: str, chosen: str = "") -> Session | Challenge:
        """Use up a code, and the link of the same mail, and begin what the link would have begun; see `sign_in`.

        Raises:
            CodeOver, CodeRefused: As `people_by_code`.
            StandingNeeded: Several people have this mailbox; the code can still be used.
            StandingNotFound: The chosen one is none of them; the code can still be used.
        """
        link = await self._link_of_code(token, typed)
        found = await self._people_of_code(link)
        try:
            return await self._sign_in(link, found, address, chosen)
        except SignInLinkOver:
            raise CodeOver from None

    # By a passkey

    async def passkey_question(self) -> str:
        """What a browser is asked to sign by whoever has a passkey here, as JSON; empty where browsers make none.

        Nothing is kept: the question carries its time and our own mark, and an answer is taken once.
        """
        if not self.party.is_possible:
            return ""
        made = secrets.token_bytes(_RANDOM_BYTES) + int(clock.now().timestamp()).to_bytes(_TIME_BYTES, "big")
        return self.party.request(made + await self._mark(made), [])

    async def people_by_passkey(self, answer: str) -> list[Standing]:
        """As whom whoever has a passkey can sign in: the member whose it is, or the patients of the account.

        Args:
            answer: What the browser made of `passkey_question`, as JSON.

        Raises:
            FactorRefused: It was not asked, is not signed, or whose passkey it was stands there no more, or was erased.
        """
        found, _, _ = await self._proved(answer)
        return found

    async def sign_in_by_passkey(self, answer: str, address: str, chosen: str = "") -> Session:
        """Begin a session by a passkey, which is both proofs: the device, and the finger, face or PIN it asked for.

        Per: W3C Web Authentication Level 3, 7.2; NIST SP 800-63B-4, 3.2.2 (a multi-factor cryptographic authenticator).

        Raises:
            FactorRefused: As `people_by_passkey`, or the answer was given before.
            StandingNeeded: The account is of several patients.
            StandingNotFound: The chosen one is none of them.
        """
        found, factor, nonce = await self._proved(answer)
        standing = chosen_of(found, chosen)
        organisation = await self.organisation(standing.organisation_id)
        try:
            return await self._begin_by_passkey(organisation, standing, factor, nonce, address)
        except KeyDestroyed:
            raise FactorRefused from None  # erased since it was proved

    # Inside

    async def _begin_by_passkey(
        self, organisation: Organisation, standing: Standing, factor: Row, nonce: bytes, address: str
    ) -> Session:
        async with self._db.transaction(organisation) as connection:
            stands = await self._who_would_stand(connection, standing, standing.subject_id)
            is_first = await asks_store.take_answer(connection, digest_of(nonce.hex()), clock.now() + NONCE_LIFETIME)
            now = clock.now()
            if stands is None or not is_first:
                raise FactorRefused
            if not await factors_store.use_factor(connection, factor["id"], factor["counter"], now):
                raise FactorRefused
            actor, key = stands
            await self._note(
                connection, "people:factor:used", actor, organisation.id, key, subject_id=actor.subject_id,
                purpose="own_access" if standing.kind == "patient" else "administration",
                payload={"address": address, "form": "passkey"},
            )  # fmt: skip
            return await self._write_session(connection, actor, "passkey", address, key)

    async def _is_code(self, row: Row, figures: str) -> bool:
        digest = self._mail_code_digest(await self._platform_key(), bytes(row["digest"]), figures)
        held = bytes(row["code_digest"]) if row["code_digest"] is not None else b""
        return hmac.compare_digest(digest, held)

    async def _proved(self, answer: str) -> tuple[list[Standing], Row, bytes]:
        """Whose passkey signed an answer: who they can be here, the factor with its counter, and what was asked."""
        try:
            handle, nonce = self.party.told(answer)
        except PasskeyRefused:
            raise FactorRefused from None
        if len(handle) != _HANDLE_BYTES or not await self._is_ours(nonce):
            raise FactorRefused
        tenant, account_id = UUID(bytes=handle[:16]), UUID(bytes=handle[16:32])
        kind = "patient" if handle[32:] == b"p" else "user"
        async with self._db.transaction(Space(tenant)) as connection:
            held = [
                each for each in await factors_store.factors(connection, account_id, kind) if each["form"] == "passkey"
            ]
        try:
            credentials = [
                self._keyring.unseal(KeyRef(each["account_key"]), each["sealed"], factor_context(tenant, each["id"]))
                for each in held
            ]
            place, counter = self.party.proved(nonce, credentials, answer)
        except (KeyDestroyed, PasskeyRefused):
            raise FactorRefused from None
        found = [
            each for each in await self._standings_of(account_id, None)
            if each.organisation_id == tenant and each.kind == kind
        ]  # fmt: skip
        if not found:
            raise FactorRefused
        return found, {**held[place], "counter": counter}, nonce

    async def _is_ours(self, nonce: bytes) -> bool:
        made, mark = nonce[:-_MAC_BYTES], nonce[-_MAC_BYTES:]
        if len(made) != _RANDOM_BYTES + _TIME_BYTES or not hmac.compare_digest(mark, await self._mark(made)):
            return False
        age = clock.now().timestamp() - int.from_bytes(made[_RANDOM_BYTES:], "big")
        return age <= NONCE_LIFETIME.total_seconds()

    async def _mark(self, made: bytes) -> bytes:
        return self._keyring.digest(await self._platform_key(), _NONCE, made.hex())[:_MAC_BYTES]
