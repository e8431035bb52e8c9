"""All rows that are bound, of every room: compared with what binds them."""

from __future__ import annotations

from troth.archive import Archive
from troth.kit.db import Database
from troth.ledger import AlteredRow, Ledger
from troth.notice import Notices
from troth.people import People


class Registers:
    """Looks through what the rooms have bound.

    Args:
        database: As the doors' role.
        ledger: Binds rows of every room.
        notices: Published notices, which are signed besides.
        people: Knows the organisations.
        archive: Knows whose studies are, and how many images came in.
        dsn_sequencer: Connection string of the role that reads all entries and opens none.
    """

    def __init__(
        self, database: Database, ledger: Ledger, notices: Notices, people: People, archive: Archive,
        dsn_sequencer: str,
    ) -> None:  # fmt: skip
        self._database = database
        self._ledger = ledger
        self._notices = notices
        self._people = people
        self._archive = archive
        self._dsn = dsn_sequencer

    async def altered(self) -> list[AlteredRow]:
        """Rows that are not what was written, each named."""
        unsigned = [
            AlteredRow("notice_version", str(version_id), f"version {number} of {name} is not the text that was signed")
            for version_id, name, number in await self._notices.altered()
        ]
        bound = await self._ledger.altered_rows(self._database, self._dsn)
        places = [organisation.id for organisation in await self._people.organisations()]
        held = [row for tenant in places for row in await self._archive.tampering.found(tenant)]
        return [*unsigned, *bound, *held]
