"""Copies of transfer instruments for whoever asks (GDPR Art. 13(1)(f), 15(2))."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from troth.exchange import rows, store
from troth.exchange.errors import RegisterMalformed, RowNotFound, WrongPermit
from troth.exchange.model import PLATFORM, Instrument
from troth.exchange.reviews import Reviews
from troth.kit import clock, ids
from troth.kit.db import Space
from troth.kit.errors import RateLimited
from troth.kit.mail import Attachment
from troth.people import Agreed
from troth.policy import Clear, Permit, refs
from troth.vault import KeyRef

MOST_AN_HOUR = 60


@dataclass(frozen=True, slots=True)
class Way:
    """A way abroad that somebody filed.

    Attributes:
        organisation: Whose it is; empty for the platform's own.
    """

    organisation: str
    instrument: Instrument


class Requests(Reviews):
    """The part of `Exchange` that says to everybody what goes abroad, and answers requests for a document."""

    async def ways(self, permit: Permit) -> list[Way]:
        """The instruments of the platform and of every organisation: anybody may know on what data goes abroad.

        Args:
            permit: `open_notice` on the platform.
        """
        found = []
        for organisation, space in await self._spaces(permit):
            async with self._db.transaction(space) as connection:
                held = await store.rows(connection, "exchange_instrument")
            found += [Way(organisation, rows.instrument(row)) for row in held if row["tenant"] == space.tenant]
        return found

    async def _spaces(self, permit: Permit) -> list[tuple[str, Space]]:
        """The platform's space and that of every organisation, by name.

        Raises:
            WrongPermit: It is not for everybody.
        """
        own = self._space(permit, "open_notice")
        if own.tenant != PLATFORM:
            raise WrongPermit
        return [("", own), *((each.name, Space(each.id)) for each in await self._people.organisations())]

    async def _filed_in(self, permit: Permit, instrument_id: UUID) -> Space:
        """The space in which an instrument is filed that this permit may ask for."""
        own = self._space(permit, "open_notice", "keep_register", "see_log")
        if permit.action != "open_notice" or own.tenant != PLATFORM:
            return own
        for _, space in await self._spaces(permit):
            async with self._db.transaction(space) as connection:
                held = await store.rows(connection, "exchange_instrument")
            if any(row["id"] == instrument_id and row["tenant"] == space.tenant for row in held):
                return space
        raise RowNotFound

    async def send_instrument(
        self, permit: Permit, instrument_id: UUID, email: str, agreed: Agreed | None = None
    ) -> UUID:
        """Mail a copy of an instrument to whoever asks for it; asking and sending are written down.

        Args:
            permit: `open_notice`: anybody may ask; or of the organisation whose instrument it is.
            instrument_id: Our id of it.
            email: Where to.
            agreed: The yes that the form needed, where it needed one; the entry says it.

        Returns:
            Our id of the request.

        Raises:
            RowNotFound: There is no such instrument, or no document of it.
            RegisterMalformed: No address.
            RateLimited: Too many asked within an hour.
        """
        if not 3 <= len(email) <= 254 or email.count("@") != 1 or any(letter.isspace() for letter in email):
            raise RegisterMalformed("Write the address in full, like name@example.org.")
        space = await self._filed_in(permit, instrument_id)
        assert space.tenant is not None
        async with self._db.transaction(space) as connection:
            found = await store.rows(connection, "exchange_instrument")
            row = next((each for each in found if each["id"] == instrument_id and each["document_id"]), None)
            if row is None:
                raise RowNotFound
            instrument = rows.instrument(row)
            if permit.action == "open_notice" and not instrument.holds(clock.now()):
                raise RowNotFound  # nothing rests on it any more; the page does not offer it either
            if await store.asked_since(connection, clock.now() - timedelta(hours=1)) >= MOST_AN_HOUR:
                raise RateLimited
            document = await self._documents.read(connection, row["document_id"])
            filed = await store.document(connection, row["document_id"])
            assert filed is not None
            key, request_id = KeyRef(bytes(filed["key_ref"])), ids.uuid7()
            await store.insert(
                connection,
                "exchange_document_request",
                {
                    "tenant": space.tenant,
                    "id": request_id,
                    "instrument_id": instrument_id,
                    "email": self._sealed(request_id, "email", key, email),
                    "asked_at": clock.now(),
                },
            )
            grounds = (f"instrument:{instrument.id}",)
            named = refs(document=row["document_id"], instrument=instrument.id, request=request_id)
            said, clear = _said(named, agreed)
            told = {"to": email, "instrument": instrument.key, **said}
            await self._note(
                connection,
                "exchange:document:asked",
                permit,
                key=key,
                payload=told,
                grounds=grounds,
                clear=clear,
                space=space,
            )
        ending = "pdf" if document.media_type == "application/pdf" else "txt"
        words = (
            f"You asked for a copy of what transfers from {instrument.origin} to {instrument.destination} rest on.\n"
            "It is attached.\n"
        )
        attachment = Attachment(f"{instrument.key}.{ending}", document.media_type, document.content)
        await self._mail.send(email, "The copy you asked for", words, attachments=[attachment])
        async with self._db.transaction(Space(space.tenant)) as connection:
            await store.sent(connection, request_id, clock.now())
            await self._note(
                connection, "exchange:document:sent", permit, key=key, payload=told, grounds=grounds, clear=clear,
                space=space,
            )  # fmt: skip
        return request_id


def _said(named: tuple[tuple[str, UUID], ...], agreed: Agreed | None) -> tuple[dict[str, str], Clear]:
    """What the entries of a request say of the yes in its form, sealed and in the clear."""
    if agreed is None:
        return {}, Clear(refs=named)
    said = {"agreed": agreed.wording, "notice": f"{agreed.version.name} {agreed.version.number}"}
    says = {"key": agreed.clause.key, "state": "given"}
    return said, Clear(refs=(*named, *refs(version=agreed.version.id)), says=says)
