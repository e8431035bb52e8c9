"""This node in figures: disk, database, the last backup, what the worker has not done yet, version."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Database, Space
from troth.proofs import store


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """What was counted just now.

    Attributes:
        free_bytes: Of the disk of the data folder.
        disk_bytes: All of it.
        database_bytes: All that the database holds.
        backed_up_at: When the last backup was made; None where there is none.
        verified_at: When that was checked; None where it was not.
        follows: The folders of every backup are reachable, so that what is erased is erased there too.
        waiting: Requests of the organisation that the worker should have taken up already.
        oldest_at: Since when the first of them waits.
        version: Of the program.
    """

    free_bytes: int
    disk_bytes: int
    database_bytes: int
    backed_up_at: datetime | None
    verified_at: datetime | None
    follows: bool
    waiting: int
    oldest_at: datetime | None
    version: str


async def node_figures(database: Database, data_dir: Path, tenant: UUID) -> NodeFigures:
    """Count them.

    Args:
        database: As `troth_app`.
        data_dir: Folder of the deployment.
        tenant: Whose requests are counted.
    """
    async with database.transaction(None) as connection:
        size = await store.database_bytes(connection)
        backup = await store.last_backup(connection)
        places = await store.backup_places(connection)
    async with database.transaction(Space(tenant)) as connection:
        waiting, oldest = await store.overdue_work(connection, clock.now())
    disk = await asyncio.to_thread(shutil.disk_usage, data_dir)
    reached = await asyncio.to_thread(lambda: all(Path(each).is_dir() for each in places))
    return NodeFigures(
        disk.free, disk.total, size, backup["made_at"] if backup else None, backup["verified_at"] if backup else None,
        reached, waiting, oldest, version("troth"),
    )  # fmt: skip
