"""Reads what is held back and checks it: the seal, the digests of head and bulk, and that row and object say the same.

What is found broken is remembered by our ids, told to the ledger, and never served as whole: every read checks seal and
digests itself. A run can be stopped and taken up again; it goes through the instances in the order of their ids.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from troth import dicom, policy
from troth.archive import permits, upkeep_store
from troth.archive.records import instance_record, open_record
from troth.kit import clock, ids
from troth.kit.db import Database
from troth.ledger import Ledger
from troth.policy import Permit
from troth.vault import KeyDestroyed, KeyRef, Keyring, ObjectMissing, Packs, SealBroken

_PAGE: Final = 200
_NOTE_EVERY: Final = 1000

Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Broken:
    """One instance that is not what was stored. Holds nothing personal.

    Attributes:
        what: `object-missing`, `seal-broken`, `digest-differs`, `length-differs`, `row-differs` or `key-lost`.
    """

    tenant: UUID
    study_id: UUID
    instance_id: UUID
    what: str


@dataclass(frozen=True, slots=True)
class Damaged:
    """A broken instance for those who have to get it again.

    Attributes:
        what: As `Broken.what`.
        found_at: Since when it is known.
        stored_at: When it came.
    """

    study_uid: str
    instance_uid: str
    modality: str
    what: str
    found_at: datetime
    stored_at: datetime


@dataclass(slots=True)
class Rechecked:
    """What a run read.

    Attributes:
        instances: Read and whole.
        bytes: Plain bytes read.
        broken: What is not whole.
        mended: Were thought to be broken, and are whole.
    """

    instances: int = 0
    bytes: int = 0
    mended: int = 0
    broken: list[Broken] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """For the ledger."""
        return {"instances": self.instances, "bytes": self.bytes, "mended": self.mended, "broken": len(self.broken)}


@dataclass(frozen=True, slots=True)
class Choice:
    """What of an organisation is read.

    Attributes:
        study_id: One study only.
        since: Only what was stored from then on.
        share: Of so many instances, 0 to 1, drawn at random.
        bytes_per_second: At most; None for as fast as it goes.
        after: Instances with greater ids only: where the run before was stopped.
    """

    study_id: UUID | None = None
    since: datetime | None = None
    share: float = 1.0
    bytes_per_second: int | None = None
    after: UUID | None = None


class Rechecking:
    """Reads back one organisation at a time.

    Args:
        db: The database.
        keyring: Opens object keys.
        packs: The objects.
        ledger: Is told.
    """

    def __init__(self, db: Database, keyring: Keyring, packs: Packs, ledger: Ledger) -> None:
        self._db = db
        self._keyring = keyring
        self._packs = packs
        self._ledger = ledger

    async def recheck(
        self, permit: Permit, choice: Choice = Choice(), told: Told = lambda done, total: None
    ) -> Rechecked:
        """Read and check what an organisation holds.

        Args:
            permit: To `administer` it.
            choice: What of it.
            told: Is told how many instances are done, of how many.
        """
        permits.administering(permit)
        tenant = permits.current(permit)
        rechecked, run_id, after, done = Rechecked(), ids.uuid7(), choice.after, 0
        dice, began = random.SystemRandom(), asyncio.get_running_loop().time()
        async with self._db.transaction(permit) as connection:
            total = await upkeep_store.instance_total(connection, tenant, choice.study_id, choice.since)
            await upkeep_store.begin_run(connection, run_id, "recheck", clock.now())
        while True:
            async with self._db.transaction(permit) as connection:
                rows = await upkeep_store.instances_after(
                    connection, tenant, after, study_id=choice.study_id, since=choice.since, limit=_PAGE
                )
            if not rows:
                break
            whole = []
            for row in rows:
                is_drawn = choice.share >= 1 or dice.random() < choice.share
                if is_drawn and await self._recheck_one(permit, tenant, row, rechecked):
                    whole.append(row["id"])
                after, done = row["id"], done + 1
                told(done, total)
                if choice.bytes_per_second:
                    ahead = rechecked.bytes / choice.bytes_per_second - (asyncio.get_running_loop().time() - began)
                    await asyncio.sleep(max(0.0, ahead))
            await self._note(permit, tenant, run_id, after, rechecked, whole)
        await self._end(permit, run_id, rechecked)
        return rechecked

    async def unfinished(self, permit: Permit) -> UUID | None:
        """Where the last run of an organisation was stopped, if it did not come to its end."""
        tenant = permits.current(permit)
        async with self._db.transaction(permit) as connection:
            row = await upkeep_store.last_run(connection, "recheck", ["running", "done"])
        place, _, at = str(row["place"] if row else "").partition("/")
        return UUID(at) if row and row["state"] == "running" and place == str(tenant) and at else None

    async def known_broken(self, permit: Permit) -> list[Broken]:
        """Instances of an organisation that were found broken, and not read whole since."""
        tenant = permits.current(permit)
        async with self._db.transaction(permit) as connection:
            rows = await upkeep_store.broken(connection, tenant)
        return [Broken(tenant, row["study_id"], row["instance_id"], row["what"]) for row in rows]

    async def damaged(self, permit: Permit, *, limit: int) -> list[Damaged]:
        """The same with what finds them elsewhere: UIDs, modality and days, and nothing personal.

        Args:
            permit: To `administer` the organisation.
            limit: Most of them.
        """
        permits.administering(permit)
        tenant = permits.current(permit)
        async with self._db.transaction(permit) as connection:
            rows = await upkeep_store.damaged(connection, tenant, limit=limit)
        return [Damaged(**row) for row in rows]

    async def _recheck_one(self, permit: Permit, tenant: UUID, row: Mapping[str, Any], rechecked: Rechecked) -> bool:
        try:
            what, length = await self._fault_of(row)
        except KeyDestroyed:
            what, length = "key-lost", 0
        if not what:
            rechecked.instances += 1
            rechecked.bytes += length
            return True
        async with self._db.transaction(permit) as connection:
            if not await upkeep_store.instance_is_held(connection, tenant, row["id"], row["head_locator"]):
                return False  # erased or corrected while it was read
            rechecked.broken.append(Broken(tenant, row["study_id"], row["id"], what))
            await self.record_broken(connection, permit, row, what)
        return False

    async def record_broken(self, connection: Any, permit: Permit, row: Mapping[str, Any], what: str) -> None:
        """Remember a broken instance, and tell the ledger the first time.

        Args:
            connection: A transaction in its tenant.
            permit: Under which it was read.
            row: With `id`, `study_id`, `subject_id`, `audit_key` of the instance.
            what: A slug.
        """
        is_new = await upkeep_store.mark_broken(
            connection,
            {
                "tenant": permit.tenant,
                "instance_id": row["id"],
                "study_id": row["study_id"],
                "what": what,
                "found_at": clock.now(),
            },
        )
        key = KeyRef(bytes(row["audit_key"]))
        if is_new and self._keyring.is_alive(key):
            await self._ledger.append(
                connection,
                policy.entry(
                    permit,
                    "archive:instance:found_broken",
                    key=key,
                    payload={"reason": what},
                    subject_id=row["subject_id"],
                    study_id=row["study_id"],
                    outcome="failed",
                    counts={"instances": 1},
                ),
            )

    async def _fault_of(self, row: Mapping[str, Any]) -> tuple[str, int]:
        """What is wrong with an instance, or nothing; and how many bytes were read."""
        record = instance_record(row)
        try:
            secrets = open_record(self._keyring, KeyRef(bytes(row["study_key"])), record)
            head = await self._packs.read(record.head_locator, secrets.head_key)
            bulk, bulk_bytes = hashlib.sha256(), 0
            if record.bulk_locator is not None:
                async for chunk in self._packs.stream(record.bulk_locator, secrets.bulk_key):
                    await asyncio.to_thread(bulk.update, chunk)
                    bulk_bytes += len(chunk)
        except ObjectMissing:
            return "object-missing", 0
        except SealBroken:
            return "seal-broken", 0
        length = len(head) + bulk_bytes
        if (len(head), bulk_bytes) != (record.head_bytes, record.bulk_bytes):
            return "length-differs", length
        is_bulk_right = record.bulk_locator is None or bulk.digest() == secrets.bulk_sha256
        if hashlib.sha256(head).digest() != secrets.head_sha256 or not is_bulk_right:
            return "digest-differs", length
        return ("" if await asyncio.to_thread(_agrees, head, row) else "row-differs"), length

    async def _note(
        self, permit: Permit, tenant: UUID, run_id: UUID, after: UUID | None, rechecked: Rechecked, whole: list[UUID]
    ) -> None:
        async with self._db.transaction(permit) as connection:
            rechecked.mended += await upkeep_store.mark_whole(connection, tenant, whole)
            place = f"{tenant}/{after}"
            await upkeep_store.note_run(connection, run_id, "running", place, rechecked.counts(), clock.now())

    async def _end(self, permit: Permit, run_id: UUID, rechecked: Rechecked) -> None:
        async with self._db.transaction(permit) as connection:
            await upkeep_store.note_run(connection, run_id, "done", "", rechecked.counts(), clock.now())
            entry = policy.entry(permit, "archive:objects:rechecked", counts=rechecked.counts())
            await self._ledger.append(connection, entry)


def _agrees(head: bytes, row: Mapping[str, Any]) -> bool:
    """Whether the stored data set names the study, series, instance and class that the row names."""
    with suppress(dicom.Malformed):
        header = dicom.reopen(head, row["syntax"])
        said = (header.study_uid, header.series_uid, header.instance_uid, header.sop_class)
        return said == (row["study_uid"], row["series_uid"], row["instance_uid"], row["sop_class"])
    return False


def facts(broken: Broken) -> dict[str, str]:
    """A broken instance for programs."""
    return {name: str(value) for name, value in asdict(broken).items()}
