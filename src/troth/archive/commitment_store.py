"""SQL of storage commitments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from troth.archive.model import Row
from troth.kit.db import Connection

_COLUMNS = "id, tenant, peer_id, transaction_uid, called_ae, sop_classes, instance_uids, tries, asked_at"


async def ask(connection: Connection, values: Mapping[str, Any]) -> UUID:
    """Keep what a peer asked for; the same transaction asked for again takes the place of the first."""
    cursor = await connection.execute(
        "insert into commitment (tenant, id, peer_id, transaction_uid, called_ae, sop_classes, instance_uids, asked_at,"
        " next_at) values (%(tenant)s, %(id)s, %(peer_id)s, %(transaction_uid)s, %(called_ae)s, %(sop_classes)s,"
        " %(instance_uids)s, %(asked_at)s, %(next_at)s) on conflict (tenant, peer_id, transaction_uid) do update set"
        " called_ae = excluded.called_ae, sop_classes = excluded.sop_classes, instance_uids = excluded.instance_uids,"
        " state = 'asked', tries = 0, asked_at = excluded.asked_at, next_at = excluded.next_at, told_at = null"
        " returning id",
        dict(values),
    )
    (row,) = await cursor.fetchall()
    found: UUID = row["id"]
    return found


async def take_due(connection: Connection, tenant: UUID, now: datetime, next_at: datetime, limit: int) -> list[Row]:
    """Commitments whose answer is due; nobody else takes them before `next_at`."""
    cursor = await connection.execute(
        f"update commitment set tries = tries + 1, next_at = %s where tenant = %s and id in ("  # noqa: S608
        "select id from commitment where tenant = %s and state = 'asked' and next_at <= %s"
        f" order by next_at limit %s for update skip locked) returning {_COLUMNS}",
        (next_at, tenant, tenant, now, limit),
    )
    return list(await cursor.fetchall())


async def put_off(connection: Connection, tenant: UUID, commitment_id: UUID, next_at: datetime) -> None:
    """The peer could not be told; try again then."""
    await connection.execute(
        "update commitment set next_at = %s where tenant = %s and id = %s and state = 'asked'",
        (next_at, tenant, commitment_id),
    )


async def end(connection: Connection, tenant: UUID, commitment_id: UUID, state: str, at: datetime) -> None:
    """It is answered, or given up."""
    await connection.execute(
        "update commitment set state = %s, told_at = %s where tenant = %s and id = %s",
        (state, at, tenant, commitment_id),
    )


async def prune(connection: Connection, tenant: UUID, before: datetime) -> None:
    """Forget what was asked long ago and has an end."""
    await connection.execute(
        "delete from commitment where tenant = %s and state <> 'asked' and asked_at < %s", (tenant, before)
    )


async def instances_by_uid(connection: Connection, tenant: UUID, instance_uids: Sequence[str]) -> list[Row]:
    """Instances of the tenant by their UIDs, with the key of their study."""
    cursor = await connection.execute(
        "select i.id, r.series_uid, i.instance_uid, i.sop_class, i.syntax, i.number, i.rows, i.columns, i.frames,"
        " i.head_locator, i.head_bytes, i.bulk_locator, i.bulk_bytes, i.bulk_tag, i.bulk_vr, i.bulk_length,"
        " i.frame_table, i.sealed, s.key as study_key"
        " from instance i join series r on r.tenant = i.tenant and r.id = i.series_id"
        " join study s on s.tenant = r.tenant and s.id = r.study_id"
        " where i.tenant = %s and i.instance_uid = any(%s) and s.state = 'held'",
        (tenant, list(instance_uids)),
    )
    return list(await cursor.fetchall())
