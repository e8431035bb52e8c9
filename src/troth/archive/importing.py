"""Bringing in many files: in batches, in flat memory, to be taken up again where it stopped.

Each file goes the way of every instance: scanned, sealed and stored under a fresh decision, told to the ledger. A bad
one is named with its reason and never stops the others. What is done is remembered by a keyed digest of the file's
place, length and time; of its name nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from troth.archive import upkeep_store
from troth.archive.errors import SourceRefused
from troth.archive.model import Received
from troth.archive.service import Archive
from troth.archive.sources import UNREADABLE, Found, files_of
from troth.dicom import HeadTooLarge, Malformed, SyntaxUnknown
from troth.kit import clock
from troth.kit.db import Database
from troth.kit.errors import TrothError
from troth.policy import Permit
from troth.vault import KeyRef

_BATCH: Final = 50
_BATCH_BYTES: Final = 64 << 20
_CHUNK_BYTES: Final = 1 << 20
_AT_ONCE: Final = 2

Allowed = Callable[[], Awaitable[Permit]]
"""Decides anew whether it may be stored: a permit lives for minutes, an import for hours."""

Told = Callable[[int, int], None]


@dataclass(slots=True)
class Imported:
    """What became of the files.

    Attributes:
        skipped: Done in an earlier run.
    """

    files: int = 0
    stored: int = 0
    already_held: int = 0
    skipped: int = 0
    refused: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class _One:
    found: Found
    digest: bytes
    received: Received | None
    why: str
    fault: TrothError | None


class Importing:
    """Imports into one organisation.

    Args:
        archive: Where to.
        db: The database.
        key: The organisation's key.
        allowed: Gives a permit to `store` there.
        refused: Is told the name of each file that was not taken, and why.
        told: Is told how many files are done, of how many are known.
    """

    def __init__(
        self, archive: Archive, db: Database, key: KeyRef, allowed: Allowed, refused: Callable[[str, str], None],
        told: Told = lambda done, total: None,
    ) -> None:  # fmt: skip
        self._archive = archive
        self._db = db
        self._key = key
        self._allowed = allowed
        self._refused = refused
        self._told = told

    async def take(self, place: Path, *, is_anew: bool = False) -> Imported:
        """Import everything of a place.

        Args:
            place: A folder, a DICOMDIR, a zip or a file.
            is_anew: Also what was done in an earlier run.

        Raises:
            SourceRefused: The place as a whole cannot be read.
            PermitDenied: It may not be stored.
        """
        imported = Imported()
        total = await asyncio.to_thread(lambda: sum(1 for _ in files_of(place)))
        await self._allowed()  # nothing is read if it may not be stored anyway
        found = files_of(place)
        while batch := await asyncio.to_thread(_next_batch, found):
            await self._take_batch(batch, imported, is_anew=is_anew)
            self._told(imported.files, total)
        return imported

    async def _take_batch(self, batch: list[Found], imported: Imported, *, is_anew: bool) -> None:
        permit = await self._allowed()
        digests = [self._archive.keyring.digest(self._key, "archive.import", one.mark) for one in batch]
        async with self._db.transaction(permit) as connection:
            done = set() if is_anew else await upkeep_store.imported(connection, digests)
        imported.files += len(batch)
        wanted = [(one, digest) for one, digest in zip(batch, digests, strict=True) if digest not in done]
        imported.skipped += len(batch) - len(wanted)
        limit = asyncio.Semaphore(_AT_ONCE)

        async def read(one: Found, digest: bytes) -> _One:
            async with limit:
                return await asyncio.to_thread(self._read, one, digest)

        read_in = await asyncio.gather(*(read(one, digest) for one, digest in wanted))
        await self._store(permit, read_in, imported)

    async def _store(self, permit: Permit, read_in: list[_One], imported: Imported) -> None:
        whole = [one for one in read_in if one.received is not None]
        outcomes = await self._archive.store(permit, [one.received for one in whole if one.received is not None])
        finished = []
        for one, outcome in zip(whole, outcomes, strict=True):
            if outcome.state == "refused":
                imported.refused += 1
                why = outcome.error.title if outcome.error else "refused"
                self._refused(one.found.name, f"{why}; kept apart for a person to resolve" if outcome.is_kept else why)
                continue
            imported.stored += outcome.state == "stored"
            imported.already_held += outcome.state == "already_held"
            imported.bytes += one.found.length_bytes
            finished.append(one.digest)
        bad = [one for one in read_in if one.received is None]
        for one in bad:
            imported.refused += 1
            self._refused(one.found.name, one.why)
        faults = [one.fault for one in bad if one.fault is not None]
        if faults:
            await self._archive.record_refused(permit, faults)
        if finished:
            async with self._db.transaction(permit) as connection:
                await upkeep_store.mark_imported(connection, permit, finished, clock.now())

    def _read(self, found: Found, digest: bytes) -> _One:
        """One file, scanned and sealed; in a thread."""
        if found.refused:
            return _One(found, digest, None, found.refused, SourceRefused(found.refused))
        receiver = self._archive.receiver(None)
        try:
            with found.open() as file:
                while chunk := file.read(_CHUNK_BYTES):
                    receiver.feed(chunk)
            return _One(found, digest, receiver.finish(), "", None)
        except (Malformed, HeadTooLarge, SyntaxUnknown) as fault:
            receiver.abort()
            return _One(found, digest, None, fault.title, fault)
        except UNREADABLE:
            receiver.abort()
            return _One(found, digest, None, "cannot be read", SourceRefused("cannot be read"))
        except SourceRefused as fault:
            receiver.abort()
            return _One(found, digest, None, fault.detail, fault)
        except BaseException:
            receiver.abort()
            raise


def _next_batch(found: Iterator[Found]) -> list[Found]:
    batch: list[Found] = []
    size = 0
    for one in islice(found, _BATCH):
        batch.append(one)
        size += one.length_bytes
        if size >= _BATCH_BYTES:
            break
    return batch
