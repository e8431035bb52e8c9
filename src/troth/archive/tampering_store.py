"""SQL of the look for images that are gone, or that nobody sent."""

from __future__ import annotations

from uuid import UUID

from troth.kit.db import Connection, Row


async def miscounted(connection: Connection, tenant: UUID) -> list[Row]:
    """Studies that hold another number of images than entries of the ledger say came in for them: one snapshot."""
    cursor = await connection.execute(
        "select s.id, coalesce(h.number, 0) as held, coalesce(t.number, 0) as told from study s"
        " left join (select r.study_id, count(*) as number from instance i join series r on r.tenant = i.tenant"
        " and r.id = i.series_id where i.tenant = %(tenant)s group by 1) h on h.study_id = s.id"
        " left join (select e.study_id, sum((e.counts ->> 'instances')::bigint) as number from ledger_entry e"
        " where e.tenant = %(tenant)s and e.kind = 'archive:instances:stored' and e.outcome = 'done'"
        " and e.study_id is not null group by 1) t on t.study_id = s.id"
        " where s.tenant = %(tenant)s and s.state = 'held' and coalesce(h.number, 0) <> coalesce(t.number, 0)"
        " order by s.id",
        {"tenant": tenant},
    )
    return list(await cursor.fetchall())


async def erasures(connection: Connection, tenant: UUID) -> list[Row]:
    """Every study whose erasure the ledger has, with the key that it had."""
    cursor = await connection.execute(
        "select study_id, key from erasure where tenant = %s and state <> 'erasing' order by study_id", (tenant,)
    )
    return list(await cursor.fetchall())


async def erased_marks(connection: Connection, tenant: UUID) -> tuple[int, int]:
    """How many studies were erased as the ledger has it, and how many marks there are."""
    cursor = await connection.execute(
        "select (select count(distinct study_id) from ledger_entry where tenant = %(tenant)s"
        " and kind = 'archive:study:erased' and outcome = 'done') as told,"
        " (select count(*) from tombstone where tenant = %(tenant)s) as kept",
        {"tenant": tenant},
    )
    (row,) = await cursor.fetchall()
    return int(row["told"]), int(row["kept"])
