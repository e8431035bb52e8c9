"""The catalogue queries behind the live checks."""

from __future__ import annotations

from troth.kit.db import Connection


async def unprotected_tables(connection: Connection) -> list[str]:
    """Tables with a tenant whose row-level security is not forced: there must be none."""
    cursor = await connection.execute(
        "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant'"
        " where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace"
        " and c.relname <> 'rights_outbox' and not (c.relrowsecurity and c.relforcerowsecurity)"
    )
    return [str(row["relname"]) for row in await cursor.fetchall()]


async def application_role(connection: Connection) -> dict[str, bool]:
    """Whether the role of the doors could get around row-level security."""
    cursor = await connection.execute("select rolsuper, rolbypassrls from pg_roles where rolname = current_user")
    row = await cursor.fetchone()
    assert row is not None
    return {"super": bool(row["rolsuper"]), "bypass": bool(row["rolbypassrls"])}
