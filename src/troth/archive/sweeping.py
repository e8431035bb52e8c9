"""Gives back what nobody names: bytes, keys and subjects that a process left behind when it was killed.

Only what can get no name any more is touched. Bytes: packs whose writer is gone, unchanged for the grace time. Keys:
unnamed at two looks, the grace time apart. Subjects: older than the grace time, and nothing refers to them; the foreign
key of `study` keeps a batch from naming one that goes. Before each look that counts, every transaction has ended that
ran when the look was decided on, so that what was about to be named is named.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from troth import policy
from troth.archive import permits, upkeep_store
from troth.archive.errors import UpkeepRunning
from troth.archive.model import Row
from troth.kit import clock, ids
from troth.kit.db import Connection, Database, Space
from troth.ledger import Entry, Ledger
from troth.policy import Permit
from troth.vault import KeyCensus, KeyRef, Keyring, Named, Packs, free_unnamed, quiet_packs

GRACE: Final = timedelta(minutes=15)
KEY_GRACE: Final = timedelta(days=1)
_LOOK_AGAIN: Final = timedelta(days=7)
_KEPT_RUNS: Final = timedelta(days=90)
_PATIENCE_SECONDS: Final = 60.0
_MOST_AT_ONCE: Final = 10_000
_OF_A_SUBJECT: Final = (
    "subject|merged|surviving|^(holder|target|person)_id$"  # rather too many: what refers to one, keeps it
)

Told = Callable[[str, int, int], None]
"""What is done, how much of it is done, and how much there is."""


@dataclass(slots=True)
class Swept:
    """What was found, or freed.

    Attributes:
        pieces: Stretches of packs that nobody names.
        bytes: In them.
        packs: Packs that were taken away as a whole.
        subjects: Subjects without anything.
        keys: Keys that nobody names.
        looked: Packs that were looked through.
        postponed: 1 where a transaction ran on for so long that nothing could be told.
    """

    pieces: int = 0
    bytes: int = 0
    packs: int = 0
    subjects: int = 0
    keys: int = 0
    looked: int = 0
    postponed: int = 0

    @property
    def is_clean(self) -> bool:
        """Nothing was left over."""
        return not (self.pieces or self.packs or self.subjects or self.keys)


class Sweeping:
    """Sweeps one machine: its packs, its keyring, and the subjects of all organisations.

    Args:
        db: The database.
        keyring: Of this machine.
        packs: Of this machine.
        ledger: Is told what was freed.
    """

    def __init__(self, db: Database, keyring: Keyring, packs: Packs, ledger: Ledger) -> None:
        self._db = db
        self._keyring = keyring
        self._packs = packs
        self._ledger = ledger

    async def sweep(
        self,
        permit: Permit,
        *,
        grace: timedelta = GRACE,
        key_grace: timedelta = KEY_GRACE,
        is_dry: bool = False,
        is_thorough: bool = False,
        told: Told = lambda what, done, total: None,
    ) -> Swept:
        """Find what nobody names and give it back. One at a time on a machine; may be killed at any point.

        Args:
            permit: To `administer` the platform.
            grace: Bytes and subjects younger than this are left alone.
            key_grace: The same for keys; one that is taken away too early cannot be brought back.
            is_dry: Only count.
            is_thorough: Also packs that were found clean within a week.
            told: Is told how far it is.

        Raises:
            UpkeepRunning: Another process of this machine sweeps.
        """
        permits.administering(permit)
        swept, run_id = Swept(), ids.uuid7()
        async with self.alone():
            if not is_dry:
                async with self._db.transaction(None) as connection:
                    await upkeep_store.begin_run(connection, run_id, "sweep", clock.now())
                    await upkeep_store.prune_runs(connection, "sweep", clock.now() - _KEPT_RUNS)
            try:
                await self._sweep_subjects(swept, grace, told, is_dry=is_dry)
                await self._sweep_packs(swept, grace, told, is_dry=is_dry, is_thorough=is_thorough)
                await self._sweep_keys(swept, key_grace, told, is_dry=is_dry)
            except BaseException:
                await self._end(permit, run_id, "failed", swept, is_dry=is_dry)
                raise
            await self._end(permit, run_id, "done", swept, is_dry=is_dry)
        return swept

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Keep other sweepers of this machine out; the lock ends with the process."""
        path = self._packs.folder.path / "sweep.lock"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UpkeepRunning from None
            yield
        finally:
            os.close(fd)

    async def _end(self, permit: Permit, run_id: UUID, state: str, swept: Swept, *, is_dry: bool) -> None:
        if is_dry:
            return
        async with self._db.transaction(None) as connection:
            await upkeep_store.note_run(connection, run_id, state, "", asdict(swept), clock.now())
            if not swept.is_clean:
                await self._ledger.append(connection, _entry(permit, swept))

    # Subjects

    async def _sweep_subjects(self, swept: Swept, grace: timedelta, told: Told, *, is_dry: bool) -> None:
        before = clock.now() - grace
        async with self._db.transaction(None) as connection:
            columns = await upkeep_store.columns(connection, ["uuid"], _OF_A_SUBJECT)
            tables = [column for column in columns if column["is_tenants"]]
            tenants = await upkeep_store.tenants_of(connection)
        for number, tenant in enumerate(tenants):
            told("subjects", number, len(tenants))
            async with self._db.transaction(Space(tenant)) as connection:
                rows = await upkeep_store.lone_subjects(connection, tables, before, limit=_MOST_AT_ONCE)
            for row in rows:
                swept.subjects += await self._free_subject(tenant, tables, row, is_dry=is_dry)

    async def _free_subject(self, tenant: UUID, tables: Sequence[Row], row: Row, *, is_dry: bool) -> int:
        if is_dry:
            return 1
        async with self._db.transaction(Space(tenant)) as connection:
            is_gone = await upkeep_store.remove_lone_subject(connection, tables, row["id"])
        if is_gone:  # the row is gone for good before its keys are
            keys = [KeyRef(bytes(row["key"])), KeyRef(bytes(row["audit_key"]))]
            await asyncio.to_thread(self._keyring.destroy, keys)
        return int(is_gone)

    # Bytes

    async def _sweep_packs(
        self, swept: Swept, grace: timedelta, told: Told, *, is_dry: bool, is_thorough: bool
    ) -> None:
        quiet = await asyncio.to_thread(quiet_packs, self._packs, clock.now() - grace)
        if not is_thorough:
            async with self._db.transaction(None) as connection:
                clean = await upkeep_store.swept_packs(connection, clock.now() - _LOOK_AGAIN)
            quiet = {pack: length for pack, length in quiet.items() if clean.get(pack) != length}
        if not quiet:
            return
        if not await self._others_have_ended():
            swept.postponed = 1
            return
        named = Named(list(quiet))
        async for locator in self._everywhere(["bytea", "_bytea"], r"(^|_)locators?$"):
            named.add(locator)
        for number, (pack, length) in enumerate(quiet.items()):
            told("packs", number, len(quiet))
            freed = await asyncio.to_thread(free_unnamed, self._packs, pack, named, clock.now(), is_dry=is_dry)
            swept.looked += 1
            swept.pieces += freed.pieces
            swept.bytes += freed.length_bytes
            swept.packs += freed.is_removed
            if not is_dry:
                async with self._db.transaction(None) as connection:
                    left = None if freed.is_removed else length
                    await upkeep_store.mark_swept(connection, pack, left, clock.now())

    # Keys

    async def _sweep_keys(self, swept: Swept, grace: timedelta, told: Told, *, is_dry: bool) -> None:
        told("keys", 0, 1)
        unnamed = await self._unnamed_keys()
        if is_dry:
            swept.keys = len(unnamed)
            return
        async with self._db.transaction(None) as connection:
            await upkeep_store.remember_unnamed(connection, unnamed, clock.now())
            known = set(await upkeep_store.unnamed_since(connection, clock.now() - grace))
        if not known:
            return
        if not await self._others_have_ended():
            swept.postponed = 1
            return
        due = [ref for ref in await self._unnamed_keys() if ref in known][:_MOST_AT_ONCE]
        if due:
            await asyncio.to_thread(self._keyring.destroy, due)
            async with self._db.transaction(None) as connection:
                await upkeep_store.forget_unnamed(connection, due)
        swept.keys = len(due)

    async def _unnamed_keys(self) -> list[KeyRef]:
        census = await asyncio.to_thread(KeyCensus, self._keyring)
        async for ref in self._everywhere(["bytea"], r"(^|_)key(_ref)?$", 16, leave_out="ledger_entry"):
            census.name(ref)
        unnamed = list(census.unnamed())[:_MOST_AT_ONCE]
        if unnamed:
            async for connection in self._scopes():
                for ref in await upkeep_store.keys_in_ledger(connection, unnamed):
                    census.name(ref)
            unnamed = list(census.unnamed())[:_MOST_AT_ONCE]
        return unnamed

    # Both

    async def _scopes(self) -> AsyncIterator[Connection]:
        """A transaction on the platform and one in each organisation, one after the other."""
        async with self._db.transaction(None) as connection:
            tenants = await upkeep_store.tenants_of(connection)
            yield connection
        for tenant in tenants:
            async with self._db.transaction(Space(tenant)) as connection:
                yield connection

    async def _everywhere(
        self, types: Sequence[str], pattern: str, length: int | None = None, leave_out: str = ""
    ) -> AsyncIterator[bytes]:
        """Every value of all columns whose names fit, of the platform and of all organisations."""
        is_platform = True
        async for connection in self._scopes():
            for column in await upkeep_store.columns(connection, types, pattern):
                if column["is_tenants"] != is_platform and column["tab"] != leave_out:
                    async for value in upkeep_store.values_of(connection, column, length):
                        yield value
            is_platform = False

    async def _others_have_ended(self) -> bool:
        """Wait until every transaction has ended that runs now; whether they did."""
        async with self._db.transaction(None) as connection:
            began = await upkeep_store.now(connection)
        waited = 0.0
        while waited < _PATIENCE_SECONDS:
            async with self._db.transaction(None) as connection:
                if not await upkeep_store.older_transactions(connection, began):
                    return True
            await asyncio.sleep(0.1)
            waited += 0.1
        return False


def _entry(permit: Permit, swept: Swept) -> Entry:
    counts = {name: count for name, count in asdict(swept).items() if name != "postponed"}
    return policy.entry(permit, "archive:leftovers:freed", counts=counts)
