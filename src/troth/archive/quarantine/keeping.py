"""How an instance comes into quarantine, and how it ends there: discarded, out of time, or erased.

What ends leaves every answer in one transaction with its entry; key, bytes and row follow, and may be taken up again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from troth.archive import errors, intake, permits, sealing, telling
from troth.archive.arriving import Item, Study
from troth.archive.intake import Batch
from troth.archive.keys import OrganisationKeys
from troth.archive.model import Row
from troth.archive.quarantine import store
from troth.archive.quarantine.model import SENDER, Limits, Verdict
from troth.archive.quarantine.sparing import Sparing
from troth.archive.receiver import locators_of
from troth.archive.row_values import modality_of
from troth.archive.sealing import InstanceSecrets
from troth.kit import clock, ids
from troth.kit.db import Connection, Database, HasTenant
from troth.ledger import Ledger
from troth.policy import Permit
from troth.vault import KeyRef, Keyring, Packs

_AT_ONCE: Final = 500


class Keeping:
    """Keeps apart, and ends what is kept apart.

    Args:
        db: The database.
        keyring: Makes and destroys a key for each.
        packs: Gives back the room of bytes.
        ledger: Is told in the same transaction.
        keys: Keys of organisations.
        limits: How much is kept, and how long.
        sparing: Knows what a legal hold keeps.
    """

    def __init__(
        self, db: Database, keyring: Keyring, packs: Packs, ledger: Ledger, keys: OrganisationKeys, limits: Limits,
        sparing: Sparing,
    ) -> None:  # fmt: skip
        self._db = db
        self._keyring = keyring
        self._packs = packs
        self._ledger = ledger
        self._keys = keys
        self._sparing = sparing
        self.limits = limits

    async def keep(self, batch: Batch, prepared: Mapping[str, Study]) -> None:
        """Keep apart what of a batch contradicts what is held, and tell the ledger of each whether it was.

        Its bytes are durable. The same bytes are kept once; what was erased, and what is beyond the limits, is not.

        Args:
            batch: Decided and written.
            prepared: Its new studies by UID.
        """
        items = batch.in_conflict
        scope, tenant = items[0].permit, permits.current(items[0].permit)
        key = await self._keys.of(tenant)
        made = await asyncio.to_thread(self._keyring.create_many, [key] * len(items))
        rows = await asyncio.to_thread(self._rows, tenant, key, items, made)
        async with self._db.transaction(scope) as connection:
            verdicts = await self._judged(connection, tenant, items, rows)
            kept = [row for row, verdict in zip(rows, verdicts, strict=True) if verdict == "kept"]
            if kept:
                await store.put(connection, kept)
            for item, verdict in zip(items, verdicts, strict=True):
                _conclude(item, verdict)
            await self._ledger.append_many(connection, batch.entries(prepared, items))
        unused = [ref for ref, verdict in zip(made, verdicts, strict=True) if verdict != "kept"]
        if unused:
            await asyncio.to_thread(self._keyring.destroy, unused)

    def _rows(self, tenant: UUID, key: KeyRef, items: Sequence[Item], made: Sequence[KeyRef]) -> list[dict[str, Any]]:
        at = clock.now()
        return [self._row(tenant, key, item, ref) | {"received_at": at} for item, ref in zip(items, made, strict=True)]

    def _row(self, tenant: UUID, key: KeyRef, item: Item, ref: KeyRef) -> dict[str, Any]:
        header, received, row_id = item.header, item.received, ids.uuid7()
        secrets = InstanceSecrets.of(received, {SENDER: item.permit.actor.name})
        same = secrets.head_sha256.hex() + secrets.bulk_sha256.hex()
        error = item.outcome.error if item.outcome is not None else None
        bulk = received.bulk
        return {
            "tenant": tenant,
            "id": row_id,
            "reason": error.slug if error is not None else "",
            "study_uid": header.study_uid,
            "series_uid": header.series_uid,
            "instance_uid": header.instance_uid,
            "sop_class": header.sop_class,
            "syntax": header.syntax,
            "modality": modality_of(header),
            "patient_key_token": item.patient_token,
            "study_digest": item.digests[1],
            "digest": self._keyring.digest(key, "archive.quarantine", same),
            "key": bytes(ref),
            "head_locator": received.head.locator,
            "head_bytes": received.head.length_bytes,
            "bulk_locator": bulk.locator if bulk else None,
            "bulk_bytes": bulk.length_bytes if bulk else 0,
            "frame_table": received.frame_table or None,
            "sealed": sealing.seal_instance(self._keyring, ref, row_id, locators_of(received), secrets),
            "sender_id": item.permit.actor.id,
        }

    async def _judged(
        self, connection: Connection, tenant: UUID, items: Sequence[Item], rows: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        """What becomes of each, while nobody else puts anything in and no erasure of its study begins."""
        await store.alone(connection, tenant)
        await store.settle_studies(connection, tenant, list({row["study_uid"] for row in rows}))
        barred = await store.barred(connection, tenant, [digest for item in items for digest in item.digests])
        known = await store.known(connection, tenant, [row["digest"] for row in rows])
        number, length = await store.totals(connection, tenant)
        verdicts: list[Verdict] = []
        for item, row in zip(items, rows, strict=True):
            size = row["head_bytes"] + row["bulk_bytes"]
            if not barred.isdisjoint(item.digests):
                verdicts.append("erased")
            elif row["digest"] in known:
                verdicts.append("kept_before")
            elif number + 1 > self.limits.instances or length + size > self.limits.length_bytes:
                verdicts.append("full")
            else:
                verdicts.append("kept")
                known.add(row["digest"])
                number, length = number + 1, length + size
        return verdicts

    async def discard(self, permit: Permit, quarantined_id: UUID, *, is_whole_group: bool) -> int:
        """Destroy one that is kept apart, or all of its study; cannot be undone.

        Args:
            permit: To `resolve` in the organisation.
            quarantined_id: Which.
            is_whole_group: All of the same study and reason.

        Returns:
            How many there were.

        Raises:
            QuarantineGone: There is no such one for this permit.
            CannotResolve: A legal hold keeps it.
            RowsAltered: What legal holds say was changed past the platform.
        """
        tenant = permits.allowed(permit, "resolve")
        async with self._db.transaction(permit) as connection:
            row = await store.one(connection, tenant, quarantined_id, lock=True)
            if row is None:
                raise errors.QuarantineGone
            if (await self._sparing.surely_spared(connection, tenant)).covers(row):  # and so all of its group
                raise errors.CannotResolve("A legal hold is on it, so it cannot be destroyed.")
            group = await store.group_of(connection, tenant, row) if is_whole_group else [row]
            rows = await store.end(connection, tenant, [one["id"] for one in group])
            await self._tell_ended(connection, permit, rows, "discarded")
        await self.finish(permit)
        return len(rows)

    async def expire(self, permit: Permit) -> int:
        """Destroy what nobody resolved in time and no legal hold keeps, and end what was cut short.

        Args:
            permit: To `administer` the organisation.

        Returns:
            How many were out of time.

        Raises:
            RowsAltered: What legal holds say was changed past the platform; what was cut short has ended all the same.
        """
        permits.administering(permit)
        tenant = permits.current(permit)
        await self.finish(permit)
        async with self._db.transaction(permit) as connection:
            rows = await self._ended(connection, tenant, before=clock.now() - self.limits.lasts)
            await self._tell_ended(connection, permit, rows, "out-of-time")
        if rows:
            await self.finish(permit)
        return len(rows)

    async def end_of_study(self, connection: Connection, permit: Permit, study: Row) -> list[KeyRef]:
        """In the transaction that begins a study's erasure: what bears its UID goes with it.

        Where nothing else is held of the same subject, all that is kept apart under their identifier goes, too. What a
        legal hold on somebody else keeps stays until that is released.

        Args:
            connection: The transaction, after the study was taken out of every answer.
            permit: Of the erasure.
            study: The row of the study.

        Returns:
            Keys to be destroyed with the study's own; `finish` does the rest.
        """
        tenant = permits.current(permit)
        rows = await self._ended(connection, tenant, study_uid=study["study_uid"])
        for token in await store.tokens_of_last_study(connection, tenant, study):
            rows += await self._ended(connection, tenant, patient_key_token=token)
        return await self._ended_by_erasure(connection, permit, rows)

    async def end_of_patient(self, connection: Connection, permit: Permit, token: int) -> list[KeyRef]:
        """The same for everything that is kept apart under the identifier of a subject.

        Args:
            connection: A transaction.
            permit: Of the erasure.
            token: The keyed token of their identifier.
        """
        rows = await self._ended(connection, permits.current(permit), patient_key_token=token)
        return await self._ended_by_erasure(connection, permit, rows)

    async def end_lost(self, permit: Permit) -> int:
        """Take away what has no living key any more, as a backup brings it back.

        It may have been resolved and not erased; what was erased is barred by the tombstones that lie beside a backup.

        Args:
            permit: To `administer` the organisation.

        Returns:
            How many there were.
        """
        tenant = permits.allowed(permit, "administer")
        async with self._db.transaction(permit) as connection:
            keys = await store.kept_keys(connection, tenant)
            gone = [row["id"] for row in keys if self._keyring.is_gone(KeyRef(bytes(row["key"])))]
            if gone:
                await self._tell_ended(connection, permit, await store.end(connection, tenant, gone), "key-lost")
        await self.finish(permit)
        return len(gone)

    async def finish(self, scope: HasTenant) -> None:
        """Destroy the keys of what ended, give back its bytes, and forget it. May be repeated, and cut short.

        Args:
            scope: Whose space.
        """
        assert scope.tenant is not None
        while True:
            async with self._db.transaction(scope) as connection:
                rows = await store.ending(connection, scope.tenant, limit=_AT_ONCE)
            if not rows:
                return
            await asyncio.to_thread(self._keyring.destroy, [KeyRef(bytes(row["key"])) for row in rows])
            await self._packs.free(
                [row[name] for row in rows for name in ("head_locator", "bulk_locator") if row[name] is not None]
            )
            async with self._db.transaction(scope) as connection:
                await store.remove(connection, scope.tenant, [row["id"] for row in rows], "ending")

    async def _ended(self, connection: Connection, tenant: UUID, **which: Any) -> list[Row]:
        """Take rows out of every answer, without those that a legal hold keeps; see `store.to_end`.

        Raises:
            RowsAltered: What legal holds say was changed past the platform.
        """
        found = await store.to_end(connection, tenant, **which)
        if not found:  # mostly: then nobody need look for holds
            return []
        spared = await self._sparing.surely_spared(connection, tenant)
        return await store.end(connection, tenant, [row["id"] for row in found if not spared.covers(row)])

    async def _ended_by_erasure(self, connection: Connection, permit: Permit, rows: Sequence[Row]) -> list[KeyRef]:
        if rows:
            digests = [bytes(row["study_digest"]) for row in rows]
            await store.bar(connection, permits.current(permit), digests, clock.now())
            await self._tell_ended(connection, permit, rows, "erased")
        return [KeyRef(bytes(row["key"])) for row in rows]

    async def _tell_ended(self, connection: Connection, permit: Permit, rows: Sequence[Row], reason: str) -> None:
        """One entry for each study. Whose images they were cannot be believed: it is of the organisation."""
        if not rows:
            return
        key = await self._keys.of(permits.current(permit))
        by_study: dict[str, list[Row]] = {}
        for row in rows:
            by_study.setdefault(row["study_uid"], []).append(row)
        entries = [
            telling.of_instances(
                permit, "archive:instance:discarded", key, study_uid, [row["instance_uid"] for row in group],
                reason=reason, length_bytes=sum(row["head_bytes"] + row["bulk_bytes"] for row in group),
            )
            for study_uid, group in by_study.items()
        ]  # fmt: skip
        await self._ledger.append_many(connection, entries)


def _conclude(item: Item, verdict: Verdict) -> None:
    outcome = item.outcome
    assert outcome is not None
    item.is_named = verdict == "kept"
    if verdict == "erased":
        item.outcome = intake.outcome_of(item.header, "refused", errors.WasErased())
    elif verdict != "full":
        item.outcome = replace(outcome, is_kept=True)
