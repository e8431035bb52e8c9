"""Gives back the room of what a correction replaced: at once, unless a backup is being made that still names it.

A backup copies the database first and the packs afterwards: what a row named then must lie there until the packs are
copied. It holds a lock of the kernel meanwhile; what could not be given back is named by the correction, and the worker
tries again.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

from troth.archive import correcting_store, permits
from troth.kit.db import Database
from troth.policy import Permit
from troth.vault import Packs


class Releasing:
    """Frees old objects.

    Args:
        db: The database.
        packs: Of this machine.
    """

    def __init__(self, db: Database, packs: Packs) -> None:
        self._db = db
        self._packs = packs

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[None]:
        """Nothing that a correction replaces is given back meanwhile. For backups; waits for those that are at it."""
        fd = await asyncio.to_thread(self._locked, fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(fd)

    async def release(self, permit: Permit, correction_id: UUID | None = None) -> int:
        """Give back the room of what corrections replaced; may be repeated.

        Args:
            permit: Of the organisation.
            correction_id: Of this one only; None for all that are left.

        Returns:
            How many corrections are left.
        """
        tenant = permits.current(permit)
        async with self._db.transaction(permit) as connection:
            rows = [
                row
                for row in await correcting_store.unreleased(connection, tenant)
                if correction_id in (None, row["id"])
            ]
        with self.unless_held() as is_free:
            if not is_free:
                return len(rows)
            for row in rows:
                await self._packs.free(row["locators"])
                async with self._db.transaction(permit) as connection:
                    await correcting_store.released(connection, tenant, row["id"])
        return 0

    @contextmanager
    def unless_held(self) -> Iterator[bool]:
        """Whether no backup is being made, so that what is replaced may go; none begins meanwhile."""
        try:
            fd = self._locked(fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            os.close(fd)

    def _locked(self, how: int) -> int:
        path = self._packs.folder.path / "release.lock"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, how)
        except BaseException:
            os.close(fd)
            raise
        return fd
