"""The SQL of counting."""

from __future__ import annotations

from datetime import date

from troth.kit.db import Connection


async def studies_by_day(connection: Connection) -> list[tuple[date, int]]:
    """How many studies are held of each day, oldest first."""
    found = await connection.execute(
        "select study_date, count(*) as held from study where state = 'held' and study_date > '0001-01-01'"
        " group by study_date order by study_date"
    )
    return [(row["study_date"], int(row["held"])) for row in await found.fetchall()]
