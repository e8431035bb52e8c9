"""SQL of runs and breaks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from troth.kit.db import Connection, Row
from troth.proofs.result import digest

_KEPT_RUNS = 100
_LEASE = 7420165  # number of the advisory lock of the one who computes


async def lease(connection: Connection) -> None:
    """Be the one who computes until the transaction ends; whoever is it now ends first."""
    await connection.execute("select pg_advisory_xact_lock(%s)", (_LEASE,))


async def try_lease(connection: Connection) -> bool:
    """The same, where nobody is it now."""
    cursor = await connection.execute("select pg_try_advisory_xact_lock(%s) as is_mine", (_LEASE,))
    row = await cursor.fetchone()
    return bool(row and row["is_mine"])


async def see_one_moment(connection: Connection) -> None:
    """Let all that this transaction reads be of one moment. Before its first query."""
    await connection.execute("set transaction isolation level repeatable read")


async def own(connection: Connection) -> tuple[dict[str, str], dict[str, str]]:
    """What is stored of ourselves, to be held against the ledger; the newest first.

    Returns:
        SHA-256 of the results by run, computed from what is stored; how each break stands, as `looks.own` has it.
    """
    cursor = await connection.execute("select id, results from proof_run order by ended_at desc limit 10")
    runs = await cursor.fetchall()
    cursor = await connection.execute(
        "select id, case when agreed_at is not null then 'answered:' || said_against when ended_at is null then 'open'"
        " else 'mended' end as state from proof_breach order by found_at desc, id desc"
    )
    breaches = await cursor.fetchall()
    return (
        {str(row["id"]): digest(row["results"]).hex() for row in runs},
        {str(row["id"]): row["state"] for row in breaches},
    )


async def count_breach(connection: Connection, breach_id: UUID, against: int) -> None:
    """How much that happened speaks against it by now; 0 where it is something that is so now."""
    await connection.execute(
        "update proof_breach set against = %s, is_event = %s where id = %s and (against, is_event) <> (%s, %s)",
        (against, against > 0, breach_id, against, against > 0),
    )


async def insert_run(connection: Connection, values: Mapping[str, Any]) -> None:
    """Keep the results of a run, and let the oldest go."""
    await connection.execute(
        "insert into proof_run (id, size, program, sha256, results, counts, started_at, ended_at, written) values"
        " (%(id)s, %(size)s, %(program)s, %(sha256)s, %(results)s, %(counts)s, %(started_at)s, %(ended_at)s,"
        " %(written)s)",
        {**values, "results": Jsonb(values["results"]), "counts": Jsonb(values["counts"])},
    )
    await connection.execute(
        "delete from proof_run where id in (select id from proof_run order by ended_at desc offset %s)", (_KEPT_RUNS,)
    )


async def last_run(connection: Connection) -> Row | None:
    """The newest run without its results."""
    cursor = await connection.execute(
        "select id, size, program, sha256, counts, started_at, ended_at, written from proof_run"
        " order by ended_at desc limit 1"
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


async def breach(connection: Connection, breach_id: UUID) -> Row | None:
    """One break, held until the transaction ends."""
    cursor = await connection.execute("select * from proof_breach where id = %s for update", (breach_id,))
    return await cursor.fetchone()


async def explain_breach(connection: Connection, values: Mapping[str, Any]) -> None:
    """Keep what was said of a break, and of how much."""
    await connection.execute(
        "update proof_breach set tenant_of = %(tenant)s, said_by = %(by)s, said_at = %(at)s,"
        " said_against = %(against)s, key_ref = %(key)s, sealed = %(sealed)s where id = %(id)s",
        values,
    )


async def unsay_breach(connection: Connection, breach_id: UUID) -> None:
    """Let go of what was said of a break; its entry keeps it."""
    await connection.execute(
        "update proof_breach set tenant_of = null, said_by = null, said_at = null, said_against = null,"
        " key_ref = null, sealed = null where id = %s",
        (breach_id,),
    )


async def answer_breach(connection: Connection, breach_id: UUID, by: UUID, at: datetime) -> None:
    """Keep who agreed: the break has ended."""
    await connection.execute(
        "update proof_breach set agreed_by = %s, agreed_at = %s, ended_at = %s where id = %s", (by, at, at, breach_id)
    )


async def insert_cookie(connection: Connection, name: str, at: datetime) -> None:
    """A cookie that an answer set."""
    await connection.execute(
        "insert into cookie_set (name, first_at) values (%s, %s) on conflict do nothing", (name, at)
    )


async def cookies(connection: Connection) -> list[str]:
    """Names of all cookies that answers ever set."""
    cursor = await connection.execute("select name from cookie_set order by name")
    return [str(row["name"]) for row in await cursor.fetchall()]
