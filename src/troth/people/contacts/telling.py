"""Telling people from whom we have what we know of them: each once, in time, by a message that names the source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID, uuid5

from troth.kit import clock
from troth.kit.mail import Mail
from troth.people import sources_store as store
from troth.people.contacts.ground import Ground
from troth.people.contacts.model import ContactRecord
from troth.people.errors import ListNotFound
from troth.policy import Clear, Permit, refs

TELLING: Final = "tell_source"
Letter = Callable[[ContactRecord], tuple[str, str]]


class Telling(Ground):
    """The part of `Contacts` that tells people of whom others gave us something."""

    async def untold(self) -> list[tuple[UUID, UUID]]:
        """Lists of whose people some were not told yet, as tenant and list."""
        found = []
        for organisation in await self._people.organisations():
            async with self._db.transaction(organisation) as connection:
                found += [(organisation.id, each) for each in await store.lists_untold(connection)]
        return found

    async def tell_some(self, permit: Permit, list_id: UUID, mail: Mail, letter: Letter, most: int) -> int:
        """Write to some people of a list who were not told yet, those who are due first.

        Args:
            permit: Of the worker, to tell from whom we have somebody's data.
            list_id: The list.
            mail: The mail transport.
            letter: Title and text for one person.
            most: How many at most.

        Returns:
            How many were looked at; 0 when everybody was told.

        Raises:
            troth.kit.mail.MailNotSent: A message was not taken; those before it are sent.
        """
        if permit.action != TELLING or permit.tenant is None:
            raise ListNotFound
        async with self._db.transaction(permit) as connection:
            waiting = await store.untold(connection, list_id, most)
        for source_id in waiting:
            await self._tell_one(permit, source_id, mail, letter)
        return len(waiting)

    async def finish_telling(self, tenant: UUID, list_id: UUID) -> int:
        """Write down that everybody of a list was told.

        Returns:
            How many are left all the same; then it is not.
        """
        organisation = await self._people.organisation(tenant)
        async with self._db.transaction(organisation) as connection:
            left = await store.untold(connection, list_id, 1)
            if not left:
                await store.change_list(connection, list_id, {"told_at": clock.now()})
        return len(left)

    async def _tell_one(self, permit: Permit, source_id: UUID, mail: Mail, letter: Letter) -> None:
        """Send, and write down that it was sent; a worker that dies between the two sends the same Message-ID again."""
        assert permit.tenant is not None
        organisation = await self._people.organisation(permit.tenant)
        async with self._db.transaction(permit) as connection:
            row = await store.claim_untold(connection, source_id)
            record = self.record(row) if row is not None else None
            if record is None or row is None:
                return
            title, text = letter(record)
            message_id = uuid5(record.id, "told")
            await mail.send(record.email, title, text, {"Message-ID": f"<{message_id}@troth.invalid>"})
            await store.told(connection, source_id, clock.now())
            in_time = record.tell_by is not None and clock.now() <= record.tell_by
            told = {"source": record.source, "clause": record.clause, "contact": str(record.contact_id)}
            await self.note(
                connection,
                "people:contact:told",
                permit,
                organisation,
                told,
                {"in_time": int(in_time)},
                clear=Clear(
                    refs=refs(contact=record.contact_id, source=record.id, list=row["list_id"]),
                    says={"source": record.source, "activity": record.activity},
                    dates={} if record.tell_by is None else {"told_by": record.tell_by},
                ),
            )
