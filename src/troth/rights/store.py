"""All SQL of the rights room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, LiteralString
from uuid import UUID

from troth.kit.db import Connection, Row

_REQUEST: LiteralString = """
select r.*, c.length_bytes as copy_bytes, c.sha256 as copy_sha256, c.expires_at as copy_expires_at
from rights_request r left join rights_copy c on c.tenant = r.tenant and c.request_id = r.id
"""


async def next_number(connection: Connection, tenant: UUID) -> int:
    """The next number of a request in this organisation, from 2001."""
    cursor = await connection.execute(
        "insert into rights_counter values (%s, 2002) on conflict (tenant) "
        "do update set next_number = rights_counter.next_number + 1 returning next_number - 1 as number",
        [tenant],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["number"])


async def add_request(connection: Connection, values: dict[str, Any]) -> None:
    """Insert a request and name it to the worker, in one transaction."""
    await connection.execute(
        'insert into rights_request (tenant, id, number, "right", state, subject_id, subject_key, audit_key, opened_by,'
        " opened_by_kind, opened_at, acknowledge_by, due_at, clauses, notice_version) values (%(tenant)s, %(id)s,"
        " %(number)s, %(right)s, %(state)s, %(subject_id)s, %(subject_key)s, %(audit_key)s, %(opened_by)s,"
        " %(opened_by_kind)s, %(opened_at)s, %(acknowledge_by)s, %(due_at)s, %(clauses)s, %(notice_version)s)",
        values,
    )
    await connection.execute(
        "insert into rights_outbox (request_id, tenant, opened_at) values (%(id)s, %(tenant)s, %(opened_at)s)", values
    )


async def add_items(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Insert the items of a request; an item that is there already stays as it is."""
    cursor = connection.cursor()
    await cursor.executemany(
        "insert into rights_item (tenant, request_id, id, position, kind, target_id, title, outcome, ground, clause,"
        " until) values (%(tenant)s, %(request_id)s, %(id)s, %(position)s, %(kind)s, %(target_id)s, %(title)s,"
        " %(outcome)s, %(ground)s, %(clause)s, %(until)s) on conflict do nothing",
        list(rows),
    )


async def request(connection: Connection, request_id: UUID) -> Row | None:
    """One request with its copy, or None."""
    cursor = await connection.execute(_REQUEST + " where r.id = %s", [request_id])
    return await cursor.fetchone()


async def requests_of(connection: Connection, subject_id: UUID | None) -> list[Row]:
    """Requests of a subject, newest first; of the whole organisation, by due date, when None."""
    if subject_id is not None:
        cursor = await connection.execute(
            _REQUEST + " where r.subject_id = %s order by r.opened_at desc limit 500", [subject_id]
        )
    else:
        cursor = await connection.execute(
            _REQUEST + " order by (r.closed_at is not null), r.due_at, r.number desc limit 500"
        )
    return await cursor.fetchall()


async def items(connection: Connection, request_ids: Sequence[UUID]) -> list[Row]:
    """Items of requests in their order."""
    cursor = await connection.execute(
        "select * from rights_item where request_id = any(%s) order by request_id, position", [list(request_ids)]
    )
    return await cursor.fetchall()


async def steps(connection: Connection, request_ids: Sequence[UUID]) -> list[Row]:
    """Finished steps of requests in their order."""
    cursor = await connection.execute(
        "select * from rights_step where request_id = any(%s) order by request_id, at", [list(request_ids)]
    )
    return await cursor.fetchall()


async def add_step(
    connection: Connection, tenant: UUID, request_id: UUID, name: str, at: datetime, detail: str = ""
) -> bool:
    """Note that a step is done.

    Returns:
        Whether it was new; False when the step had been noted before.
    """
    cursor = await connection.execute(
        "insert into rights_step values (%s, %s, %s, %s, %s) on conflict do nothing",
        [tenant, request_id, name, at, detail],
    )
    return cursor.rowcount == 1


async def set_state(connection: Connection, request_id: UUID, state: str) -> None:
    """Set where a request stands."""
    await connection.execute("update rights_request set state = %s where id = %s", [state, request_id])


async def acknowledge(connection: Connection, request_id: UUID, state: str, at: datetime) -> None:
    """Note the acknowledgement."""
    await connection.execute(
        "update rights_request set state = %s, acknowledged_at = %s where id = %s and acknowledged_at is null",
        [state, at, request_id],
    )


async def close(connection: Connection, request_id: UUID, state: str, at: datetime) -> None:
    """Note the answer."""
    await connection.execute(
        "update rights_request set state = %s, closed_at = %s where id = %s and closed_at is null",
        [state, at, request_id],
    )


async def set_certificate(connection: Connection, request_id: UUID, sealed: bytes, signature: bytes) -> None:
    """Keep the certificate of an erasure."""
    await connection.execute(
        "update rights_request set certificate = %s, certificate_signature = %s where id = %s",
        [sealed, signature, request_id],
    )


async def set_outcome(
    connection: Connection,
    request_id: UUID,
    item_id: UUID,
    outcome: str,
    *,
    ground: str = "",
    clause: str = "",
    until: date | None = None,
    event_id: UUID | None = None,
) -> None:
    """Set what became of an item; what is empty here stays as it was."""
    await connection.execute(
        "update rights_item set outcome = %s, ground = coalesce(nullif(%s, ''), ground),"
        " clause = coalesce(nullif(%s, ''), clause), until = coalesce(%s, until), event_id = coalesce(%s, event_id)"
        " where request_id = %s and id = %s",
        [outcome, ground, clause, until, event_id, request_id, item_id],
    )


async def add_copy(connection: Connection, values: dict[str, Any]) -> None:
    """Keep where a copy lies; a copy made again by an interrupted step takes the place of the first."""
    await connection.execute(
        "insert into rights_copy (tenant, request_id, locator, key, length_bytes, sha256, made_at, expires_at)"
        " values (%(tenant)s, %(request_id)s, %(locator)s, %(key)s, %(length_bytes)s, %(sha256)s, %(made_at)s,"
        " %(expires_at)s) on conflict (tenant, request_id) do update set locator = excluded.locator,"
        " key = excluded.key, length_bytes = excluded.length_bytes, sha256 = excluded.sha256",
        values,
    )


async def copy(connection: Connection, request_id: UUID) -> Row | None:
    """The copy of a request, or None."""
    cursor = await connection.execute("select * from rights_copy where request_id = %s", [request_id])
    return await cursor.fetchone()


async def count_collection(connection: Connection, request_id: UUID) -> None:
    """Count one collection of a copy."""
    await connection.execute("update rights_copy set collected = collected + 1 where request_id = %s", [request_id])


async def waiting(connection: Connection) -> list[Row]:
    """Requests that no worker has taken yet, of all organisations: ids only."""
    cursor = await connection.execute("select request_id, tenant from rights_outbox order by opened_at limit 100")
    return await cursor.fetchall()


async def taken(connection: Connection, request_id: UUID) -> None:
    """A worker has durably started the work on a request."""
    await connection.execute("delete from rights_outbox where request_id = %s", [request_id])
