"""All SQL of the rights room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, LiteralString
from uuid import UUID

from troth.kit.db import Connection, Row
from troth.policy import belief

# Whose a request is now: of a merged subject, the survivor.
_REQUEST: LiteralString = ("""
select r.tenant, r.id, r.number, r."right", r.state, subject_surviving(r.subject_id) as subject_id, r.subject_key,
    r.audit_key, r.opened_by, r.opened_by_kind, r.opened_at, r.acknowledged_at, r.acknowledge_by, r.due_at, r.closed_at,
    r.scope, r.clauses, r.notice_version, r.certificate, r.certificate_signature,
    r.reply_sealed, """ + belief.columns("rights_request", "r") + """,
    c.length_bytes as copy_bytes, c.sha256 as copy_sha256, c.expires_at as copy_expires_at
from rights_request r left join rights_copy c on c.tenant = r.tenant and c.request_id = r.id
""")  # fmt: skip


async def see_one_moment(connection: Connection) -> None:
    """Let all that this transaction reads be of one moment. Before its first query."""
    await connection.execute("set transaction isolation level repeatable read")


async def lock_subject(connection: Connection, subject_id: UUID) -> None:
    """Let nobody else open a request for this subject until the transaction ends."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('rights:' || %s::text, 0))", [subject_id])


async def same_open_request(connection: Connection, subject_id: UUID, right: str, scope: Sequence[UUID]) -> UUID | None:
    """An open request of the same subject for the same right about the same studies, or None."""
    cursor = await connection.execute(
        'select id from rights_request where subject_id = %s and "right" = %s and scope = %s and closed_at is null'
        " order by number limit 1",
        [subject_id, right, list(scope)],
    )
    row = await cursor.fetchone()
    return row["id"] if row else None


async def open_requests(connection: Connection, subject_ids: Sequence[UUID]) -> list[int]:
    """Numbers of the open requests of some subjects; nobody else opens one for them until the transaction ends."""
    for each in sorted(subject_ids):
        await lock_subject(connection, each)
    cursor = await connection.execute(
        "select number from rights_request where subject_id = any(%s) and closed_at is null order by number",
        [list(subject_ids)],
    )
    return [row["number"] for row in await cursor.fetchall()]


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
        " opened_by_kind, opened_at, acknowledge_by, due_at, scope, clauses, notice_version) values (%(tenant)s,"
        " %(id)s, %(number)s, %(right)s, %(state)s, %(subject_id)s, %(subject_key)s, %(audit_key)s, %(opened_by)s,"
        " %(opened_by_kind)s, %(opened_at)s, %(acknowledge_by)s, %(due_at)s, %(scope)s, %(clauses)s,"
        " %(notice_version)s)",
        values,
    )
    await wait_for_worker(connection, values["tenant"], values["id"], "fulfil", values["opened_at"])


