"""All rows that are bound, of every room: compared with what binds them."""

from __future__ import annotations

from troth.archive import Archive
from troth.kit.db import Database
from troth.ledger import AlteredRow, Ledger
from troth.notice import Notices
from troth.people import People
from troth.proofs import Held


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
        """Rows that are not what was written, each named: those that are bound, and all that is held."""
        return [*await self.bound(), *(await self.held()).altered]

    async def bound(self) -> list[AlteredRow]:
        """Rows of registers that are not what was written: as many as the house has people, machines and notices."""
        unsigned = [
            AlteredRow("notice_version", str(version_id), f"version {number} of {name} is not the text that was signed")
            for version_id, name, number in await self._notices.altered()
        ]
        return [*unsigned, *await self._ledger.altered_rows(self._database, self._dsn)]

    async def held(self) -> Held:
        """All studies and images, one by one: whose they are, how many came in, and whether one was erased before."""
        altered: list[AlteredRow] = []
        returned: list[AlteredRow] = []
        erased = 0
        for place in await self._people.organisations():
            found = await self._archive.tampering.found(place.id)
            altered += found.altered
            erased += found.erased
            returned += found.returned
        return Held(altered, erased, returned)
