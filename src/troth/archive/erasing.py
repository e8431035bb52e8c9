"""Erasing studies, and what is kept of it: tombstones, the ledger's entry, the facts of a certificate."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from uuid import UUID

from troth import policy
from troth.archive import intake, permits, store, summaries
from troth.archive.errors import StudyNotFound, WrongPermit
from troth.archive.keys import OrganisationKeys
from troth.archive.model import Erasure, Row
from troth.archive.quarantine.keeping import Keeping
from troth.kit import clock
from troth.kit.db import Connection, Database
from troth.ledger import Entry, Ledger
from troth.people import People, SubjectNotFound
from troth.policy import Clear, Permit, refs
from troth.vault import KeyDestroyed, KeyRef, Keyring, Packs

_PAGE = 500
#: Registers whose rows say what may not go, and whose it is.
_BARRING = ("legal_hold", "restriction", "subject_merge")
_COUNTS = ("series", "instances", "bytes", "tokens")


class Erasing:
    """Erases studies and subjects, to be begun again at any step.

    Args:
        db: The database.
        keyring: Destroys keys.
        packs: Gives back the room of bytes.
        people: Knows subjects.
        ledger: Is told.
        keys: Keys of organisations.
        quarantine: Ends what is kept apart of the same study or subject.
    """

    def __init__(
        self, db: Database, keyring: Keyring, packs: Packs, people: People, ledger: Ledger, keys: OrganisationKeys,
        quarantine: Keeping,
    ) -> None:  # fmt: skip
        self._db = db
        self._keyring = keyring
        self._packs = packs
        self._people = people
        self._ledger = ledger
        self._keys = keys
        self._quarantine = quarantine

    async def erase_study(self, permit: Permit, study_id: UUID) -> Erasure:
        """Erase a study; see `Archive.erase_study`."""
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
            apart: list[KeyRef] = []
            if work is None and row is not None:
                await self._ledger.require_whole(connection, *_BARRING)
                self._require_owner(row)
                apart = await self._begin(connection, permit, row)
        key = KeyRef((work or row or {})["key"])
        await asyncio.to_thread(self._keyring.destroy, [key, *apart])
        await self._quarantine.finish(permit)
        return await self._finish_erasure(permit, tenant, study_id)

    async def _finish_erasure(self, permit: Permit, tenant: UUID, study_id: UUID) -> Erasure:
        async with self._db.transaction(permit) as connection:
            work = await store.erasure(connection, tenant, study_id, lock=True)
            if work is None:
                raise StudyNotFound
            if work["state"] == "erasing":
                counts, locators = await store.remove_rows(connection, tenant, study_id)
                key = KeyRef(work["audit_key"])
                sealing = key if self._keyring.is_alive(key) else await self._keys.of(tenant)
                event_id = await self._ledger.append(connection, entry(permit, work, counts, sealing))
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
            await self._packs.free(work["locators"])
            async with self._db.transaction(permit) as connection:
                await store.end_erasure(connection, tenant, study_id)
        return erasure(work)

    async def erase_subject(self, permit: Permit, subject_id: UUID) -> list[Erasure]:
        """Erase all studies of a subject and the subject's key; see `Archive.erase_subject`."""
        tenant = permits.allowed(permit, "erase")
        if permit.target.subject_id != subject_id:
            raise WrongPermit
        key = await self._keys.of(tenant)
        async with self._db.transaction(permit) as connection:
            # Of merged subjects all go. Held until the studies are marked, so that no merge comes in between.
            kin = await self._people.kin_held(connection, subject_id)
            if subject_id not in {each.id for each in kin}:
                raise SubjectNotFound
            rows = [row for each in kin for row in await store.studies_of_subject(connection, tenant, each.id)]
            await self._ledger.require_whole(connection, *_BARRING)
            for row in rows:
                self._require_owner(row)
            apart = [ref for row in rows for ref in await self._begin(connection, permit, row)]
            for each in kin:
                token = intake.patient_token(self._keyring, key, each.patient)
                apart += await self._quarantine.end_of_patient(connection, permit, token)
            await self._people.forget_likeness(connection, [each.id for each in kin])
        # All keys with one write, before the slow part: unreadable at once, however many studies there are.
        await asyncio.to_thread(
            self._keyring.destroy, [*(KeyRef(row["key"]) for row in rows), *apart, *(each.key for each in kin)]
        )
        await self._quarantine.finish(permit)
        return [await self._finish_erasure(permit, tenant, row["id"]) for row in rows]

    async def erasure(self, permit: Permit, study_id: UUID) -> Erasure:
        """The facts of an erasure that is done; see `Archive.erasure`."""
        async with self._db.transaction(permit) as connection:
            work = await store.erasure(connection, permits.current(permit), study_id)
        if work is None or work["state"] == "erasing" or permit.target.subject_id not in (None, work["subject_id"]):
            raise StudyNotFound
        return erasure(work)

    async def resume_erasures(self, permit: Permit) -> int:
        """End erasures that were cut short; see `Archive.resume_erasures`."""
        tenant = permits.allowed(permit, "erase", "administer")  # whoever began it was allowed to
        async with self._db.transaction(permit) as connection:
            study_ids = await store.unfinished_erasures(connection, tenant)
            keys = [await store.erasure(connection, tenant, study_id) for study_id in study_ids]
        await asyncio.to_thread(self._keyring.destroy, [KeyRef(work["key"]) for work in keys if work is not None])
        await self._quarantine.finish(permit)
        for study_id in study_ids:
            await self._finish_erasure(permit, tenant, study_id)
        return len(study_ids)

    async def replay_erasures(self, permit: Permit) -> int:
        """Take away studies whose keys are gone; see `Archive.replay_erasures`."""
        tenant = permits.allowed(permit, "administer")
        after: UUID | None = None
        count = 0
        while True:
            async with self._db.transaction(permit) as connection:
                rows = await store.studies_after(connection, tenant, after, limit=_PAGE)
                gone = [row for row in rows if self._keyring.is_gone(KeyRef(row["key"]))]
                for row in gone:
                    await self._begin(connection, permit, row)
            for row in gone:
                await self._finish_erasure(permit, tenant, row["id"])
            count += len(gone)
            if len(rows) < _PAGE:
                await self._quarantine.end_lost(permit)
                return count
            after = rows[-1]["id"]

    def _require_owner(self, row: Row) -> None:
        """What is another patient's than its row says is not erased for this one; one that is gone already may go."""
        with suppress(KeyDestroyed):
            summaries.require_owner(self._keyring, row)

    async def _begin(self, connection: Connection, permit: Permit, row: Row) -> list[KeyRef]:
        """Bar the study from coming back, and take it out of every answer.

        Returns:
            Keys of what was kept apart and ends with it; to be destroyed with the study's own.
        """
        tenant = permits.current(permit)
        digests = await self._tombstones(tenant, row)
        await store.begin_erasure(connection, tenant, row, digests, clock.now())
        return await self._quarantine.end_of_study(connection, permit, row)

    async def _tombstones(self, tenant: UUID, row: Row) -> set[bytes]:
        """Under the patient's key as it is sent and as it was corrected."""
        key = await self._keys.of(tenant)
        known: list[Mapping[int, str]] = []
        with suppress(KeyDestroyed):  # its subject was erased before it: the study UID alone must do
            known = [summaries.study_summary(self._keyring, row).values, summaries.standing_of(self._keyring, row).sent]
        study_uid = row["study_uid"]
        return {digest for values in known or [{}] for digest in tombstones(self._keyring, key, study_uid, values)}


