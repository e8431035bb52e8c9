"""SQL of merging: whose studies are."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from troth.kit.db import Connection


async def move(connection: Connection, tenant: UUID, origin_id: UUID, subject_id: UUID) -> int:
    """Let all studies of one identifier be a subject's; what is being erased is not touched.

    Returns:
        How many there are.
    """
    cursor = await connection.execute(
        "update study set surviving_id = %s where tenant = %s and subject_id = %s and state = 'held'",
        (subject_id, tenant, origin_id),
    )
    return cursor.rowcount


async def is_erasing(connection: Connection, tenant: UUID, subject_ids: Sequence[UUID]) -> bool:
    """Whether a study of one of these subjects is being erased."""
    cursor = await connection.execute(
        "select 1 from erasure where tenant = %s and (subject_id = any(%s) or surviving_id = any(%s))"
        " and state <> 'erased' limit 1",
        (tenant, list(subject_ids), list(subject_ids)),
    )
    return await cursor.fetchone() is not None
