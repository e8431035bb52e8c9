"""How many studies there are of each day: numbers alone, to see what another retention would do."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from troth.archive import census_store
from troth.kit.db import Database, Space
from troth.policy import Permit


class Census:
    """Counts over the archive.

    Args:
        database: As `troth_app`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def studies_by_day(self, permit: Permit, tenant: UUID) -> list[tuple[date, int]]:
        """How many studies of each study date an organisation holds; those without a date are left out.

        Args:
            permit: To publish a notice, for the deployment or for this organisation.
            tenant: The organisation.
        """
        if permit.tenant not in (None, tenant):
            return []
        async with self._database.transaction(Space(tenant)) as connection:
            return await census_store.studies_by_day(connection)
