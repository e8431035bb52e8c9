"""The archive's verbs: store, query, open, erase. Each takes the permit that allowed it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

import psycopg

from troth.archive import erasing, permits, restricting, searching, store, summaries, telling
from troth.archive import intake as intakes
from troth.archive.errors import StudyNotFound, WrongPermit
from troth.archive.intake import Batch, Item, Study
from troth.archive.model import Erasure, Outcome, Page, Query, Received, Row, StudySummary
from troth.archive.painter import Painter
from troth.archive.queue import Queue
from troth.archive.receiver import Receiver, locators_of
from troth.archive.recent import Recent
from troth.archive.results import Search
from troth.archive.viewing import Viewing
from troth.kit import clock, ids
from troth.kit.db import Connection, Database
from troth.kit.errors import TrothError, Unavailable
from troth.ledger import Ledger
from troth.people import People, Subject
from troth.policy import Actor, Permit, Policy, Target
from troth.vault import KeyDestroyed, KeyRef, Keyring, Packs

_ATTEMPTS = 8
_INLINE_ITEMS = 16  # more are tokenised in a thread
_SUBJECTS_AT_ONCE = 4
_OPENING = {
    "retrieve": "archive:study:opened",
    "copy": "archive:study:copied",
    "disclose": "archive:study:copied",
}
_SEES_RESTRICTED = frozenset({"own_access", "rights"})


class Archive:
    """Studies, series and instances: sealed, searchable, provable.

    Args:
        db: The database.
        keyring: Keys of organisations, subjects and studies.
        packs: Sealed bytes.
        people: Knows organisations and subjects.
        ledger: Is told before anything is shown.
        policy: Decides again while a study is open.
    """

    def __init__(
        self, db: Database, keyring: Keyring, packs: Packs, people: People, ledger: Ledger, policy: Policy
    ) -> None:
        self.keyring = keyring
        self.packs = packs
        self.painter = Painter()
        self._db = db
        self._people = people
        self._ledger = ledger
        self._policy = policy
        self._queue = Queue(self._commit)
        self._recent = Recent()
        self._discarded: list[bytes] = []
        self._organisation_keys: dict[UUID, KeyRef] = {}

    async def close(self) -> None:
        """End child processes; nothing that was acknowledged waits for this."""
        await asyncio.to_thread(self.painter.close)

    # Store

    def receiver(self, syntax: str | None = None) -> Receiver:
        """Takes one instance as it arrives.

        Args:
            syntax: None for a Part 10 stream, else the transfer syntax of a bare dataset.
        """
        return Receiver(self.packs, syntax, self._discarded.extend)

    async def store(self, permit: Permit, received: Sequence[Received]) -> list[Outcome]:
        """Store what was received. On return everything that is `stored` is durable: bytes, rows and ledger.

        An instance that cannot be taken is refused alone; the others are not touched.

        Args:
            permit: For `store` in an organisation.
            received: What receivers gave.

        Returns:
            An outcome for each, in the same order.

        Per: DICOM PS3.18 10.5, PS3.4 B.2.
        """
        tenant = permits.allowed(permit, "store")
        items = [Item(permit, one) for one in received]
        if items:
            await self._queue.put(tenant, items)
        return [item.outcome for item in items if item.outcome is not None]

    async def record_refused(self, permit: Permit, faults: Sequence[TrothError]) -> None:
        """Write that instances were not even readable, so that `store` never saw them. One entry for each reason.

        Args:
            permit: For `store`, of whoever sent them.
            faults: Why, one for each instance.
        """
        key = await self._organisation_key(permits.allowed(permit, "store"))
        by_slug = {fault.slug: fault for fault in faults}
        numbers = Counter(fault.slug for fault in faults)
        entries = [
            telling.refused(permit, "archive:instance:refused", fault, {"instances": numbers[slug]}, key)
            for slug, fault in by_slug.items()
        ]
        async with self._db.transaction(permit) as connection:
            await self._ledger.append_many(connection, entries)

    async def _commit(self, tenant: UUID, items: list[Item]) -> None:
        key = await self._organisation_key(tenant)
        syncing = asyncio.create_task(self.packs.sync())
        try:
            if len(items) > _INLINE_ITEMS:
                batch = await asyncio.to_thread(Batch, self.keyring, key, items)
            else:
                batch = Batch(self.keyring, key, items)
            prepared = await self._settle(tenant, batch, syncing)
        finally:
            await asyncio.wait([syncing])
        await self._tidy(items, [study for uid, study in prepared.items() if uid not in batch.new_studies])

    async def _settle(self, tenant: UUID, batch: Batch, syncing: Awaitable[None]) -> dict[str, Study]:
        """Decide and write a batch; what others change meanwhile makes it look and decide again.

        Returns:
            New studies whose keys were made, also those that turned out not to be needed.
        """
        prepared: dict[str, Study] = {}
        wanted = batch.wanted()
        uids = wanted["studies"], wanted["series"]
        held = self._recent.recall(tenant, *uids)
        for _ in range(_ATTEMPTS):
            try:
                async with self._db.transaction(batch.items[0].permit) as connection:
                    batch.decide(held or await store.held(connection, tenant, **wanted), prepared)
                    missing = batch.new_studies.keys() - prepared.keys()
                    if not missing:
                        await self._write(connection, tenant, batch, prepared)
                        await syncing  # bytes are durable before the rows that name them
            except (KeyDestroyed, psycopg.Error) as fault:
                if not isinstance(fault, KeyDestroyed) and not store.is_race(fault):
                    raise Unavailable from fault
                held = None
                self._recent.forget(tenant, *uids)
                continue
            if not missing:
                self._recent.remember(tenant, *batch.known(prepared))
                return prepared
            prepared |= await self._prepare(tenant, {uid: batch.new_studies[uid] for uid in missing})
        raise Unavailable("Too many were writing the same studies; nothing was stored.")

    async def _write(self, connection: Connection, tenant: UUID, batch: Batch, prepared: dict[str, Study]) -> None:
        studies = {uid: prepared[uid] for uid in batch.new_studies}
        if batch.accepted:
            await store.write(connection, tenant, batch.rows(studies, clock.now()))
        await self._ledger.append_many(connection, batch.entries(studies))

    async def _prepare(self, tenant: UUID, items: Mapping[str, Item]) -> dict[str, Study]:
        """Find or make subjects, and make keys of studies, durable before the transaction that needs them."""
        limit = asyncio.Semaphore(_SUBJECTS_AT_ONCE)

        async def subject_of(item: Item) -> Subject:
            values = item.header.values
            async with limit:
                patient = intakes.patient_key(item.header.study_uid, values)
                return await self._people.ensure_subject(tenant, patient, intakes.demographics(item.header))

        patients = {item.patient_token: item for item in items.values()}
        found = await asyncio.gather(*(subject_of(item) for item in patients.values()))
        subjects = dict(zip(patients, found, strict=True))
        parents = [subjects[item.patient_token].key for item in items.values()]
        keys = await asyncio.to_thread(self.keyring.create_many, parents)
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

    async def _tidy(self, items: Sequence[Item], unused: Sequence[Study]) -> None:
        """Give back the bytes of what was not stored, and keys that were made in vain."""
        discarded, self._discarded[:] = list(self._discarded), []
        for item in items:
            if item.outcome is not None and item.outcome.state != "stored":
                discarded += locators_of(item.received)
        if discarded:
            await self.packs.free(discarded)
        if unused:
            await asyncio.to_thread(self.keyring.destroy, [study.key for study in unused])

    # Find

    async def target(self, actor: Actor, study_uid: str) -> Target:
        """The target of a decision about a study, in the actor's own space.

        Args:
            actor: Who asks; another organisation's study is not there for them.
            study_uid: StudyInstanceUID.

        Returns:
            A target without id when there is no such study.
        """
        if actor.tenant is None:
            return Target(kind="study", tenant=None)
        async with self._db.transaction(actor) as connection:
            row = await store.study_by_uid(connection, actor.tenant, study_uid)
        if row is None:
            return Target(kind="study", tenant=actor.tenant)
        return permits.target(row)

    async def target_of(self, actor: Actor, study_id: UUID) -> Target:
        """The same by our id."""
        if actor.tenant is None:
            return Target(kind="study", tenant=None)
        async with self._db.transaction(actor) as connection:
            row = await store.study_by_id(connection, actor.tenant, study_id)
        if row is None or row["state"] != "held":
            return Target(kind="study", tenant=actor.tenant)
        return permits.target(row)

    async def query(self, permit: Permit, query: Query, viewing: Viewing | None = None) -> Page:
        """Search, and write that it was searched before anything is given out.

        The target of the permit sets how far the search reaches: an organisation, one subject or one study.

        Args:
            permit: For `query`, or for `retrieve` on a study.
            query: What is asked for.
            viewing: The same actor's open viewing of the study that is searched within: its entry covers this.

        Raises:
            SearchKeyUnknown: A key cannot be honoured; nothing was searched.
            SearchValueInvalid: A value cannot be understood.
            SearchTooBroad: Too much would have to be read.

        Per: DICOM PS3.18 10.6, PS3.4 C.2.2.2.
        """
        tenant = permits.allowed(permit, "query", "retrieve")
        key = await self._organisation_key(tenant)
        plan = searching.plan(query, permits.scope(permit), partial(self.keyring.token, key))
        if permit.action == "query" and permit.target.kind != "study":
            plan = replace(plan, reach=await self._policy.rows_of(permit))
        async with self._db.transaction(permit) as connection:
            search = Search(
                self.keyring,
                plan,
                query,
                partial(store.candidates, connection, tenant, plan),
                partial(store.series_of, connection, tenant),
                partial(store.instances_of, connection, tenant),
            )
            page = await search.page()
            if viewing is None or not viewing.covers(permit):
                await self._ledger.append(connection, telling.queried(permit, query, page, key))
        return page

    async def record_search_refused(self, permit: Permit, fault: TrothError) -> None:
        """Write that a search was refused because its keys cannot be honoured.

        Args:
            permit: For `query`, or for `retrieve` on a study.
            fault: Why.
        """
        key = await self._organisation_key(permits.allowed(permit, "query", "retrieve"))
        async with self._db.transaction(permit) as connection:
            await self._ledger.append(
                connection, telling.refused(permit, "archive:studies:queried", fault, {"results": 0}, key)
            )

    async def studies_of_subject(self, permit: Permit, subject_id: UUID) -> list[StudySummary]:
        """All studies that are held of a subject, newest first. The caller's own entry says why they are read.

        Args:
            permit: Whose target is the subject, its organisation or one of its requests.
            subject_id: The subject.
        """
        tenant = permits.current(permit)
        if permit.target.subject_id not in (None, subject_id):
            raise WrongPermit
        async with self._db.transaction(permit) as connection:
            rows = await store.studies_of_subject(connection, tenant, subject_id)
        return [summaries.study_summary(self.keyring, row) for row in rows if self.keyring.is_alive(row["key"])]

    # Open

    async def open_study(self, permit: Permit, study_uid: str) -> Viewing:
        """Open a study. The ledger holds who is about to see it, why and under which clause before this returns.

        Args:
            permit: For `retrieve`, `copy` or `disclose` of this study.
            study_uid: StudyInstanceUID.

        Raises:
            StudyNotFound: There is no such study for this permit.
        """
        tenant = permits.allowed(permit, *_OPENING)
        async with self._db.transaction(permit) as connection:
            row = await store.study_by_uid(connection, tenant, study_uid)
            if row is None or row["id"] != permit.target.id:
                raise StudyNotFound
            study = summaries.study_summary(self.keyring, row)
            event_id = await self._ledger.append(connection, telling.entry(permit, study, _OPENING[permit.action]))
        return Viewing(self, permit, study, KeyRef(row["key"]), event_id)

    async def series_rows(self, permit: Permit, study_id: UUID) -> list[Row]:
        """Series of a study, for an open viewing."""
        async with self._db.transaction(permit) as connection:
            return await store.series_of(connection, permits.current(permit), [study_id])

    async def instance_rows(
        self, permit: Permit, study_id: UUID, series_uid: str | None, instance_uid: str | None
    ) -> list[Row]:
        """Instances of a study, for an open viewing."""
        tenant = permits.current(permit)
        async with self._db.transaction(permit) as connection:
            if instance_uid is not None:
                row = await store.instance_by_uid(connection, tenant, study_id, instance_uid)
                return [row] if row is not None and series_uid in (None, row["series_uid"]) else []
            return await store.instances_of(connection, tenant, study_id, series_uid)

    async def decide_again(self, permit: Permit, study_uid: str) -> Permit:
        """A fresh permit for the same actor, action, study and purpose.

        Raises:
            PermitDenied: Not any more.
        """
        target = await self.target(permit.actor, study_uid)
        if permit.actor.tenant is None:
            target = await self.target_of(Actor(kind="system", tenant=permit.tenant), permit.target.id or ids.uuid7())
        target = replace(target, attributes=permit.target.attributes)  # such as the request that is carried out
        return await self._policy.require(permit.actor, permit.action, target, permit.purpose)

    async def record_opened(self, permit: Permit, study: StudySummary) -> UUID:
        """Write that a study is looked at further, under a fresh permit."""
        async with self._db.transaction(permit) as connection:
            return await self._ledger.append(connection, telling.entry(permit, study, _OPENING[permit.action]))

    async def record_closed(self, permit: Permit, study: StudySummary, counts: dict[str, int]) -> None:
        """Write what was seen. The audit key may be gone by now; then nobody is left to be told."""
        entry = telling.entry(permit, study, "archive:viewing:closed", counts)
        if self.keyring.is_alive(study.audit_key):
            async with self._db.transaction(permit) as connection:
                await self._ledger.append(connection, entry)

    # Restrict

    async def restrict_study(self, permit: Permit, study_id: UUID, is_restricted: bool, reason: str) -> bool:
        """Stop the use of a study at once, or allow it again; see `restricting.restrict`."""
        return await restricting.restrict(
            self._db, self._ledger, self.keyring, permit, study_id, reason, is_restricted=is_restricted
        )

    # Erase

    async def erase_study(self, permit: Permit, study_id: UUID) -> Erasure:
        """Erase a study: it leaves every answer and its key is destroyed, then rows, tokens and bytes go.

        May be called again at any time, also after a crash at any step; the result is the same.

        Args:
            permit: For `erase`.
            study_id: Our id of it.

        Raises:
            StudyNotFound: There is and was no such study.
        """
        tenant = permits.allowed(permit, "erase")
        if permit.target.kind == "study" and permit.target.id != study_id:
            raise WrongPermit
        async with self._db.transaction(permit) as connection:
            work = await store.erasure(connection, tenant, study_id, lock=True)
            row = await store.study_by_id(connection, tenant, study_id, lock=True)
            if work is None and row is None:
                raise StudyNotFound
            if permit.target.subject_id not in (None, (work or row or {}).get("subject_id")):
                raise WrongPermit
            if work is None and row is not None:
                digests = await self._tombstones(tenant, row)
                await store.begin_erasure(connection, tenant, row, digests, clock.now())
        key = KeyRef((work or row or {})["key"])
        await asyncio.to_thread(self.keyring.destroy, [key])
        return await self._finish_erasure(permit, tenant, study_id)

    async def _finish_erasure(self, permit: Permit, tenant: UUID, study_id: UUID) -> Erasure:
        async with self._db.transaction(permit) as connection:
            work = await store.erasure(connection, tenant, study_id, lock=True)
            if work is None:
                raise StudyNotFound
            if work["state"] == "erasing":
                counts, locators = await store.remove_rows(connection, tenant, study_id)
                event_id = await self._ledger.append(connection, erasing.entry(permit, work, counts))
                await store.advance_erasure(
                    connection,
                    tenant,
                    study_id,
                    counts=counts,
                    locators=locators,
                    event_id=event_id,
                    at=clock.now(),
                )
                work = await store.erasure(connection, tenant, study_id) or work
        if work["state"] == "freeing":
            await self.packs.free(work["locators"])
            async with self._db.transaction(permit) as connection:
                await store.end_erasure(connection, tenant, study_id)
        return erasing.erasure(work)

    async def erase_subject(self, permit: Permit, subject_id: UUID) -> list[Erasure]:
        """Erase all studies that are held of a subject, then destroy the subject's own key.

        The audit key stays: the access list has a retention of its own. Whether nothing else keeps the subject is
        for the caller to decide.

        Args:
            permit: For `erase`, on the subject.
            subject_id: The subject.
        """
        tenant = permits.allowed(permit, "erase")
        if permit.target.subject_id != subject_id:
            raise WrongPermit
        subject = await self._people.subject(permit, subject_id)
        async with self._db.transaction(permit) as connection:
            rows = await store.studies_of_subject(connection, tenant, subject_id)
        erasures = [await self.erase_study(permit, row["id"]) for row in rows]
        await asyncio.to_thread(self.keyring.destroy, [subject.key])
        return erasures

    async def erasure(self, permit: Permit, study_id: UUID) -> Erasure:
        """The facts of an erasure that is done, to be read again.

        Raises:
            StudyNotFound: It was not erased.
        """
        async with self._db.transaction(permit) as connection:
            work = await store.erasure(connection, permits.current(permit), study_id)
        if work is None or work["state"] == "erasing" or permit.target.subject_id not in (None, work["subject_id"]):
            raise StudyNotFound
        return erasing.erasure(work)

    async def resume_erasures(self, permit: Permit) -> int:
        """End erasures that were cut short, in the permit's organisation.

        Returns:
            How many there were.
        """
        tenant = permits.allowed(permit, "erase")
        async with self._db.transaction(permit) as connection:
            study_ids = await store.unfinished_erasures(connection, tenant)
        for study_id in study_ids:
            await self.erase_study(permit, study_id)
        return len(study_ids)

    async def _tombstones(self, tenant: UUID, row: Row) -> tuple[bytes, bytes]:
        key = await self._organisation_key(tenant)
        try:
            values = summaries.study_summary(self.keyring, row).values
        except KeyDestroyed:
            values = {}  # its subject was erased before it: the study UID alone must do
        return erasing.tombstones(self.keyring, key, row["study_uid"], values)

    async def _organisation_key(self, tenant: UUID) -> KeyRef:
        key = self._organisation_keys.get(tenant)
        if key is None:
            key = self._organisation_keys[tenant] = (await self._people.organisation(tenant)).key
        return key
