"""Storage commitment: a promise about an instance is made only after it was read back and held against its digests.

A request is durable before it is acknowledged; the answer follows when it can be given, by whichever process is up.

Per: DICOM PS3.4 Annex J.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from troth import policy
from troth.archive import commitment_store, permits
from troth.archive.errors import StoredBytesBroken
from troth.archive.keys import OrganisationKeys
from troth.archive.model import Row
from troth.archive.records import instance_record, open_record
from troth.kit import clock, ids
from troth.kit.db import Database
from troth.kit.errors import TrothError
from troth.ledger import Ledger
from troth.policy import Actor, Permit
from troth.vault import KeyDestroyed, KeyRef, Keyring, Packs

NO_SUCH_INSTANCE = 0x0112  # PS3.3 C.14.1.1
CLASS_DIFFERS = 0x0119
CANNOT_BE_READ = 0x0110

_FIRST_TRY_IN = timedelta(seconds=20)  # whoever took the request tries at once; others only when that one died
_TRIES = (
    timedelta(seconds=20), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1)
)  # fmt: skip
_LONGEST = timedelta(days=3)
_REMEMBERED = timedelta(days=30)
_AT_ONCE = 8
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a peer wants to be sure of.

    Attributes:
        items: SOP class and instance UID of each instance.
        called_ae: The AE title of ours that it asked.
    """

    id: UUID
    tenant: UUID
    peer_id: UUID
    transaction_uid: str
    called_ae: str
    items: tuple[tuple[str, str], ...]
    tries: int
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which instances are held safely.

    Attributes:
        held: SOP class and instance UID of those that were read back and are what was stored.
        failed: The others, with the failure reason (DICOM PS3.3 C.14.1.1).
    """

    held: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str, int], ...]


class Commitments:
    """Requests for commitment, from when they are taken to when they are answered."""

    def __init__(self, db: Database, keyring: Keyring, packs: Packs, ledger: Ledger, keys: OrganisationKeys) -> None:
        self._db = db
        self._keyring = keyring
        self._packs = packs
        self._ledger = ledger
        self._keys = keys

    async def ask(
        self, permit: Permit, transaction_uid: str, called_ae: str, items: Sequence[tuple[str, str]]
    ) -> Commitment:
        """Take a request; durable on return. The caller answers soon, else anybody does from twenty seconds on.

        Args:
            permit: For `store`, of the peer that asks.
            transaction_uid: The peer's number for it.
            called_ae: The AE title of ours that it asked.
            items: SOP class and instance UID of each instance.
        """
        tenant = permits.allowed(permit, "store")
        now = clock.now()
        assert permit.actor.id is not None
        values = {
            "tenant": tenant,
            "id": ids.uuid7(),
            "peer_id": permit.actor.id,
            "transaction_uid": transaction_uid,
            "called_ae": called_ae,
            "sop_classes": [sop_class for sop_class, _ in items],
            "instance_uids": [uid for _, uid in items],
            "asked_at": now,
            "next_at": now + _FIRST_TRY_IN,
        }
        async with self._db.transaction(permit) as connection:
            commitment_id = await commitment_store.ask(connection, values)
        return Commitment(
            commitment_id, tenant, permit.actor.id, transaction_uid, called_ae, tuple(items), 0, now
        )  # fmt: skip

    async def take_due(self, actor: Actor) -> list[Commitment]:
        """Requests of the actor's organisation whose answer is due; nobody else takes them for a minute."""
        if actor.tenant is None:
            return []
        now = clock.now()
        async with self._db.transaction(actor) as connection:
            rows = await commitment_store.take_due(connection, actor.tenant, now, now + timedelta(minutes=1), _AT_ONCE)
            await commitment_store.prune(connection, actor.tenant, now - _REMEMBERED)
        return [_commitment(row) for row in rows]

    async def verify(self, permit: Permit, items: Sequence[tuple[str, str]]) -> Verdict:
        """Read instances back, each whole, and hold them against what was stored.

        Args:
            permit: For `store` in the organisation that holds them.
            items: SOP class and instance UID of each.
        """
        tenant = permits.allowed(permit, "store")
        held: list[tuple[str, str]] = []
        failed: list[tuple[str, str, int]] = []
        for at in range(0, len(items), _PAGE):
            page = items[at : at + _PAGE]
            async with self._db.transaction(permit) as connection:
                rows = await commitment_store.instances_by_uid(connection, tenant, [uid for _, uid in page])
            found = {row["instance_uid"]: row for row in rows}
            for sop_class, uid in page:
                reason = await self._reason_against(found.get(uid), sop_class)
                if reason == CANNOT_BE_READ:  # perhaps it was corrected while it was read
                    async with self._db.transaction(permit) as connection:
                        rows = await commitment_store.instances_by_uid(connection, tenant, [uid])
                    reason = await self._reason_against(next(iter(rows), None), sop_class)
                if reason:
                    failed.append((sop_class, uid, reason))
                else:
                    held.append((sop_class, uid))
        return Verdict(tuple(held), tuple(failed))

    async def told(self, permit: Permit, commitment: Commitment, verdict: Verdict) -> None:
        """The peer was told; write it."""
        tenant = permits.allowed(permit, "store")
        key = await self._keys.of(tenant)
        entry = policy.entry(
            permit,
            "archive:commitment:answered",
            key=key,
            payload={"transaction": commitment.transaction_uid},
            counts={"instances": len(commitment.items), "failed": len(verdict.failed)},
        )
        async with self._db.transaction(permit) as connection:
            await commitment_store.end(connection, tenant, commitment.id, "told", clock.now())
            await self._ledger.append(connection, entry)

    async def put_off(self, commitment: Commitment) -> None:
        """The peer could not be told: later again, and after three days not any more."""
        now = clock.now()
        scope = Actor(kind="system", tenant=commitment.tenant)
        async with self._db.transaction(scope) as connection:
            if now - commitment.asked_at > _LONGEST:
                await commitment_store.end(connection, commitment.tenant, commitment.id, "given_up", now)
            else:
                pause = _TRIES[min(commitment.tries, len(_TRIES) - 1)]
                await commitment_store.put_off(connection, commitment.tenant, commitment.id, now + pause)

    async def give_up(self, commitment: Commitment) -> None:
        """Nobody is there to be told any more."""
        scope = Actor(kind="system", tenant=commitment.tenant)
        async with self._db.transaction(scope) as connection:
            await commitment_store.end(connection, commitment.tenant, commitment.id, "given_up", clock.now())

    async def _reason_against(self, row: Row | None, sop_class: str) -> int:
        """Why an instance is not committed to; 0 when it is."""
        if row is None:
            return NO_SUCH_INSTANCE
        if row["sop_class"] != sop_class:
            return CLASS_DIFFERS
        try:
            await self._read_back(row)
        except KeyDestroyed:
            return NO_SUCH_INSTANCE
        except (TrothError, OSError):
            return CANNOT_BE_READ
        return 0

    async def _read_back(self, row: Row) -> None:
        record = instance_record(row)
        secrets = open_record(self._keyring, KeyRef(row["study_key"]), record)
        head = await self._packs.read(record.head_locator, secrets.head_key)
        length, bulk = len(head), hashlib.sha256()
        if record.bulk_locator is not None:
            async for chunk in self._packs.stream(record.bulk_locator, secrets.bulk_key):
                await asyncio.to_thread(bulk.update, chunk)
                length += len(chunk)
            if bulk.digest() != secrets.bulk_sha256:
                raise StoredBytesBroken
        if hashlib.sha256(head).digest() != secrets.head_sha256 or length != record.length_bytes:
            raise StoredBytesBroken


def _commitment(row: Row) -> Commitment:
    items = tuple(zip(row["sop_classes"], row["instance_uids"], strict=True))
    return Commitment(
        row["id"], row["tenant"], row["peer_id"], row["transaction_uid"], row["called_ae"], items, row["tries"],
        row["asked_at"],
    )  # fmt: skip
