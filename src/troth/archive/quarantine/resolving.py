"""How an instance leaves quarantine for the archive: under UIDs of its own, or in the place of the one that is held.

What it was called before stands in its Original Attributes Sequence (DICOM PS3.3 C.12.1.1.9). UIDs are made from a
keyed digest of what they replace, so that images of one study which are taken in on different days come together again,
and their references to each other with them. The pixels stay where they are; only the head is written anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from troth import dicom
from troth.archive import permits, telling, upkeep_store
from troth.archive import store as archive_store
from troth.archive.arriving import Item, Rows
from troth.archive.coercing import SYSTEM, coerced, standing_change
from troth.archive.errors import CannotResolve, InstanceRefused, QuarantineGone, StoredBytesBroken
from troth.archive.intake import Batch
from troth.archive.keys import OrganisationKeys
from troth.archive.model import Received, Row
from troth.archive.quarantine import store
from troth.archive.quarantine.comparing import HeldStudy, can_replace
from troth.archive.quarantine.model import Resolved
from troth.archive.quarantine.reading import Opened, Reading
from troth.archive.quarantine.sparing import Sparing
from troth.archive.receiver import locators_of
from troth.archive.releasing import Releasing
from troth.archive.row_values import instance_row
from troth.archive.storing import Storing, unnamed, unneeded
from troth.dicom import Correction
from troth.kit import clock, ids
from troth.kit.db import Database
from troth.kit.errors import TrothError
from troth.ledger import Ledger
from troth.policy import Permit
from troth.vault import KeyDestroyed, KeyRef, Keyring, Packs, SealBroken, SealedObject

_BATCH: Final = 25
_MOST_AT_ONCE: Final = 500
_CHUNK_BYTES: Final = 1 << 20
_UNREADABLE: Final = (SealBroken, StoredBytesBroken, KeyDestroyed, dicom.Malformed, dicom.CannotCorrect)


@dataclass(frozen=True, slots=True)
class _Renamed:
    """One that is about to be taken in, with what becomes free once it is."""

    row: Row
    received: Received
    made: tuple[bytes, ...]
    freed: tuple[bytes, ...]


class Resolving:
    """Takes in what is kept apart.

    Args:
        db: The database.
        keyring: Of this machine.
        packs: The objects.
        ledger: Is told in the same transaction.
        keys: Keys of organisations.
        storing: The way in of every instance.
        releasing: Knows whether a backup is being made.
        sparing: Knows what a legal hold keeps.
    """

    def __init__(
        self, db: Database, keyring: Keyring, packs: Packs, ledger: Ledger, keys: OrganisationKeys, storing: Storing,
        releasing: Releasing, sparing: Sparing,
    ) -> None:  # fmt: skip
        self._db = db
        self._keyring = keyring
        self._packs = packs
        self._ledger = ledger
        self._keys = keys
        self._storing = storing
        self._releasing = releasing
        self._sparing = sparing
        self._reading = Reading(keyring, packs)

    async def keep_as_new(self, permit: Permit, quarantined_id: UUID, *, is_whole_group: bool) -> Resolved:
        """Take in one that is kept apart, or all of its study, under new UIDs.

        One that is of another patient gets a study of its own; one whose series is held in another study gets a series
        of its own; one whose UID is held gets a UID of its own in its series.

        Args:
            permit: To `resolve` in the organisation.
            quarantined_id: Which.
            is_whole_group: All of the same study and reason, at most some hundred in one call.

        Raises:
            QuarantineGone: There is no such one for this permit.
        """
        tenant = permits.allowed(permit, "resolve")
        async with self._db.transaction(permit) as connection:
            row = await store.one(connection, tenant, quarantined_id)
            if row is None:
                raise QuarantineGone
            names = await store.group_of(connection, tenant, row)
        key = await self._keys.of(tenant)
        uids = self._new_uids(key, row, names)
        wanted = [one["id"] for one in names] if is_whole_group else [quarantined_id]
        resolved = Resolved()
        for start in range(0, min(len(wanted), _MOST_AT_ONCE), _BATCH):
            part = await self._take(permit, tenant, wanted[start : start + _BATCH], uids)
            resolved = Resolved(resolved.done + part.done, resolved.left + part.left, part.why or resolved.why)
        return Resolved(resolved.done, resolved.left, resolved.why, max(0, len(wanted) - _MOST_AT_ONCE))

    async def replace(self, permit: Permit, on_held: Permit, quarantined_id: UUID, reason: str) -> None:
        """Let one that is kept apart take the place of the one that is held under the same UID, which is destroyed.

        Args:
            permit: To `resolve` in the organisation.
            on_held: To `resolve` the study that holds the other.
            quarantined_id: Which.
            reason: Why; sealed in the ledger, for the person whose images they are.

        Raises:
            QuarantineGone: There is no such one for this permit.
            CannotResolve: It is of another patient, study or series than the one that is held, or cannot be read; or a
                legal hold is on the one that is held.
            RowsAltered: What legal holds say was changed past the platform.
        """
        tenant = permits.allowed(permit, "resolve")
        permits.allowed(on_held, "resolve")
        with self._releasing.unless_held() as is_free:
            if not is_free:  # it names the bytes that would go
                raise CannotResolve("A backup is being made; replace the image when it has ended.")
            row, held, unused = await self._replaced(permit, on_held, tenant, quarantined_id, reason)
            # The new ones were durable long before; only now the old ones go.
            await asyncio.to_thread(self._keyring.destroy, [KeyRef(bytes(row["key"]))])
            old = [held[name] for name in ("head_locator", "bulk_locator") if held[name] is not None]
            await self._packs.free([*old, *unused])

    async def _replaced(
        self, permit: Permit, on_held: Permit, tenant: UUID, quarantined_id: UUID, reason: str
    ) -> tuple[Row, Row, list[bytes]]:
        """The row that was kept apart, the one that is held as it was, and objects that neither needs."""
        async with self._db.transaction(permit) as connection:
            row = await store.one(connection, tenant, quarantined_id, lock=True)
            if row is None:
                raise QuarantineGone
            held = await store.held_against(connection, self._keyring, tenant, row)
            if held is None or on_held.target.id != held["study_id"] or not can_replace(row, held):
                raise CannotResolve
            if (await self._sparing.surely_spared(connection, tenant)).covers_study(held["study_uid"]):
                raise CannotResolve("A legal hold is on the study, so the image that is held cannot be destroyed.")
            try:
                sent = (await self._reading.kept(row)).received
                kept = await self._as_it_stands(row, held, sent)
                key = KeyRef(bytes(held["study_key"]))
                new = instance_row(self._keyring, key, kept, held["id"], sent if kept is not sent else None)
            except _UNREADABLE:
                raise CannotResolve from None
            if not await upkeep_store.replace_instance(connection, tenant, held["id"], held["head_locator"], new):
                raise CannotResolve
            await upkeep_store.mark_whole(connection, tenant, [held["id"]])
            await store.remove(connection, tenant, [quarantined_id], "kept")
            entry = telling.of_instances(
                on_held, "archive:instance:replaced", HeldStudy(held), held["study_uid"], [held["instance_uid"]],
                reason=reason,
            )  # fmt: skip
            await self._ledger.append(connection, entry)
        named = locators_of(kept)
        return row, held, [locator for locator in locators_of(sent) if locator not in named]

    async def _as_it_stands(self, row: Row, held: Row, sent: Received) -> Received:
        """The instance as it is to be kept: a study that was corrected stays so."""
        if held["standing_sealed"] is None:
            return sent
        tail = await self._reading.tail(await self._reading.kept(row))
        whole = replace(sent, header=replace(sent.header, tail=tail))
        key = KeyRef(bytes(held["study_key"]))
        change = standing_change(self._keyring, key, held["study_id"], held["standing_sealed"])
        made = await coerced(self._packs, whole, change)
        if made is None:
            return sent
        await self._packs.sync()
        return made

    # Under new UIDs

    async def _take(self, permit: Permit, tenant: UUID, wanted: Sequence[UUID], uids: Mapping[str, str]) -> Resolved:
        async with self._db.transaction(permit) as connection:
            rows = await store.some(connection, tenant, wanted)
            taken = await store.held_uids(connection, tenant, [row["instance_uid"] for row in rows])
        renamed, left, why = [], 0, ""
        for row in rows:
            try:
                renamed.append(await self._rename(row, _own_uids(row, uids, taken), uids))
            except _UNREADABLE as fault:
                left, why = left + 1, fault.title
        if not renamed:
            return Resolved(0, left, why)
        durable = self._packs.syncing()
        items = [Item(permit, one.received, durable) for one in renamed]
        batch = await asyncio.to_thread(Batch, self._keyring, await self._keys.of(tenant), items)

        async def put(scope: Permit, new: Rows, entries: bytes) -> None:
            accepted = [one.row for one, item in zip(renamed, items, strict=True) if item.is_named]
            await self._put(scope, tenant, accepted, new, entries)

        try:
            prepared = await self._storing.settle(tenant, batch, put)
        except QuarantineGone:
            await self._packs.free([locator for one in renamed for locator in one.made])
            return Resolved(0, 0, "")  # somebody else resolved them meanwhile
        freed, ended = list[bytes](), list(unneeded(batch, prepared))
        for one, item in zip(renamed, items, strict=True):
            if item.is_named:
                freed += [*one.freed, *unnamed(item)]
                ended.append(KeyRef(bytes(one.row["key"])))
                continue
            freed += {*one.made, *unnamed(item)} - set(_named(one.row))
            left, why = left + 1, _why(item)
        if ended:
            await asyncio.to_thread(self._keyring.destroy, ended)
        await self._packs.free(freed)
        return Resolved(sum(item.is_named for item in items), left, why)

    async def _put(self, scope: Permit, tenant: UUID, accepted: Sequence[Row], new: Rows, entries: bytes) -> None:
        """Out of quarantine and into the archive at once, or neither."""
        key = await self._keys.of(tenant)
        by_study: dict[str, list[str]] = {}
        for row in accepted:
            by_study.setdefault(row["study_uid"], []).append(row["instance_uid"])
        async with self._db.transaction(scope) as connection:
            if await store.remove(connection, tenant, [row["id"] for row in accepted], "kept") != len(accepted):
                raise QuarantineGone
            await archive_store.take_within(connection, tenant, new, entries)
            reason = accepted[0]["reason"]
            told = [
                telling.of_instances(scope, "archive:instance:released", key, study_uid, uids, reason=reason)
                for study_uid, uids in by_study.items()
            ]
            await self._ledger.append_many(connection, told)

    def _new_uids(self, key: KeyRef, row: Row, names: Sequence[Row]) -> dict[str, str]:
        """What the UIDs of a group become: keyed, and the same each time."""

        def new(*parts: str) -> str:
            return ids.derived_dicom_uid(self._keyring.digest(key, "archive.uid", "\0".join(parts)))

        study_uid, patient = row["study_uid"], str(row["patient_key_token"])
        if row["reason"] == "other-patient":
            uids = {one["instance_uid"]: new("instance", patient, study_uid, one["instance_uid"]) for one in names}
            uids |= {one["series_uid"]: new("series", patient, study_uid, one["series_uid"]) for one in names}
            return uids | {study_uid: new("study", patient, study_uid)}
        if row["reason"] == "other-study":
            uids = {one["instance_uid"]: new("instance", study_uid, one["instance_uid"]) for one in names}
            return uids | {one["series_uid"]: new("series", study_uid, one["series_uid"]) for one in names}
        return {_content_uid(one): new("instance", bytes(one["digest"]).hex()) for one in names}

    async def _rename(self, row: Row, own: Mapping[str, str], uids: Mapping[str, str]) -> _Renamed:
        opened = await self._reading.kept(row)
        tail = await self._reading.tail(opened)
        correction = Correction(
            {}, clock.now(), SYSTEM, reason="COERCE", uids=own,
            references=uids if row["reason"] == "other-patient" else {},
        )  # fmt: skip
        head, new_tail = await asyncio.to_thread(
            dicom.corrected, opened.header.head, tail, opened.header.syntax, correction
        )
        header = replace(await asyncio.to_thread(dicom.reopen, head, opened.header.syntax), tail=new_tail)
        bulk = opened.received.bulk
        made, freed = list[bytes](), [opened.record.head_locator]
        if new_tail != tail and bulk is not None:
            freed.append(bulk.locator)
            bulk = await self._with_tail(opened, bulk, len(tail), new_tail)
            made.append(bulk.locator)
        writer = self._packs.writer()
        try:
            writer.feed(head)
            sealed = await asyncio.to_thread(writer.finish)
        except BaseException:
            writer.abort()
            raise
        return _Renamed(
            row,
            Received(header, sealed, bulk, opened.record.frame_table),
            (sealed.locator, *made),
            tuple(freed),
        )

    async def _with_tail(self, opened: Opened, bulk: SealedObject, old_bytes: int, tail: bytes) -> SealedObject:
        """A copy of the bulk that ends with another tail; memory stays flat."""
        stop = bulk.length_bytes - old_bytes
        writer = self._packs.writer()
        try:
            for start in range(0, stop, _CHUNK_BYTES):
                part = await self._packs.read(bulk.locator, bulk.key, start, min(start + _CHUNK_BYTES, stop))
                await asyncio.to_thread(writer.feed, part)
            writer.feed(tail)
            return await asyncio.to_thread(writer.finish)
        except BaseException:
            writer.abort()
            raise


def _named(row: Row) -> list[bytes]:
    """Where the objects of one that is kept apart lie."""
    return [bytes(row[name]) for name in ("head_locator", "bulk_locator") if row[name] is not None]


def _content_uid(row: Row) -> str:
    """Several different instances can bear one UID: each is told by its bytes, which no UID can look like."""
    return f"{row['instance_uid']}#{bytes(row['digest']).hex()}"


def _own_uids(row: Row, uids: Mapping[str, str], taken: set[str]) -> dict[str, str]:
    """What one's own UIDs become."""
    instance_uid, series_uid, study_uid = row["instance_uid"], row["series_uid"], row["study_uid"]
    if row["reason"] == "duplicate-differs":
        return {instance_uid: uids[_content_uid(row)]}
    own = {series_uid: uids[series_uid]}
    if row["reason"] == "other-patient":
        own |= {study_uid: uids[study_uid], instance_uid: uids[instance_uid]}
    elif instance_uid in taken:
        own[instance_uid] = uids[instance_uid]
    return own


def _why(item: Item) -> str:
    error: Any = item.outcome.error if item.outcome is not None else None
    if isinstance(error, InstanceRefused | TrothError):
        return error.title
    return "It was taken in before"
