"""The verbs of contacts, joined from their parts."""

from __future__ import annotations

from uuid import UUID

from troth.people import sources_store as store
from troth.people.contacts import terms
from troth.people.contacts.ending import Ending
from troth.people.contacts.lists import Lists
from troth.people.contacts.model import ContactRecord
from troth.people.contacts.telling import Telling
from troth.people.errors import SubjectNotFound
from troth.policy import Permit


class Contacts(Lists, Telling, Ending):
    """People whom others named: lists, contacts with where each came from, telling them, and how long records stay."""

    async def origins(self) -> dict[str, terms.Origin]:
        """The sources that the notices in force list, by the word that names them."""
        return terms.origins(await self.notices())

    async def contract_activities(self) -> frozenset[str]:
        """The activities that the notices in force leave to contracts."""
        return terms.contract_activities(await self.notices())

    async def clause_of(self, tenant: UUID, list_id: UUID) -> str:
        """The clause that lists the source of a list.

        Raises:
            ListNotFound: There is none in this organisation.
        """
        organisation = await self._people.organisation(tenant)
        async with self._db.transaction(organisation) as connection:
            return str((await self._list(connection, list_id))["clause"])

    async def records_of_account(self, permit: Permit, account_id: UUID) -> list[ContactRecord]:
        """What lists told of the person behind an account.

        Args:
            permit: Of that person, about themselves.
            account_id: Their account.

        Raises:
            SubjectNotFound: The permit is for somebody else.
        """
        if permit.target.subject_id != account_id or permit.tenant is None:
            raise SubjectNotFound
        async with self._db.transaction(permit) as connection:
            rows = await store.contact_rows(connection, "where c.account_id = %(id)s order by s.id", {"id": account_id})
        return [record for row in rows if (record := self.record(row)) is not None]
