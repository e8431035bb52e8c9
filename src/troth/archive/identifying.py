"""Writes the identity that stays into the images of a merged subject, and their own back: corrections, one by one.

Each study is corrected by itself, with what it said kept in its Original Attributes Sequence, and what is left is seen
from what the studies say: so it may be cut short at any time and gone on with.

Per: DICOM PS3.3 C.12.1.1.9 (COERCE), IHE RAD TF-2 4.12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from troth.archive import attributes as tags
from troth.archive import permits, store
from troth.archive.correcting import Correcting
from troth.archive.model import StudySummary
from troth.archive.owners import Owners
from troth.kit.db import Connection, Database
from troth.people import Merge, People, Subject
from troth.policy import Permit, Policy
from troth.vault import Keyring

MOST_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True)
class Written:
    """How far the images of a merged subject say the identity that stays.

    Attributes:
        surviving: Studies that say it.
        total: Studies that came with the merged identifier.
    """

    surviving: int
    total: int


class Identifying:
    """Writes identities into the images of merges.

    Args:
        db: The database.
        keyring: Opens what studies say.
        people: Knows subjects.
        policy: Decides about each study.
        correcting: Corrects it.
        owners: Leave out what is misplaced.
    """

    def __init__(
        self, db: Database, keyring: Keyring, people: People, policy: Policy, correcting: Correcting,
        owners: Owners,
    ) -> None:  # fmt: skip
        self._db = db
        self._keyring = keyring
        self._people = people
        self._policy = policy
        self._correcting = correcting
        self._owners = owners

    async def written(self, permit: Permit, held: Merge) -> Written:
        """How far it is.

        Args:
            permit: To `merge` in the organisation.
            held: The merge.
        """
        permits.allowed(permit, "merge")
        surviving = await self._people.subject(permit, held.surviving_id)
        async with self._db.transaction(permit) as connection:
            studies = await self._studies(connection, permit, held.subject_id)
        return Written(sum(_says(study, surviving) for study in studies), len(studies))

    async def write(self, permit: Permit, held: Merge, *, is_back: bool = False, most: int = MOST_AT_ONCE) -> int:
        """Write into the next studies of a merge the identity that stays, or their own back.

        Args:
            permit: To `merge` in the organisation; of whoever may also `rectify` each study for the same purpose.
            held: The merge, which stands.
            is_back: Write their own.
            most: Most studies at once.

        Returns:
            How many studies were written.

        Raises:
            PermitDenied: A study may not be corrected; those before it are.
            CorrectionRefused: An identity cannot be written into images.
        """
        permits.allowed(permit, "merge")
        wanted = await self._people.subject(permit, held.subject_id if is_back else held.surviving_id)
        async with self._db.transaction(permit) as connection:
            studies = await self._studies(connection, permit, held.subject_id)
        left = [study for study in studies if not _says(study, wanted)][:most]
        for study in left:
            async with self._db.transaction(permit) as connection:
                row = await store.study_by_id(connection, permits.current(permit), study.id)
            if row is None or row["state"] != "held":
                continue  # erased meanwhile
            narrow = await self._policy.require(permit.actor, "rectify", permits.target(row), permit.purpose)
            await self._correcting.correct(narrow, study.id, _identity(wanted), reason="COERCE")
        return len(left)

    async def hinders_merging(self, connection: Connection, both: tuple[UUID, UUID], since: datetime | None) -> str:
        """Images that say the identity that stays would be given back with another's name on them."""
        if since is None:
            return ""
        merged, surviving = await self._people.both_held(connection, *both)
        rows = await store.studies_of_subject(connection, merged.tenant, merged.id, own=True)
        # Moved in this very transaction, whose merge is not ended yet: the rows do not fit it for this moment.
        found = await self._owners.readable(merged, [{**row, "is_with_owner": True} for row in rows])
        if any(_says(study, surviving) for study in found):
            return "Images of the merged number say the number that stays; write their own back first"
        return ""

    async def _studies(self, connection: Connection, permit: Permit, origin_id: UUID) -> list[StudySummary]:
        rows = await store.studies_of_subject(connection, permits.current(permit), origin_id, own=True)
        return await self._owners.readable(permit, rows)


def _says(study: StudySummary, subject: Subject) -> bool:
    """Whether a study says the identifier of a subject."""
    said = study.values.get(tags.PATIENT_ID, "").strip(), study.values.get(tags.ISSUER, "").strip()
    return said == (subject.patient.patient_id, subject.patient.issuer)


def _identity(subject: Subject) -> Mapping[int, str]:
    """What images say of a subject. What is not known of it is left as it is."""
    known = subject.demographics
    born = known.birth_date
    described = {
        tags.PATIENT_NAME: known.name,
        tags.BIRTH_DATE: f"{born:%Y%m%d}" if born is not None else "",
        tags.SEX: known.sex,
    }
    identifier = {tags.PATIENT_ID: subject.patient.patient_id, tags.ISSUER: subject.patient.issuer}
    return identifier | {tag: text for tag, text in described.items() if text}