def tombstones(
    keyring: Keyring, organisation_key: KeyRef, study_uid: str, values: Mapping[int, str]
) -> tuple[bytes, bytes]:
    """Digests that bar a study from coming back, made while its attributes can still be read.

    Args:
        keyring: The keyring.
        organisation_key: The tenant's key.
        study_uid: StudyInstanceUID.
        values: Attributes of the study.
    """
    return intake.tombstones(keyring, organisation_key, study_uid, intake.patient_key(study_uid, values))


def entry(permit: Permit, work: Row, counts: Mapping[str, int], key: KeyRef) -> Entry:
    """What the ledger is told.

    Args:
        permit: What allowed it.
        work: The erasure.
        counts: What went.
        key: The subject's audit key, or where that is gone the organisation's.
    """
    asked = dict(permit.target.attributes).get("request", "")
    return policy.entry(
        permit,
        "archive:study:erased",
        key=key,
        subject_id=work["origin_id"],
        study_id=work["study_id"],
        counts={name: counts[name] for name in _COUNTS},
        clear=Clear(
            refs=refs(request=UUID(asked) if asked else None), says={"ground": "request" if asked else "other"}
        ),
    )


def erasure(work: Row) -> Erasure:
    """The facts of an erasure that is done."""
    return Erasure(
        study_id=work["study_id"],
        subject_id=work["subject_id"],
        state="erased",
        counts=dict(work["counts"]),
        keys=(bytes(work["key"]).hex(),),
        started_at=work["started_at"],
        erased_at=work["erased_at"],
        event_id=work["event_id"],
    )
