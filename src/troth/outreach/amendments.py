"""The durable work of telling a change: begun when a version is published, ended when everybody was written to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from troth.kit.bell import Bell, looks
from troth.outreach.service import Outreach

if TYPE_CHECKING:  # the workflow engine costs a second to import; only the worker needs it
    from troth.kit.durable import Durable

TELL = "outreach.tell"
BATCH = 50
TRY_AGAIN_SECONDS = 3600.0


class Amendments:
    """Tells of published versions what the notice promised to tell.

    Args:
        outreach: The room's verbs.
        durable: Where the workflow is registered; before `launch`.
    """

    def __init__(self, outreach: Outreach, durable: Durable) -> None:
        self._outreach = outreach
        self._durable = durable
        durable.register(TELL, self._tell)

    async def take(self, stop: asyncio.Event, pause_seconds: float = 0.5, bell: Bell | None = None) -> None:
        """Start a workflow for every version that is owed to somebody, until told to stop."""
        async for _ in looks(stop, pause_seconds, bell):
            for version_id in await self._outreach.owed():
                await self._durable.start(TELL, f"tell:{version_id}", str(version_id))

    def _tell(self, version_id: str) -> None:
        """Begin, write to some until nobody is left, end. What fails is tried again as long as it takes."""
        durable, number = self._durable, 0
        while True:
            try:
                durable.step("begin", self._begin, version_id)
                while durable.step(f"mail {number}", self._mail, version_id):
                    number += 1
                durable.step("finish", self._finish, version_id)
                return
            except durable.Failed:
                number += 1
                durable.sleep(TRY_AGAIN_SECONDS)

    async def _begin(self, version_id: str) -> int:
        return await self._outreach.begin(UUID(version_id))

    async def _mail(self, version_id: str) -> int:
        return await self._outreach.mail_some(UUID(version_id), BATCH)

    async def _finish(self, version_id: str) -> int:
        return await self._outreach.finish(UUID(version_id))
