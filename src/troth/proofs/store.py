"""The catalogue queries behind the live checks."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from troth.kit.db import Connection, Row


async def password_columns(connection: Connection) -> list[str]:
    """Columns that look as if they kept a password: there must be none."""
    cursor = await connection.execute(
        "select c.relname || '.' || a.attname as name from pg_class c join pg_attribute a on a.attrelid = c.oid"
        " where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and a.attnum > 0 and not a.attisdropped"
        " and a.attname ~ '(password|passwd|passphrase|pwd)' order by 1"
    )
    return [str(row["name"]) for row in await cursor.fetchall()]


async def undigested(connection: Connection) -> list[str]:
    """Where a session, link or invitation could be kept otherwise than as a digest: there must be none."""
    cursor = await connection.execute(
        "select c.relname || '.' || a.attname as name from pg_class c join pg_attribute a on a.attrelid = c.oid"
        " where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and a.attnum > 0 and not a.attisdropped"
        " and c.relname in ('session', 'sign_in_link', 'invitation')"
        " and (a.attname ~ '(secret|token|cookie|link)' or (a.attname = 'digest' and a.atttypid <> 'bytea'::regtype))"
        " order by 1"
    )
    found = [str(row["name"]) for row in await cursor.fetchall()]
    cursor = await connection.execute("select count(*) as held from sign_in_link where octet_length(digest) <> 32")
    row = await cursor.fetchone()
    return [*found, *(["sign_in_link.digest"] if row and row["held"] else [])]


async def table_files(connection: Connection) -> list[str]:
    """Files of our tables below the folder of the database."""
    cursor = await connection.execute(
        "select pg_relation_filepath(c.oid) as path from pg_class c where c.relkind in ('r', 't')"
        " and c.relpersistence = 'p' and (c.relnamespace = 'public'::regnamespace or c.oid in"
        " (select reltoastrelid from pg_class where relnamespace = 'public'::regnamespace))"
    )
    return [str(row["path"]) for row in await cursor.fetchall() if row["path"]]


async def last_backup(connection: Connection) -> Row | None:
    """When the last backup was made, checked, and how long its keys live; None where there was never one."""
    cursor = await connection.execute(
        "select made_at, verified_at, keys_expire_at from backup order by made_at desc limit 1"
    )
    return await cursor.fetchone()


async def database_bytes(connection: Connection) -> int:
    """What the database takes on its disk."""
    row = await (await connection.execute("select pg_database_size(current_database()) as size")).fetchone()
    return int(row["size"]) if row else 0


async def backup_places(connection: Connection) -> list[str]:
    """Folders of backups and of the copies of keys that belong to them."""
    cursor = await connection.execute("select folder as place from backup union select keys_folder from backup")
    return [str(row["place"]) for row in await cursor.fetchall()]


async def overdue_work(connection: Connection, now: datetime) -> tuple[int, datetime | None]:
    """How much of the scope's work the worker should have taken up, and since when the first waits."""
    cursor = await connection.execute(
        "select count(*) as waiting, min(due_at) as oldest from rights_outbox where due_at <= %s", (now,)
    )
    row = await cursor.fetchone()
    return (int(row["waiting"]), row["oldest"]) if row else (0, None)


async def last_recheck(connection: Connection) -> Row | None:
    """When what is held was last read back, and how much of it."""
    cursor = await connection.execute(
        "select ended_at, counts from upkeep_run where kind = 'recheck' and state = 'done'"
        " order by started_at desc limit 1"
    )
    return await cursor.fetchone()


async def tenants(connection: Connection) -> list[UUID]:
    """Every organisation."""
    return [row["id"] for row in await (await connection.execute("select id from organisation")).fetchall()]


async def broken_instances(connection: Connection) -> int:
    """Instances of the transaction's organisation that were found broken and are still held."""
    cursor = await connection.execute(
        "select count(*) as number from broken_instance b join instance i on i.tenant = b.tenant"
        " and i.id = b.instance_id"
    )
    (row,) = await cursor.fetchall()
    return int(row["number"])


async def recipients(connection: Connection, purpose: str) -> tuple[int, int]:
    """Recipients in force in the register of the transaction's space, and those of them that stand for a purpose."""
    cursor = await connection.execute(
        "select count(*) as registered, count(*) filter (where %s = any(purposes)) as meant from exchange_recipient"
        " where ended_at is null",
        (purpose,),
    )
    (row,) = await cursor.fetchall()
    return int(row["registered"]), int(row["meant"])
