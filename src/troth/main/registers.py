"""All rows that are bound, of every room: compared with what binds them."""

from __future__ import annotations

from troth.ledger import AlteredRow
from troth.notice import Notices


class Registers:
    """Looks through what the rooms have bound.

    Args:
        notices: Published notices, which are signed.
    """

    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    async def altered(self) -> list[AlteredRow]:
        """Rows that are not what was written, each named."""
        return [
            AlteredRow("notice_version", version_id, f"version {number} of {name} is not the text that was signed")
            for version_id, name, number in await self._notices.altered()
        ]
