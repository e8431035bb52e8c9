"""Rows of the archive that were changed past the platform: studies filed under another patient, images that are gone.

A study's owner is asked of the keyring, as at each opening. How many images a study has is held against what the ledger
says came in for it: every one that was ever stored is counted in an entry, and none leaves but with its study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from troth.archive import intake, owners, store, tampering_store
from troth.archive.keys import OrganisationKeys
from troth.archive.quarantine import store as marks_store
from troth.kit.db import Database, Space
from troth.ledger import AlteredRow
from troth.vault import KeyRef, Keyring

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found in an organisation.

    Attributes:
        altered: Studies that are not what was written.
        erased: How many studies were erased.
        returned: What of them is back, in whatever way it came: a study under its mark, a key; or a mark is gone.
    """

    altered: Sequence[AlteredRow]
    erased: int
    returned: Sequence[AlteredRow]


class Tampering:
    """Looks through the studies of an organisation.

    Args:
        db: The database.
        keyring: Authenticates whose key a study's is.
        keys: Keys of organisations, under which the marks of what was erased are made.
    """

    def __init__(self, db: Database, keyring: Keyring, keys: OrganisationKeys) -> None:
        self._db = db
        self._keyring = keyring
        self._keys = keys

    async def found(self, tenant: UUID) -> Looked:
        """Look through all that is held, once: for each study that was changed, and for what was erased and is back.

        Args:
            tenant: The organisation.
        """
        key = await self._keys.of(tenant)
        altered: list[AlteredRow] = []
        returned: list[AlteredRow] = []
        after: UUID | None = None
        while True:
            async with self._db.transaction(Space(tenant)) as connection:
                rows = await store.studies_after(connection, tenant, after, limit=_PAGE)
                marks = {row["id"]: intake.mark(self._keyring, key, row["study_uid"]) for row in rows}
                barred = await marks_store.barred(connection, tenant, list(marks.values()))
            for row in rows:
                if owners.is_misplaced(self._keyring, row):
                    altered.append(
                        AlteredRow("study", str(row["id"]), "filed under another patient than its own", tenant)
                    )
                if marks[row["id"]] in barred:
                    returned.append(
                        AlteredRow("study", str(row["id"]), "bears the mark of a study that was erased", tenant)
                    )
            if len(rows) < _PAGE:
                break
            after = rows[-1]["id"]
        async with self._db.transaction(Space(tenant)) as connection:
            miscounted = await tampering_store.miscounted(connection, tenant)
            erasures = await tampering_store.erasures(connection, tenant)
            told, kept = await tampering_store.erased_marks(connection, tenant)
        for row in miscounted:
            what = f"{row['held']} images are held, and the ledger says that {row['told']} came in"
            altered.append(AlteredRow("instance", str(row["id"]), what, tenant))
        returned += [
            AlteredRow("erasure", str(row["study_id"]), "is erased, and its key is alive", tenant)
            for row in erasures
            if self._keyring.is_alive(KeyRef(row["key"]))
        ]
        if told > len(erasures) or kept < 2 * len(erasures):
            what = f"{told} studies were erased; {len(erasures)} are known as erased, with {kept} marks"
            returned.append(AlteredRow("tombstone", str(tenant), what, tenant))
        return Looked(altered, len(erasures), returned)
