"""What is erased is erased in the backups too: keys in the copies of the keyring, tombstones beside the packs."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg

from troth.kit import clock
from troth.kit.db import Space
from troth.kit.errors import TrothError
from troth.main.backup.erasures import Erasures, record
from troth.main.wiring import Rooms
from troth.vault import Keyring, escrow, journal

EVERY_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)


class Following:
    """Brings backups up to date with what was erased since they were made.

    Args:
        rooms: Of the deployment.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._journal = rooms.settings.data_dir / "keys" / journal.NAME
        self._seen = -1

    async def take(self, stop: asyncio.Event) -> None:
        """Follow until told to stop: within seconds of an erasure, or when a medium is there again."""
        while not stop.is_set():
            try:
                size = self._journal.stat().st_size if self._journal.exists() else 0
                if size != self._seen and not await self.once():
                    self._seen = size
            except (OSError, TrothError, psycopg.Error) as fault:  # it is tried again the next time
                _log.warning("backups were not looked after (%s)", type(fault).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_SECONDS)

    async def once(self) -> int:
        """One round.

        Returns:
            How many places could not be reached.
        """
        async with self._rooms.database.transaction(None) as connection:
            cursor = await connection.execute("select distinct folder, keys_folder from backup")
            places = await cursor.fetchall()
        missing = 0
        if places:
            tombstones, checkpoint = await self._tombstones(), await self._checkpoint()
            for place in places:
                folder, keys = Path(place["folder"]), Path(place["keys_folder"])
                try:
                    await asyncio.to_thread(
                        _bring, self._journal, folder, keys, tombstones, checkpoint, self._rooms.keyring
                    )
                except OSError as fault:
                    missing += 1
                    _log.warning("a backup could not be told what was erased (%s)", type(fault).__name__)
        return missing

    async def _tombstones(self) -> bytes:
        records = []
        for organisation in await self._rooms.people.organisations():
            async with self._rooms.database.transaction(Space(organisation.id)) as connection:
                cursor = await connection.execute("select digest, erased_at from tombstone order by erased_at, digest")
                rows = await cursor.fetchall()
            records += [record(organisation.id, bytes(row["digest"]), row["erased_at"]) for row in rows]
        return b"".join(records)

    async def _checkpoint(self) -> str:
        async with self._rooms.database.transaction(None) as connection:
            found = await self._rooms.ledger.checkpoint(connection)
        return found.note if found else ""


def _bring(source: Path, folder: Path, keys: Path, tombstones: bytes, checkpoint: str, keyring: Keyring) -> None:
    if not folder.is_dir() or not keys.is_dir():
        raise FileNotFoundError
    destroyed = source.read_bytes() if source.exists() else b""
    Erasures(destroyed, tombstones, checkpoint).write(folder, keyring)
    for copy in escrow.copies(keys):
        if datetime.fromisoformat(escrow.about(copy).expires_at) <= clock.now():
            escrow.destroy(copy)
        else:
            escrow.follow(copy, source)
