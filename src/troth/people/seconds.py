"""Who is independent of whom: asked of the ways in, after the ledger has confirmed them."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from troth.kit.db import Connection
from troth.people import admissions_store
from troth.people.independence import independent
from troth.people.room import Room


class Seconds(Room):
    """The part of `People` that knows who can be the second person of whom."""

    async def independents(self, tenant: UUID, one: UUID, others: Iterable[UUID]) -> frozenset[UUID]:
        """Those of some accounts who are another person than one, as far as the platform can tell; see `independence`.

        Args:
            tenant: The organisation of all of them.
            one: An account.
            others: Whom it is asked of; where nobody, nothing is looked at.

        Raises:
            RowsAltered: Somebody wrote past the platform who was let in by whom.
        """
        asked = frozenset(others)
        if not asked:
            return asked
        async with self._db.transaction(await self.organisation(tenant)) as connection:
            return await self._independents(connection, one, asked)

    async def are_independent(self, tenant: UUID, one: UUID, other: UUID) -> bool:
        """Whether two accounts of an organisation are two people; see `independents`."""
        return bool(await self.independents(tenant, one, (other,)))

    async def _independents(self, connection: Connection, one: UUID, others: Iterable[UUID]) -> frozenset[UUID]:
        """The same for somebody who decides in the same transaction."""
        await self._ledger.require_whole(connection, "way_in")
        ways = await admissions_store.ways(connection)
        return frozenset(each for each in others if independent(ways, one, each))
