"""Rows of the archive that were changed past the platform: studies filed under another patient, images that are gone.

A study's owner is asked of the keyring, as at each opening. How many images a study has is held against what the ledger
says came in for it: every one that was ever stored is counted in an entry, and none leaves but with its study.
"""

from __future__ import annotations

from uuid import UUID

from troth.archive import owners, store, tampering_store
from troth.kit.db import Database, Space
from troth.ledger import AlteredRow
from troth.vault import Keyring

_PAGE = 500


class Tampering:
    """Looks through the studies of an organisation.

    Args:
        db: The database.
        keyring: Authenticates whose key a study's is.
    """

    def __init__(self, db: Database, keyring: Keyring) -> None:
        self._db = db
        self._keyring = keyring

    async def found(self, tenant: UUID) -> list[AlteredRow]:
        """Studies that are not what was written.

        Args:
            tenant: The organisation.
        """
        found: list[AlteredRow] = []
        after: UUID | None = None
        while True:
            async with self._db.transaction(Space(tenant)) as connection:
                rows = await store.studies_after(connection, tenant, after, limit=_PAGE)
            found += [
                AlteredRow("study", str(row["id"]), "filed under another patient than its own", tenant)
                for row in rows
                if owners.is_misplaced(self._keyring, row)
            ]
            if len(rows) < _PAGE:
                break
            after = rows[-1]["id"]
        async with self._db.transaction(Space(tenant)) as connection:
            for row in await tampering_store.miscounted(connection, tenant):
                what = f"{row['held']} images are held, and the ledger says that {row['told']} came in"
                found.append(AlteredRow("instance", str(row["id"]), what, tenant))
        return found
