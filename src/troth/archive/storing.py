"""The way in: instances of all callers, in batches, durable and told to the ledger before anybody is answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID
from weakref import WeakSet

import psycopg

from troth.archive import intake as intakes
from troth.archive import mending, permits, store, telling
from troth.archive.arriving import Item, Rows, Study
from troth.archive.coercing import coerced, standing_change
from troth.archive.errors import CannotCoerce
from troth.archive.intake import Batch
from troth.archive.keys import OrganisationKeys
from troth.archive.merging import Due, Merging
from troth.archive.model import Outcome, Received
from troth.archive.queue import Queue
from troth.archive.receiver import Receiver, locators_of
from troth.archive.recent import Recent
from troth.dicom import CannotCorrect
from troth.kit import clock, ids
from troth.kit.db import Database
from troth.kit.errors import TrothError, Unavailable
from troth.ledger import Ledger
from troth.people import People, Subject
from troth.policy import Permit
from troth.vault import KeyDestroyed, KeyRef, Keyring, Packs

_ATTEMPTS = 8
_INLINE_ITEMS = 16  # more are tokenised in a thread
_SUBJECTS_AT_ONCE = 4

Put = Callable[[Permit, Rows, bytes], Awaitable[None]]
"""Writes what was accepted of a batch, with its entries: all or nothing, committed on return."""

Keep = Callable[[Batch, Mapping[str, Study]], Awaitable[None]]
"""Decides which items in conflict are kept apart, and tells the ledger of all of them."""


class Storing:
    """Stores what receivers gave.

    Args:
        db: The database.
        keyring: Keys of organisations, subjects and studies.
        packs: Sealed bytes.
        people: Finds or makes subjects.
        ledger: Is told in the same transaction.
        keys: Keys of organisations.
        keep: Keeps apart what contradicts what is held.
        merging: Follows the rule about identifiers without an issuer.
    """

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        packs: Packs,
        people: People,
        ledger: Ledger,
        keys: OrganisationKeys,
        keep: Keep,
        merging: Merging,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._packs = packs
        self._people = people
        self._ledger = ledger
        self._keys = keys
        self._merging = merging
        self._keep = keep
        self._queue = Queue(self._commit)
        self._recent = Recent()
        self._discarded: list[bytes] = []
        self._underway: WeakSet[Receiver] = WeakSet()

    def receiver(self, syntax: str | None) -> Receiver:
        """Takes one instance as it arrives; see `Archive.receiver`."""
        return Receiver(self._packs, syntax, self._discarded.extend, self._underway)

    async def store(self, permit: Permit, received: Sequence[Received]) -> list[Outcome]:
        """Store what was received; see `Archive.store`."""
        tenant = permits.allowed(permit, "store")
        if not received:
            return []
        durable = self._packs.syncing()
        items = [Item(permit, one, durable) for one in received]
        await self._queue.put(tenant, items)
        return [item.outcome for item in items if item.outcome is not None]

    async def record_refused(self, permit: Permit, faults: Sequence[TrothError]) -> None:
        """Write what was not even readable; see `Archive.record_refused`."""
        key = await self._keys.of(permits.allowed(permit, "store"))
        by_slug = {fault.slug: fault for fault in faults}
        numbers = Counter(fault.slug for fault in faults)
        entries = [
            telling.refused(permit, "archive:instance:refused", fault, {"instances": numbers[slug]}, key)
            for slug, fault in by_slug.items()
        ]
        await self._ledger.write(self._db, permit, entries)

    async def _commit(self, tenant: UUID, items: list[Item], is_followed: bool) -> asyncio.Future[None] | None:
        """Store a batch; see `Queue`.

        Where others are on their way a flush is shared with them, so that the commits of one study, which wait for each
        other's row, do not wait for each other's disk; alone, one durable commit is a round trip less.
        """
        key = await self._keys.of(tenant)
        if len(items) > _INLINE_ITEMS:
            batch = await asyncio.to_thread(Batch, self._keyring, key, items)
        else:
            batch = Batch(self._keyring, key, items)
        is_shared = is_followed or len(self._underway) > 0
        prepared = await self.settle(tenant, batch, partial(store.take, self._db, is_durable=not is_shared))
        durable = self._db.flushing() if is_shared or not batch.accepted else None  # what is held may be just that
        try:
            for item in items:
                if item.mends is not None:
                    await mending.mend(self._db, self._keyring, self._packs, self._ledger, batch, item)
            if batch.in_conflict:
                await self._keep(batch, prepared)
        except (KeyDestroyed, psycopg.Error) as fault:
            raise Unavailable from fault  # nobody was answered yet: what is stored is held already when it comes again
        await self._tidy(items, unneeded(batch, prepared))
        return durable

    async def settle(self, tenant: UUID, batch: Batch, put: Put) -> dict[str, Study]:
        """Decide and write a batch; what others change meanwhile makes it look and decide again.

        Args:
            tenant: The organisation.
            batch: Its outcomes are set on return.
            put: Writes what was accepted.

        Returns:
            New studies whose keys were made, also those that turned out not to be needed.

        Raises:
            Unavailable: The database went away, or too many wrote the same at once.
        """
        prepared: dict[str, Study] = {}
        wanted = batch.wanted()
        uids = wanted["studies"], wanted["series"]
        held = self._recent.recall(tenant, *uids)
        is_guess = held is not None
        scope = batch.items[0].permit
        for _ in range(_ATTEMPTS):
            try:
                if held is None:
                    async with self._db.transaction(scope) as connection:
                        held = await store.held(connection, tenant, **wanted)
                batch.decide(held, prepared)
                if is_guess and batch.is_any_refused:
                    is_guess, held = False, None  # perhaps for what is not so any more
                    continue
                await self._coerce(batch)
                missing = batch.new_studies.keys() - prepared.keys()
                if not missing:
                    await self._write(scope, batch, prepared, put)
            except (KeyDestroyed, psycopg.Error) as fault:
                if not isinstance(fault, KeyDestroyed) and not store.is_race(fault):
                    raise Unavailable from fault
                is_guess, held = False, None
                self._recent.forget(tenant, *uids)
                prepared.clear()  # a subject or a key may have gone meanwhile; unused ones are swept
                continue
            if not missing:
                self._recent.remember(tenant, *batch.known(prepared))
                return prepared
            prepared |= await self._prepare(tenant, {uid: batch.new_studies[uid] for uid in missing})
        raise Unavailable("Too many were writing the same studies; nothing was stored.")

    async def _write(self, scope: Permit, batch: Batch, prepared: dict[str, Study], put: Put) -> None:
        """Write what was decided, once the bytes are durable: no row ever names bytes that are not."""
        studies = {uid: prepared[uid] for uid in batch.new_studies}
        entries = batch.entries(studies)
        # Made while the disk works.
        made = (batch.rows(studies, clock.now()), self._ledger.sealed(entries)) if batch.accepted else None
        for durable in {item.durable for item in batch.items}:
            await asyncio.shield(durable)
        if made is not None:
            await put(scope, *made)
        elif entries:
            await self._ledger.write(self._db, scope, entries)

    async def _coerce(self, batch: Batch) -> None:
        """Make what comes for a study that was corrected say what the study says; once for each correction."""
        changed: list[Item] = []
        for item, study in batch.of_corrected():
            assert study.standing_sealed is not None
            change = standing_change(self._keyring, study.key, study.id, study.standing_sealed)
            is_accepted = item.outcome is not None and item.outcome.state == "stored"
            if is_accepted and item.corrections != study.corrections:
                try:
                    made = await coerced(self._packs, item.received, change)
                except CannotCorrect:
                    batch.refuse(item, CannotCoerce())
                    continue
                self._discarded += _own_locators(item)
                item.coerced, item.corrections = made, study.corrections
                changed.append(item)
            # Also of what is held already: whoever sends again because an answer was lost gets the same one.
            if item.outcome is not None and change.differing(item.header):
                item.outcome = replace(item.outcome, is_coerced=True)
        if changed:
            durable = self._packs.syncing()
            for item in changed:
                item.durable = durable

    async def _prepare(self, tenant: UUID, items: Mapping[str, Item]) -> dict[str, Study]:
        """Find or make subjects, and make keys of studies, durable before the transaction that needs them."""
        limit = asyncio.Semaphore(_SUBJECTS_AT_ONCE)

        due: list[Due] = []

        async def subject_of(item: Item) -> Subject:
            values = item.header.values
            async with limit:
                patient = intakes.patient_key(item.header.study_uid, values)
                subject = await self._people.ensure_subject(tenant, patient, intakes.demographics(values))
                if (one := await self._merging.due_on_arrival(item.permit, subject)) is not None:
                    due.append(one)
                return subject

        patients = {item.patient_token: item for item in items.values()}
        found = await asyncio.gather(*(subject_of(item) for item in patients.values()))
        await self._merging.on_arrival(due)
        subjects = dict(zip(patients, found, strict=True))
        parents = [subjects[item.patient_token].key for item in items.values()]
        keys = await asyncio.to_thread(self._keyring.create_many, parents)
        return {
            uid: Study(
                ids.uuid7(),
                subjects[item.patient_token].id,
                key,
                subjects[item.patient_token].audit_key,
                item.patient_token,
            )
            for (uid, item), key in zip(items.items(), keys, strict=True)
        }

    async def _tidy(self, items: Sequence[Item], unused: Sequence[KeyRef]) -> None:
        """Give back the bytes of what no row names, and keys that were made in vain."""
        discarded, self._discarded[:] = list(self._discarded), []
        for item in items:
            if item.outcome is not None and not (item.is_named and item.coerced is None):
                discarded += unnamed(item)
        if discarded:
            await self._packs.free(discarded)
        if unused:
            await asyncio.to_thread(self._keyring.destroy, unused)


def unneeded(batch: Batch, prepared: Mapping[str, Study]) -> list[KeyRef]:
    """Keys that were made for new studies and are named by nobody."""
    return [study.key for uid, study in prepared.items() if uid not in batch.new_studies]


def unnamed(item: Item) -> list[bytes]:
    """Objects of an instance that no row names: as it was sent, and as it had to be written to be coerced."""
    every = locators_of(item.received) + _own_locators(item)
    if not item.is_named:
        return every
    is_apart = item.outcome is not None and item.outcome.is_kept
    named = locators_of(item.received if is_apart else item.kept)
    return [locator for locator in every if locator not in named]


def _own_locators(item: Item) -> list[bytes]:
    """Objects that were written because an instance had to be coerced."""
    if item.coerced is None:
        return []
    sent = locators_of(item.received)
    return [locator for locator in locators_of(item.coerced) if locator not in sent]
