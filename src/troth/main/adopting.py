"""The notices in force, in every process: a published version decides from its day on, within a second."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from uuid import UUID

from troth.kit.errors import TrothError
from troth.kit.postgres import Postgres
from troth.main.settings import Settings
from troth.main.wiring import Rooms, load_notices, open_rooms
from troth.notice import compile_notices

LOOK_SECONDS = 0.4

_logger = logging.getLogger(__name__)


async def open_in_force(settings: Settings, server: Postgres, *, connections: int = 8) -> Rooms:
    """Wire the rooms of one process by the notices in force, which need not be those of the folder.

    Args:
        settings: Of this node.
        server: Where the database is.
        connections: Most database connections of this process.

    Raises:
        NoticeAltered: Of some notice no version is left that is what was signed.
    """
    notices = load_notices(settings)
    rooms = open_rooms(settings, server, notices, connections=connections)
    try:
        published = [version.notice for version in await rooms.notices.current()]
    except BaseException:
        await rooms.close()
        raise
    if not published or {each.source for each in published} == {each.source for each in notices}:
        return rooms
    await rooms.close()
    return open_rooms(settings, server, published, connections=connections)


class InForce:
    """Keeps the policy of this process at the versions in force; the notice files only found the first ones.

    Args:
        rooms: Of this process.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._adopted: tuple[UUID, ...] = ()

    async def look(self) -> bool:
        """Adopt what came into force since the last look.

        Returns:
            Whether anything did.
        """
        versions = await self._rooms.notices.current()
        ids = tuple(version.id for version in versions)
        if not ids or ids == self._adopted:
            return False
        compiled = await asyncio.to_thread(compile_notices, [version.notice for version in versions])
        self._rooms.policy.adopt(compiled)
        self._adopted = ids
        return True

    async def follow(self, stop: asyncio.Event) -> None:
        """Look again and again until told to stop. While the database is away, what decided goes on deciding."""
        while not stop.is_set():
            try:
                await self.look()
            except TrothError as fault:
                _logger.warning("the notices in force could not be read: %s", fault.slug)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
