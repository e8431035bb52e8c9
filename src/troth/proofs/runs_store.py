"""SQL of runs and breaks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from troth.kit.db import Connection, Row

_KEPT_RUNS = 100


async def insert_run(connection: Connection, values: Mapping[str, Any]) -> None:
    """Keep the results of a run, and let the oldest go."""
    await connection.execute(
        "insert into proof_run (id, size, program, sha256, results, counts, started_at, ended_at) values"
        " (%(id)s, %(size)s, %(program)s, %(sha256)s, %(results)s, %(counts)s, %(started_at)s, %(ended_at)s)",
        {**values, "results": Jsonb(values["results"]), "counts": Jsonb(values["counts"])},
    )
    await connection.execute(
        "delete from proof_run where id in (select id from proof_run order by ended_at desc offset %s)", (_KEPT_RUNS,)
    )


async def last_run(connection: Connection) -> Row | None:
    """The newest run without its results."""
    cursor = await connection.execute(
        "select id, size, program, sha256, counts, started_at, ended_at from proof_run order by ended_at desc limit 1"
    )
    return await cursor.fetchone()


async def results_of(connection: Connection, run_id: UUID) -> Mapping[str, Any] | None:
    """What a run found."""
    cursor = await connection.execute("select results from proof_run where id = %s", (run_id,))
    row = await cursor.fetchone()
    return None if row is None else row["results"]


async def breaches(connection: Connection, since: datetime) -> list[Row]:
    """Breaks that are open, or ended since then; the first ones first."""
    cursor = await connection.execute(
        "select * from proof_breach where ended_at is null or ended_at >= %s order by found_at, id", (since,)
    )
    return list(await cursor.fetchall())


async def insert_breach(connection: Connection, values: Mapping[str, Any]) -> None:
    """A promise that was found broken."""
    await connection.execute(
        "insert into proof_breach (id, notice, clause, look, first_index, found_at) values"
        " (%(id)s, %(notice)s, %(clause)s, %(look)s, %(first_index)s, %(found_at)s) on conflict do nothing",
        values,
    )


async def end_breach(connection: Connection, breach_id: UUID, at: datetime) -> None:
    """A break that no run finds any more."""
    await connection.execute("update proof_breach set ended_at = %s where id = %s", (at, breach_id))
