"""Corrects what all instances of a study say of the patient and the study (GDPR Art. 16), and remembers what it was.

New heads are written and made durable first; then one transaction gives every instance its new head, the study its new
attributes and tokens, and the ledger its entry: whoever reads sees all of it or nothing. A study to which something was
added meanwhile is looked at again. Then the room of the old heads is given back, for they say what was wrong.

What comes later is coerced to the same values by intake (`storing`): the study carries its standing correction.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID

from troth.archive import attributes as tags
from troth.archive import correctable, correcting_store, intake, permits, sealing, searching, store, summaries, telling
from troth.archive.coercing import Change, Reason, Standing
from troth.archive.errors import StoredBytesBroken, StudyNotFound
from troth.archive.keys import OrganisationKeys
from troth.archive.matching import parsed_day
from troth.archive.model import (
    NO_DATE,
    Correctable,
    Corrected,
    Found,
    Page,
    PastCorrection,
    Query,
    Row,
    StudySummary,
)
from troth.archive.owners import Owners
from troth.archive.releasing import Releasing
from troth.archive.rewriting import Rewriting
from troth.kit import clock, ids
from troth.kit.db import Connection, Database
from troth.kit.errors import TrothError, Unavailable
from troth.ledger import Ledger
from troth.people import People
from troth.policy import Permit
from troth.vault import KeyDestroyed, KeyRef, Keyring, Packs, SealBroken

_ROUNDS: Final = 6
_WHOSE: Final = frozenset({tags.PATIENT_ID, tags.ISSUER})


class Correcting:
    """Corrects studies, and tells what was corrected.

    Args:
        db: The database.
        keyring: Opens and seals.
        packs: Where heads are.
        people: Knows what a subject is called.
        ledger: Is told in the same transaction.
        keys: Keys of organisations.
        releasing: Gives back the room of old heads.
        owners: Leave out of lists what is misplaced.
    """

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        packs: Packs,
        people: People,
        ledger: Ledger,
        keys: OrganisationKeys,
        releasing: Releasing,
        owners: Owners,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._packs = packs
        self._people = people
        self._ledger = ledger
        self._keys = keys
        self._releasing = releasing
        self._owners = owners

    async def correct(
        self, permit: Permit, study_id: UUID, values: Mapping[int, str], *, reason: Reason, source: str = ""
    ) -> Corrected:
        """Correct a study; see `Archive.correct`."""
        tenant = permits.allowed(permit, "rectify")
        change = Change(correctable.checked(values), clock.now(), reason, correctable.checked_source(source))
        work = Rewriting(self._keyring, self._packs, change)
        try:
            with _readable():
                corrected = await self._in_rounds(permit, tenant, study_id, work)
        except TrothError:
            # Not after any other fault: when the connection ends at a commit nobody knows whether rows name the new
            # heads. What nobody names is swept.
            await self._packs.free(work.written())
            raise
        await self._packs.free(work.written())  # what was made for heads that were not there any more
        if corrected.id is not None:
            await self._releasing.release(permit, corrected.id)
        return corrected

    async def correctable(self, permit: Permit, study_id: UUID) -> Correctable:
        """A study for who is to correct it; see `Archive.correctable`."""
        permits.allowed(permit, "rectify")
        async with self._db.transaction(permit) as connection:
            row = await self._study(connection, permit, study_id)
            with _readable():
                study = summaries.study_summary(self._keyring, row)
            await self._ledger.append(connection, telling.entry(permit, study, "archive:study:opened"))
        return Correctable(study, 0, study.instance_count)

    async def preview(self, permit: Permit, seen: Correctable, values: Mapping[int, str], source: str) -> Correctable:
        """What a correction would change; see `Archive.preview_correction`."""
        tenant, study_id = permits.allowed(permit, "rectify"), seen.study.id
        correctable.checked_source(source)
        work = Rewriting(self._keyring, self._packs, Change(correctable.checked(values), clock.now(), "CORRECT"))
        async with self._db.transaction(permit) as connection:
            row = await self._study(connection, permit, study_id)
            rows = await store.instances_of(connection, tenant, study_id)
        with _readable():
            await work.look(KeyRef(row["key"]), rows)
        return Correctable(seen.study, work.differing(rows), len(rows), work.before(rows))

    async def history(self, permit: Permit, study_id: UUID) -> list[PastCorrection]:
        """What was corrected before; see `Archive.corrections`."""
        tenant = permits.allowed(permit, "rectify")
        async with self._db.transaction(permit) as connection:
            row = await self._study(connection, permit, study_id)
            rows = await correcting_store.of_study(connection, tenant, study_id)
        with _readable():
            return [self._past(KeyRef(row["key"]), one) for one in rows]

    async def studies(self, permit: Permit, subject_id: UUID) -> list[StudySummary]:
        """Studies of a subject that could be corrected; see `Archive.correctable_studies`."""
        tenant = permits.allowed(permit, "rectify")
        if permit.target.subject_id != subject_id:
            raise StudyNotFound
        async with self._db.transaction(permit) as connection:
            rows = await store.studies_of_subject(connection, tenant, subject_id)
            found = await self._owners.readable(permit, rows)
            page = Page(tuple(Found("study", study) for study in found), is_more=False)
            entries = telling.queried(permit, Query(), page, await self._keys.of(tenant))
            await self._ledger.append_many(connection, entries)
        return found

    async def _in_rounds(self, permit: Permit, tenant: UUID, study_id: UUID, work: Rewriting) -> Corrected:
        """Prepare and write, until nothing came in between; at last the study is held still for it."""
        for left in reversed(range(_ROUNDS)):
            async with self._db.transaction(permit) as connection:
                row = await self._study(connection, permit, study_id)
                rows = await store.instances_of(connection, tenant, study_id)
            try:
                await work.prepare(KeyRef(row["key"]), rows)
                await self._packs.sync()
                corrected = await self._write(permit, tenant, study_id, work, is_last=not left)
            except (SealBroken, StoredBytesBroken):
                if not left:
                    raise
                continue  # perhaps others corrected it while we read
            if corrected is not None:
                return corrected
        raise Unavailable("Others were writing the same study; nothing was corrected.")

    async def _write(
        self, permit: Permit, tenant: UUID, study_id: UUID, work: Rewriting, *, is_last: bool
    ) -> Corrected | None:
        """Swap everything in one transaction; None where instances are there that nothing is prepared for."""
        async with self._db.transaction(permit) as connection:
            row = await self._study(connection, permit, study_id, lock=True)
            rows = await store.instances_of(connection, tenant, study_id)
            if work.missing(rows):
                if not is_last:
                    return None
                await work.prepare(KeyRef(row["key"]), rows)
                await self._packs.sync()
            swaps = work.swaps(rows)
            values = sealing.open_values(self._keyring, row["key"], "study", study_id, row["sealed"])
            new = {**values, **work.change.values}
            if not swaps and {tag: text for tag, text in new.items() if text} == values:
                return Corrected(None, study_id, 0, len(rows))
            correction_id = ids.uuid7()
            if await correcting_store.swap(connection, tenant, swaps) != len(swaps):
                raise Unavailable("An instance changed while its study was held still; nothing was corrected.")
            await self._put_study(connection, tenant, row, new, work, sum(swap.length_change for swap in swaps))
            await correcting_store.forget_described(connection, tenant, study_id)
            await correcting_store.insert(
                connection,
                tenant,
                {
                    "id": correction_id,
                    "study_id": study_id,
                    "made_at": work.change.at,
                    "instances": len(swaps),
                    "sealed": self._told(permit, KeyRef(row["key"]), correction_id, work, rows),
                    "locators": [locator for swap in swaps for locator in swap.old],
                },
            )
            if not work.change.values.keys() & _WHOSE:
                await self._people.put_right(
                    connection, row["origin_id"], intake.demographics(values), intake.demographics(new)
                )
            study = await self._summary(connection, tenant, study_id)
            entry = telling.corrected(permit, study, work.change, len(swaps))
            event_id = await self._ledger.append(connection, entry)
        work.keep(swaps)
        return Corrected(correction_id, study_id, len(swaps), len(rows), event_id)

    async def _put_study(
        self,
        connection: Connection,
        tenant: UUID,
        row: Row,
        new: Mapping[int, str],
        work: Rewriting,
        length_change: int,
    ) -> None:
        key, study_id = KeyRef(row["key"]), row["id"]
        organisation_key = await self._keys.of(tenant)
        tokenise = partial(self._keyring.token, organisation_key)
        standing = summaries.standing_of(self._keyring, row)
        standing = Standing({**standing.values, **work.change.values}, standing.sent)
        patient = intake.patient_key(row["study_uid"], new)
        key_token = intake.patient_token(self._keyring, organisation_key, patient)
        held_on = parsed_day(new.get(tags.STUDY_DATE, "")) or NO_DATE
        kept = {tag: text for tag, text in new.items() if text}
        await correcting_store.put_study(
            connection,
            tenant,
            study_id,
            {
                "sealed": sealing.seal_values(self._keyring, key, "study", study_id, kept),
                "standing_sealed": sealing.seal_plain(self._keyring, key, "standing", study_id, standing.to_bytes()),
                "study_date": held_on,
                "corrected_key_token": None if key_token == row["patient_key_token"] else key_token,
                "length_change": length_change,
                "at": work.change.at,
                **searching.equality_tokens(kept, tokenise),
            },
        )
        terms = searching.terms_of_study(kept) | {searching.modality_term(one) for one in row["modalities"]}
        tokens = await asyncio.to_thread(lambda: sorted({tokenise(*term) for term in terms}))
        await correcting_store.put_tokens(connection, tenant, study_id, held_on, tokens)

    async def _study(self, connection: Connection, permit: Permit, study_id: UUID, *, lock: bool = False) -> Row:
        """A study that is held and that the permit is for.

        Raises:
            StudyNotFound: There is no such study for this permit.
            StudyMisplaced: It is not owned by whom its row names.
        """
        row = await store.study_by_id(connection, permits.current(permit), study_id, lock=lock)
        is_meant = row is not None and row["state"] == "held" and permit.target.subject_id in (None, row["subject_id"])
        if row is None or not is_meant or (permit.target.kind == "study" and permit.target.id != study_id):
            raise StudyNotFound
        with _readable():
            summaries.require_owner(self._keyring, row)
        return row

    async def _summary(self, connection: Connection, tenant: UUID, study_id: UUID) -> StudySummary:
        row = await store.study_by_id(connection, tenant, study_id)
        if row is None:
            raise StudyNotFound
        return summaries.study_summary(self._keyring, row)

    def _told(self, permit: Permit, key: KeyRef, correction_id: UUID, work: Rewriting, rows: Sequence[Row]) -> bytes:
        """What the study's history keeps of a correction. It ends with the study's key, as the names in it must."""
        said: dict[str, Any] = {
            "by": permit.actor.name,
            "reason": work.change.reason,
            "source": work.change.source,
            "values": {f"{tag:08X}": text for tag, text in work.change.values.items()},
            "before": {f"{tag:08X}": list(said) for tag, said in work.before(rows).items()},
        }
        plain = json.dumps(said, ensure_ascii=False).encode("utf-8", "surrogatepass")
        return sealing.seal_plain(self._keyring, key, "correction", correction_id, plain)

    def _past(self, key: KeyRef, row: Row) -> PastCorrection:
        said = json.loads(sealing.open_plain(self._keyring, key, "correction", row["id"], row["sealed"]))
        return PastCorrection(
            made_at=row["made_at"],
            instances=row["instances"],
            reason=said["reason"],
            by=said["by"],
            source=said["source"],
            values={int(tag, 16): text for tag, text in said["values"].items()},
            before={int(tag, 16): tuple(texts) for tag, texts in said["before"].items()},
        )


@contextmanager
def _readable() -> Iterator[None]:
    """What cannot be read any more was erased meanwhile, or is broken."""
    try:
        yield
    except KeyDestroyed:
        raise StudyNotFound from None
    except SealBroken:
        raise StoredBytesBroken from None
