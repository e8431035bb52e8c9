"""The archive's verbs: store, query, open, erase. Each takes the permit that allowed it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from uuid import UUID

import psycopg

from troth.archive import permits, restricting, searching, searching_store, store, summaries, telling
from troth.archive.changes import Changes
from troth.archive.coercing import Reason
from troth.archive.committing import Commitments
from troth.archive.correcting import Correcting
from troth.archive.describing import Kept
from troth.archive.erasing import Erasing
from troth.archive.errors import StudyMisplaced, StudyNotFound, WrongPermit
from troth.archive.identifying import Identifying
from troth.archive.keys import OrganisationKeys
from troth.archive.merging import Merging
from troth.archive.metadata import MetadataReader
from troth.archive.model import (
    Correctable,
    Corrected,
    Erasure,
    Outcome,
    Page,
    PastCorrection,
    Query,
    Received,
    Row,
    StudySummary,
)
from troth.archive.owners import Owners, is_misplaced
from troth.archive.painter import Painter
from troth.archive.quarantine import Comparing, Keeping, Limits, Quarantine, Resolving, Sparing
from troth.archive.receiver import Receiver
from troth.archive.releasing import Releasing
from troth.archive.results import Search
from troth.archive.storing import Storing
from troth.archive.tampering import Tampering
from troth.archive.upkeep import Upkeep
from troth.archive.viewing import Viewing
from troth.kit import ids, turns
from troth.kit.db import Database
from troth.kit.errors import TrothError
from troth.ledger import Ledger
from troth.people import People
from troth.policy import Actor, Permit, Policy, Target
from troth.vault import KeyRef, Keyring, Packs

_OPENING = {
    "retrieve": "archive:study:opened",
    "copy": "archive:study:copied",
    "disclose": "archive:study:copied",
}


class Archive:
    """Studies, series and instances: sealed, searchable, provable.

    Args:
        db: The database.
        keyring: Keys of organisations, subjects and studies.
        packs: Sealed bytes.
        people: Knows organisations and subjects.
        ledger: Is told before anything is shown.
        policy: Decides again while a study is open.
        limits: How much of what contradicts what is held is kept apart, and how long.
    """

    def __init__(
        self, db: Database, keyring: Keyring, packs: Packs, people: People, ledger: Ledger, policy: Policy,
        limits: Limits = Limits(),
    ) -> None:  # fmt: skip
        self.keyring = keyring
        self.packs = packs
        self.painter, self.metadata = Painter(), MetadataReader()
        self.writing = turns.Turns(2, most_of_one=1, most_waiting=10_000)
        self._db = db
        self._people = people
        self._ledger = ledger
        self._policy = policy
        self._keys = OrganisationKeys(people)
        self._owners = Owners(db, keyring, ledger)
        self.merging = Merging(db, keyring, people, self._keys, self._owners)
        self.releasing = Releasing(db, packs)
        sparing = Sparing(keyring, people, ledger, self._keys)
        keeping = Keeping(db, keyring, packs, ledger, self._keys, limits, sparing)
        self._storing = Storing(db, keyring, packs, people, ledger, self._keys, keeping.keep, self.merging)
        self._erasing = Erasing(db, keyring, packs, people, ledger, self._keys, keeping)
        self._correcting = Correcting(db, keyring, packs, people, ledger, self._keys, self.releasing, self._owners)
        self.identifying = Identifying(db, keyring, people, policy, self._correcting, self._owners)
        self.merging.heed(self.identifying.hinders_merging)
        self.quarantine = Quarantine(
            keeping,
            Comparing(db, keyring, packs, ledger, self._keys, self.painter, limits, sparing),
            Resolving(db, keyring, packs, ledger, self._keys, self._storing, self.releasing, sparing),
            sparing,
        )
        self.tampering = Tampering(db, keyring, self._keys)
        self.upkeep = Upkeep(db, keyring, packs, ledger)
        self.changes = Changes(db, ledger, policy, self._keys)
        self.commitments = Commitments(db, keyring, packs, ledger, self._keys)

    async def close(self) -> None:
        """End child processes; nothing that was acknowledged waits for this."""
        await self.changes.close()
        for children in (self.painter, self.metadata):
            await asyncio.to_thread(children.close)

    # Store

    def receiver(self, syntax: str | None = None) -> Receiver:
        """Takes one instance as it arrives.

        Args:
            syntax: None for a Part 10 stream, else the transfer syntax of a bare dataset.
        """
        return self._storing.receiver(syntax)

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
        return await self._storing.store(permit, received)

    async def record_refused(self, permit: Permit, faults: Sequence[TrothError]) -> None:
        """Write that instances were not even readable, so that `store` never saw them. One entry for each reason.

        Args:
            permit: For `store`, of whoever sent them.
            faults: Why, one for each instance.
        """
        await self._storing.record_refused(permit, faults)

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
        return await self._target(actor, row)

    async def target_of(self, actor: Actor, study_id: UUID) -> Target:
        """The same by our id."""
        if actor.tenant is None:
            return Target(kind="study", tenant=None)
        async with self._db.transaction(actor) as connection:
            row = await store.study_by_id(connection, actor.tenant, study_id)
        return await self._target(actor, row)

    async def _target(self, actor: Actor, row: Row | None) -> Target:
        """Of a study that is misplaced nobody is the subject: who may read their own has no part in it."""
        if row is None or row["state"] != "held":
            return Target(kind="study", tenant=actor.tenant)
        target = permits.target(row)
        is_anothers = actor.kind == "patient" and target.subject_id != actor.subject_id
        if is_anothers or not is_misplaced(self.keyring, row):
            return target
        await self._owners.tell(actor, target.id or row["id"])
        return replace(target, subject_id=None)

    async def origin_of(self, actor: Actor, target: Target) -> UUID | None:
        """Whose access list an attempt on a study belongs to; where there is no such study, as much is looked for."""
        if actor.tenant is None or target.tenant != actor.tenant:
            return target.subject_id
        async with self._db.transaction(actor) as connection:
            row = await store.study_by_id(connection, actor.tenant, target.id or ids.uuid7())
        return row["origin_id"] if row is not None else target.subject_id

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
            SearchAmbiguous: One person is meant, and there are several.

        Per: DICOM PS3.18 10.6, PS3.4 C.2.2.2.
        """
        tenant = permits.allowed(permit, "query", "retrieve")
        key = await self._keys.of(tenant)
        plan = searching.plan(query, permits.scope(permit), partial(self.keyring.token, key))
        if permit.action == "query" and permit.target.kind != "study":
            plan = replace(plan, reach=await self._policy.rows_of(permit))
        async with self._db.transaction(permit, with_general_plans=True) as connection:
            search = Search(
                self.keyring,
                plan,
                query,
                partial(searching_store.candidates, connection, tenant, plan),
                partial(store.series_of, connection, tenant),
                partial(store.instances_of, connection, tenant),
            )
            page = await search.page()
            if query.is_counted and plan.is_exact:
                page = replace(page, total=await searching_store.count(connection, tenant, plan))
            if viewing is None or not viewing.covers(permit):
                await self._ledger.append_many(connection, telling.queried(permit, query, page, key))
        for study_id in search.misplaced:
            await self._owners.tell(permit, study_id)
        return page

    async def record_search_refused(self, permit: Permit, fault: TrothError) -> None:
        """Write that a search was refused because its keys cannot be honoured.

        Args:
            permit: For `query`, or for `retrieve` on a study.
            fault: Why.
        """
        key = await self._keys.of(permits.allowed(permit, "query", "retrieve"))
        entry = telling.refused(permit, "archive:studies:queried", fault, {"results": 0}, key)
        await self._ledger.write(self._db, permit, [entry])

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
        return await self._owners.readable(permit, rows)

    # Open

    async def open_study(self, permit: Permit, study_uid: str, *, recipient: str = "") -> Viewing:
        """Open a study. The ledger holds who is about to see it, why and under which clause before this returns.

        Args:
            permit: For `retrieve`, `copy` or `disclose` of this study.
            study_uid: StudyInstanceUID.
            recipient: Who is sent to where the actor does not look itself, such as the destination of a C-MOVE.

        Raises:
            StudyNotFound: There is no such study for this permit.
            StudyMisplaced: It is not owned by whom its row names.
        """
        tenant = permits.allowed(permit, *_OPENING)
        async with self._owners.watching(permit), self._db.transaction(permit) as connection:
            row = await store.study_by_uid(connection, tenant, study_uid)
            if row is None or row["id"] != permit.target.id:
                raise StudyNotFound
            study = summaries.study_summary(self.keyring, row)
            entry = telling.entry(permit, study, _OPENING[permit.action], recipient=recipient)
            event_id = await self._ledger.append(connection, entry)
        return Viewing(self, permit, study, KeyRef(row["key"]), event_id, recipient)

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

    async def described_rows(self, permit: Permit, study_id: UUID, series_uid: str | None) -> list[Row]:
        """Series of a study with the versions of what they hold and what is kept of them, for an open viewing."""
        async with self._db.transaction(permit) as connection:
            return await store.described(connection, permits.current(permit), study_id, series_uid)

    async def keep_described(self, permit: Permit, kept: Sequence[Kept]) -> None:
        """Keep what was made ready. It is only for speed: what cannot be kept is made again."""
        with suppress(psycopg.Error):
            async with self._db.transaction(permit) as connection:
                for one in kept:
                    await store.keep_described(
                        connection, permits.current(permit), one.series_id, one.version, one.sealed
                    )

    async def decide_again(self, permit: Permit, study_uid: str) -> Permit:
        """A fresh permit for the same actor, action, study and purpose, or `PermitDenied`, or `StudyMisplaced`."""
        target = await self.target(permit.actor, study_uid)
        if permit.actor.tenant is None:
            target = await self.target_of(Actor(kind="system", tenant=permit.tenant), permit.target.id or ids.uuid7())
        if target.id is not None and target.subject_id is None:
            raise StudyMisplaced(target.id)
        target = replace(target, attributes=permit.target.attributes)  # such as the request that is carried out
        return await self._policy.require(permit.actor, permit.action, target, permit.purpose)

    async def record_opened(self, permit: Permit, study: StudySummary, recipient: str = "") -> UUID:
        """Write that a study is looked at further, under a fresh permit."""
        entry = telling.entry(permit, study, _OPENING[permit.action], recipient=recipient)
        return (await self._ledger.write(self._db, permit, [entry]))[0]

    async def record_closed(self, permit: Permit, study: StudySummary, counts: dict[str, int]) -> None:
        """Write what was seen. The audit key may be gone by now; then nobody is left to be told."""
        entry = telling.entry(permit, study, "archive:viewing:closed", counts)
        if self.keyring.is_alive(study.audit_key):
            await self._ledger.write(self._db, permit, [entry])

    async def record_broken(self, permit: Permit, study: StudySummary, instance_id: UUID, what: str) -> None:
        """Remember that an instance was read and is not what was stored. For open viewings."""
        row = {"id": instance_id, "study_id": study.id, "subject_id": study.origin_id, "audit_key": study.audit_key}
        async with self._db.transaction(permit) as connection:
            await self.upkeep.record_broken(connection, permit, row, what)

    # Restrict

    async def restrict_study(self, permit: Permit, study_id: UUID, is_restricted: bool, reason: str) -> bool:
        """Stop the use of a study at once, or allow it again; see `restricting.restrict`."""
        async with self._owners.watching(permit):
            return await restricting.restrict(
                self._db, self._ledger, self.keyring, permit, study_id, reason, is_restricted=is_restricted
            )

    # Correct

    async def correct(
        self,
        permit: Permit,
        study_id: UUID,
        values: Mapping[int, str],
        *,
        reason: Reason,
        source: str = "",
    ) -> Corrected:
        """Correct what every instance of a study says of the patient or the study, all of them or none.

        Each instance that says otherwise gets a new head with what it said before in its Original Attributes Sequence;
        pixels are not touched, the room of the old heads is given back. What comes later for the study is coerced to
        the same values. Where all of it is so already, nothing is written.

        Args:
            permit: To `rectify` the study or its subject.
            study_id: Our id of it.
            values: Text by tag, those of `archive.CORRECTABLE`; an empty one empties the attribute.
            reason: CORRECT for a mended mistake, COERCE where values are made to agree with a register.
            source: Where the previous values came from, at most 64 plain characters; goes into (0400,0564).

        Raises:
            StudyNotFound: There is no such study for this permit.
            CorrectionRefused: An attribute is not corrected, or cannot have the value.
            troth.dicom.CannotCorrect: An instance cannot hold the value; nothing was changed.
            StoredBytesBroken: An instance is not what was stored; nothing was changed.
            troth.kit.errors.Unavailable: Others were writing the study all the time; nothing was changed.

        Per: DICOM PS3.3 C.12.1.1.9, GDPR Art. 16.
        """
        async with self._owners.watching(permit):
            return await self._correcting.correct(permit, study_id, values, reason=reason, source=source)

    async def correctable(self, permit: Permit, study_id: UUID) -> Correctable:
        """A study for who is to correct it. The ledger holds that it was looked at before this returns.

        Args:
            permit: To `rectify` the study or its subject.
            study_id: Our id of it.

        Raises:
            StudyNotFound: There is no such study for this permit.
        """
        async with self._owners.watching(permit):
            return await self._correcting.correctable(permit, study_id)

    async def preview_correction(
        self, permit: Permit, seen: Correctable, values: Mapping[int, str], *, source: str = ""
    ) -> Correctable:
        """What a correction would change in how many instances; nothing is written.

        Args:
            permit: As for `correctable`.
            seen: What `correctable` gave; its entry covers this.
            values: As for `correct`.
            source: As for `correct`.

        Raises:
            StudyNotFound: There is no such study for this permit.
            CorrectionRefused: An attribute is not corrected, or cannot have the value.
            StoredBytesBroken: An instance is not what was stored.
        """
        async with self._owners.watching(permit):
            return await self._correcting.preview(permit, seen, values, source)

    async def correctable_studies(self, permit: Permit, subject_id: UUID) -> list[StudySummary]:
        """All studies of a subject, newest first, for who is to correct one. The ledger holds that they were read.

        Args:
            permit: To `rectify` the subject.
            subject_id: The subject.
        """
        return await self._correcting.studies(permit, subject_id)

    async def corrections(self, permit: Permit, study_id: UUID) -> list[PastCorrection]:
        """What was corrected of a study, the newest first. `correctable` has told the ledger before.

        Args:
            permit: To `rectify` the study or its subject.
            study_id: Our id of it.

        Raises:
            StudyNotFound: There is no such study for this permit.
        """
        async with self._owners.watching(permit):
            return await self._correcting.history(permit, study_id)

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
        async with self._owners.watching(permit):
            return await self._erasing.erase_study(permit, study_id)

    async def erase_subject(self, permit: Permit, subject_id: UUID) -> list[Erasure]:
        """Erase all studies that are held of a subject, then destroy the subject's own key; of merged ones, of all.

        The audit key stays: the access list has a retention of its own. Whether nothing else keeps the subject is
        for the caller to decide.

        Args:
            permit: For `erase`, on the subject.
            subject_id: The subject.

        Raises:
            troth.people.SubjectNotFound: Not there, in another organisation, or erased.
        """
        async with self._owners.watching(permit):
            return await self._erasing.erase_subject(permit, subject_id)

    async def erasure(self, permit: Permit, study_id: UUID) -> Erasure:
        """The facts of an erasure that is done, to be read again.

        Raises:
            StudyNotFound: It was not erased.
        """
        return await self._erasing.erasure(permit, study_id)

    async def resume_erasures(self, permit: Permit) -> int:
        """End erasures that were cut short, in the permit's organisation.

        Returns:
            How many there were.
        """
        return await self._erasing.resume_erasures(permit)

    async def replay_erasures(self, permit: Permit) -> int:
        """Take away studies whose keys are gone, as a backup brings them back: rows, tokens, bytes; with tombstones.

        Args:
            permit: To `administer` the organisation.

        Returns:
            How many there were.
        """
        return await self._erasing.replay_erasures(permit)
