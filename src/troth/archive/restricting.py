"""Restriction of a study (GDPR Art. 18): the archive's own mark, which decisions and searches read."""

from __future__ import annotations

from uuid import UUID

from troth.archive import permits, store, summaries, telling
from troth.archive.errors import StudyNotFound
from troth.kit.db import Database
from troth.ledger import Ledger
from troth.policy import Permit
from troth.vault import Keyring


async def restrict(
    db: Database, ledger: Ledger, keyring: Keyring, permit: Permit, study_id: UUID, reason: str, *, is_restricted: bool
) -> bool:
    """Stop the use of a study at once, or allow it again: open viewings end, searches pass it by.

    Args:
        db: The database.
        ledger: Is told in the same transaction.
        keyring: Opens what the entry says about the study.
        permit: To `restrict` the study or its subject.
        study_id: Our id of it.
        reason: What was said; sealed.
        is_restricted: Whether it is restricted from now on.

    Returns:
        Whether this changed anything.

    Raises:
        StudyNotFound: There is no such study for this permit.
        StudyMisplaced: It is not owned by whom its row names.
    """
    tenant = permits.allowed(permit, "restrict")
    async with db.transaction(permit) as connection:
        row = await store.study_by_id(connection, tenant, study_id, lock=True)
        is_meant = row is not None and permit.target.subject_id in (None, row["subject_id"])
        if row is None or not is_meant or (permit.target.kind == "study" and permit.target.id != study_id):
            raise StudyNotFound
        summaries.require_owner(keyring, row)
        changed = await store.mark_restricted(connection, tenant, study_id, is_restricted=is_restricted)
        if changed:
            study = summaries.study_summary(keyring, row)
            entry = telling.restricted(permit, study, reason, is_restricted=is_restricted)
            await ledger.append(connection, entry)
    return changed
