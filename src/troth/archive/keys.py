"""Keys of organisations, remembered: they change with the organisation only."""

from __future__ import annotations

from uuid import UUID

from troth.people import People
from troth.vault import KeyRef


class OrganisationKeys:
    """The key references of organisations.

    Args:
        people: Knows organisations.
    """

    def __init__(self, people: People) -> None:
        self._people = people
        self._held: dict[UUID, KeyRef] = {}

    async def of(self, tenant: UUID) -> KeyRef:
        """The key of an organisation; a reference, so that a key that is destroyed stays so."""
        key = self._held.get(tenant)
        if key is None:
            key = self._held[tenant] = (await self._people.organisation(tenant)).key
        return key
