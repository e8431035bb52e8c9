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