async def add_items(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Insert items of a request."""
    cursor = connection.cursor()
    await cursor.executemany(
        "insert into rights_item (tenant, request_id, id, position, kind, target_id, title, outcome, event_id)"
        " values (%(tenant)s, %(request_id)s, %(id)s, %(position)s, %(kind)s, %(target_id)s, %(title)s,"
        " %(outcome)s, %(event_id)s)",
        list(rows),
    )


async def request(connection: Connection, request_id: UUID) -> Row | None:
    """One request with its copy, or None."""
    cursor = await connection.execute(_REQUEST + " where r.id = %s", [request_id])
    return await cursor.fetchone()


async def keep_reply(connection: Connection, request_id: UUID, sealed: bytes | None) -> None:
    """Keep where the last answer to a request goes; with None it is forgotten."""
    await connection.execute("update rights_request set reply_sealed = %s where id = %s", (sealed, request_id))


async def requests_of(connection: Connection, subject_id: UUID | None) -> list[Row]:
    """Requests of a subject, newest first; of the whole organisation, by due date, when None."""
    if subject_id is not None:
        cursor = await connection.execute(
            _REQUEST + " where r.subject_id in (select subject_kin(%s)) order by r.opened_at desc limit 500",
            [subject_id],
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
        "select * from rights_step where request_id = any(%s) order by request_id, at, position", [list(request_ids)]
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
        "insert into rights_step (tenant, request_id, name, at, detail) values (%s, %s, %s, %s, %s)"
        " on conflict do nothing",
        [tenant, request_id, name, at, detail],
    )
    return cursor.rowcount == 1


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


async def set_certificate(connection: Connection, request_id: UUID, text: bytes, signature: bytes) -> None:
    """Keep the certificate of an erasure; the first one stays."""
    await connection.execute(
        "update rights_request set certificate = %s, certificate_signature = %s where id = %s and certificate is null",
        [text, signature, request_id],
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


async def fail_open_items(connection: Connection, request_id: UUID) -> int:
    """Mark what is not settled as failed, until it is tried again; returns how many items that were."""
    cursor = await connection.execute(
        "update rights_item set outcome = 'failed' where request_id = %s and outcome in ('waiting', 'under_way')",
        [request_id],
    )
    return cursor.rowcount


async def has_step(connection: Connection, request_id: UUID, name: str) -> bool:
    """Whether a step was noted."""
    cursor = await connection.execute("select from rights_step where request_id = %s and name = %s", [request_id, name])
    return await cursor.fetchone() is not None


async def add_copy(connection: Connection, values: dict[str, Any]) -> bool:
    """Keep where a copy lies, and name its end to the worker.

    Returns:
        Whether it was kept; False when the request has a copy already.
    """
    cursor = await connection.execute(
        "insert into rights_copy (tenant, request_id, studies, locator, key_ref, key, length_bytes, sha256, made_at,"
        " expires_at) values (%(tenant)s, %(request_id)s, %(studies)s, %(locator)s, %(key_ref)s, %(key)s,"
        " %(length_bytes)s, %(sha256)s, %(made_at)s, %(expires_at)s) on conflict do nothing",
        values,
    )
    if cursor.rowcount == 1:
        await wait_for_worker(connection, values["tenant"], values["request_id"], "expire", values["expires_at"])
    return cursor.rowcount == 1


async def verify_copy(connection: Connection, request_id: UUID, files: int, event_id: UUID) -> None:
    """Note that a copy was read back."""
    await connection.execute(
        "update rights_copy set files = %s, event_id = %s where request_id = %s", [files, event_id, request_id]
    )


async def copy(connection: Connection, request_id: UUID) -> Row | None:
    """The copy of a request, or None."""
    cursor = await connection.execute("select * from rights_copy where request_id = %s", [request_id])
    return await cursor.fetchone()


async def copies_with(connection: Connection, subject_id: UUID, study_ids: Sequence[UUID]) -> list[Row]:
    """Copies made for a subject, or one merged with it, that contain one of these, with the number of their request."""
    cursor = await connection.execute(
        "select c.*, r.number from rights_request r join rights_copy c on c.tenant = r.tenant and c.request_id = r.id"
        " where r.subject_id in (select subject_kin(%s))"
        " and exists (select from unnest(c.studies) as s(id) where s.id = any(%s)) order by r.number",
        [subject_id, list(study_ids)],
    )
    return await cursor.fetchall()


async def remove_copy(connection: Connection, request_id: UUID, locator: bytes) -> bool:
    """Forget a copy; a request whose answer it was stays answered.

    Returns:
        Whether it was there.
    """
    cursor = await connection.execute(
        "delete from rights_copy where request_id = %s and locator = %s", [request_id, locator]
    )
    if cursor.rowcount == 1:
        await taken(connection, request_id, "expire")
        await collected(connection, request_id)
    return cursor.rowcount == 1


async def count_collection(connection: Connection, request_id: UUID) -> None:
    """Count one collection of a copy."""
    await connection.execute("update rights_copy set collected = collected + 1 where request_id = %s", [request_id])
    await collected(connection, request_id)


async def collected(connection: Connection, request_id: UUID) -> None:
    """Nothing waits to be collected for a request any more."""
    await connection.execute(
        "update rights_request set state = 'fulfilled' where id = %s and state = 'ready'", [request_id]
    )


async def wait_for_worker(connection: Connection, tenant: UUID, request_id: UUID, work: str, due_at: datetime) -> None:
    """Name work to the worker: `fulfil` a request, or `expire` its copy."""
    await connection.execute(
        "insert into rights_outbox (request_id, work, tenant, due_at) values (%s, %s, %s, %s)"
        " on conflict (tenant, request_id, work) do update set due_at = excluded.due_at",
        [request_id, work, tenant, due_at],
    )


async def waiting(connection: Connection, now: datetime) -> list[Row]:
    """What is due and no worker has taken yet, of all organisations: ids only."""
    cursor = await connection.execute("select request_id, work, tenant from rights_due(%s)", [now])
    return await cursor.fetchall()


async def taken(connection: Connection, request_id: UUID, work: str) -> None:
    """A worker has durably started some work, or there is nothing to do any more."""
    await connection.execute("delete from rights_outbox where request_id = %s and work = %s", [request_id, work])
