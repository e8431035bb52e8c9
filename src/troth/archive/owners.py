"""The question before each opening: does the study belong to whom its row names? What does not opens for nobody."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from troth import people, policy
from troth.archive import summaries
from troth.archive.errors import StudyMisplaced
from troth.archive.model import Row, StudySummary
from troth.kit import clock
from troth.kit.db import Database, HasTenant
from troth.ledger import Ledger
from troth.policy import Actor
from troth.vault import KeyDestroyed, Keyring

_TOLD_AGAIN: Final = timedelta(hours=1)
_MOST_REMEMBERED: Final = 1024
_logger = logging.getLogger(__name__)


def is_misplaced(keyring: Keyring, row: Row) -> bool:
    """Whether a study is there, and not owned by whom its row names."""
    try:
        return not people.is_owned(keyring, row)
    except KeyDestroyed:
        return False


class Owners:
    """Leaves out of lists what is misplaced, and raises the alarm: a line in the log, an entry in the ledger.

    Args:
        db: The database.
        keyring: Authenticates whose key a study's is.
        ledger: Is told, in a transaction of its own: the one that met the study is undone.
    """

    def __init__(self, db: Database, keyring: Keyring, ledger: Ledger) -> None:
        self._db = db
        self._keyring = keyring
        self._ledger = ledger
        self._told: dict[UUID, datetime] = {}

    async def readable(self, scope: HasTenant, rows: Sequence[Row]) -> list[StudySummary]:
        """Those studies that are neither erased nor misplaced.

        Args:
            scope: Whose space.
            rows: Rows of the study table.
        """
        found: list[StudySummary] = []
        for row in rows:
            try:
                found.append(summaries.study_summary(self._keyring, row))
            except KeyDestroyed:
                continue
            except StudyMisplaced as fault:
                await self.tell(scope, fault.study_id)
        return found

    @asynccontextmanager
    async def watching(self, scope: HasTenant) -> AsyncIterator[None]:
        """Raise the alarm when what is done within meets a misplaced study. Enter it before the transaction."""
        try:
            yield
        except StudyMisplaced as fault:
            await self.tell(scope, fault.study_id)
            raise

    async def tell(self, scope: HasTenant, study_id: UUID) -> None:
        """Raise the alarm about one study; again after an hour at the earliest."""
        now = clock.now()
        if (
            scope.tenant is None
            or now - self._told.get(study_id, datetime.min.replace(tzinfo=now.tzinfo)) < _TOLD_AGAIN
        ):
            return
        if len(self._told) >= _MOST_REMEMBERED:
            self._told.clear()
        self._told[study_id] = now
        _logger.error("a study is filed under another patient than its own and was not opened: %s", study_id)
        # No subject: whose it is, is what its row cannot say. And no person: they only met it.
        system = Actor("system", tenant=scope.tenant)
        entry = policy.act(system, "archive:study:found_misplaced", "security", study_id=study_id, outcome="refused")
        await self._ledger.write(self._db, scope, [entry])
