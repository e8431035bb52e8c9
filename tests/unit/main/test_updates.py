"""Whatever a deployment holds, it comes up after an update: each earlier schema, filled, is brought to the newest.

Every table gets a row of two organisations as soon as it is made. Row-level security is forced, so a migration that
forgets it meets none of them (`troth.main.migrations.tenants`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import Engine, event

from tests.common.servers import MIGRATIONS
from tests.unit.main.test_migrations import LEDGER, configured
from troth.kit import migrate
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer

TENANTS = (UUID(int=0xA1), UUID(int=0xA2))
#: One id for everything of an organisation, so that every reference is met.
ITSELF = {TENANTS[0]: UUID(int=0xB1), TENANTS[1]: UUID(int=0xB2)}
#: Where a check asks for more than a value of the type.
VALUES: dict[tuple[str, str], Any] = {
    ("organisation", "capacity"): "controller",
    ("subject_merge", "surviving_id"): UUID(int=0xC1),
    ("subject_apart", "other_subject_id"): UUID(int=0xC1),
    ("ledger_checkpoint", "previous"): lambda itself: itself.int - 1,
    ("assignment", "until"): "2026-12-01T00:00:00Z",
    ("assignment", "way"): "duty",
    ("notice_version", "is_founding"): True,
    ("admission", "account_id"): lambda itself: itself,
    ("admission", "invitee_sealed"): None,
}
OF_TYPE: dict[str, Any] = {
    "uuid": None, "bytea": b"\x01" * 16, "text": "x", "boolean": False, "integer": 1, "bigint": 1, "smallint": 1,
    "timestamp with time zone": "2026-11-01T00:00:00Z", "date": "2026-11-01", "jsonb": "{}", "interval": "1 hour",
    "bytea[]": [], "text[]": ["x"], "uuid[]": [], "integer[]": [], "bigint[]": [], "double precision": 1.0,
}  # fmt: skip
_BODY = re.compile(r"\$\$.*?\$\$", re.DOTALL)
_TOUCHES = re.compile(r"^\s*(?:with\b.*?)?\b(?:update|delete from|insert into|from)\s+(?:only\s+)?([a-z_]+)", re.DOTALL)


@pytest.fixture
def name(postgres: EmbeddedServer) -> Iterator[str]:
    """An empty database."""
    made = "t_updates"
    with psycopg.connect(postgres.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(f"create database {made} owner troth_owner")  # type: ignore[arg-type]
    yield made
    _drop(postgres, made)


def _drop(postgres: EmbeddedServer, name: str) -> None:
    with psycopg.connect(postgres.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")  # type: ignore[arg-type]


def tables(connection: psycopg.Connection[Any]) -> list[str]:
    found = connection.execute("select tablename from pg_tables where schemaname = 'public' order by 1").fetchall()
    return [name for (name,) in found if name != "alembic_version"]


def fill(connection: psycopg.Connection[Any], table: str) -> None:
    """A row of each organisation, as the checks of the table let it."""
    columns = connection.execute(
        "select a.attname, format_type(a.atttypid, null) from pg_attribute a left join pg_attrdef d"
        " on d.adrelid = a.attrelid and d.adnum = a.attnum where a.attrelid = %s::regclass and a.attnum > 0"
        " and not a.attisdropped and (a.attnotnull or a.attname = any(%s)) and d.oid is null"
        " and a.attidentity = '' and a.attgenerated = ''",
        (table, [column for of, column in VALUES if of == table]),
    ).fetchall()
    checks = [
        text
        for (text,) in connection.execute(
            "select pg_get_constraintdef(oid) from pg_constraint where conrelid = %s::regclass and contype = 'c'",
            (table,),
        )
    ]
    for tenant, itself in ITSELF.items():
        row = {name: _value(table, name, kind, tenant, itself, checks) for name, kind in columns}
        names = sql.SQL(", ").join(map(sql.Identifier, row))
        places = sql.SQL(", ").join(sql.Placeholder() * len(row))
        form = "insert into {} ({}) values ({})" if row else "insert into {} default values"
        statement = sql.SQL(form).format(sql.Identifier(table), names, places)
        try:
            with connection.transaction():
                connection.execute(statement, list(row.values()))
        except psycopg.errors.UniqueViolation:
            there = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(table))).fetchone()
            if "tenant" in row or there == (0,):  # a table of the platform may have one row only
                raise


def _value(table: str, column: str, kind: str, tenant: UUID, itself: UUID, checks: list[str]) -> Any:
    if (table, column) in VALUES:
        known = VALUES[table, column]
        return known(itself) if callable(known) else known
    if column in ("tenant", "organisation_id") or (table, column) == ("organisation", "id"):
        return tenant
    if kind == "uuid":
        return itself
    for check in checks:  # one of a list: the first of it
        if found := re.search(rf"\b{column} = ANY \(ARRAY\['([^']*)'", check):
            return found[1]
    value = OF_TYPE[kind]
    if kind in ("text", "bytea"):  # what is unique differs between the organisations
        return f"{value}{itself.int:x}" if kind == "text" else value + itself.bytes
    return itself.int if kind in ("integer", "bigint") else value


def fill_all(dsn: str, filled: set[str]) -> None:
    """Fill the tables that are new, those first to which others refer."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        waiting = [table for table in tables(connection) if table not in filled]
        while waiting:
            faults = {}
            for table in waiting:
                try:
                    with connection.transaction():
                        fill(connection, table)
                except psycopg.Error as fault:
                    faults[table] = str(fault).splitlines()[0]
            if len(faults) == len(waiting):
                pytest.fail(f"tell VALUES what a row of these looks like: {faults}")
            filled.update(set(waiting) - set(faults))
            waiting = list(faults)


def counts(dsn: str) -> dict[str, int]:
    with psycopg.connect(dsn) as connection:
        return {
            table: connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(table))).fetchone()[0]  # type: ignore[index]
            for table in tables(connection)
        }


@contextmanager
def watched() -> Iterator[list[str]]:
    """Statements of migrations that touch rows while row-level security hides all of them."""
    blind: list[str] = []

    def look(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        for part in _BODY.sub("", statement).split(";"):
            if part.lstrip().lower().startswith(("create", "alter", "grant", "revoke", "comment", "drop")):
                continue
            if (touched := _TOUCHES.search(part.lower())) is None:
                continue
            with connection.connection.cursor() as own:
                own.execute(
                    "select relforcerowsecurity from pg_class where oid = to_regclass('public.' || %s)", (touched[1],)
                )
                if (own.fetchone() or (False,))[0]:
                    blind.append(part.strip())

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield blind
    finally:
        event.remove(Engine, "before_cursor_execute", look)


def test_every_earlier_state_comes_up_filled(postgres: EmbeddedServer, name: str) -> None:
    owner, above = postgres.dsn("troth_owner", name), postgres.dsn(SUPERUSER, name)
    configuration, filled = configured(owner), set[str]()
    revisions = [one.revision for one in ScriptDirectory.from_config(configuration).walk_revisions()][::-1]
    for revision in revisions:
        command.upgrade(configuration, revision)
        fill_all(above, filled)
        before = counts(above)
        again = f"{name}_again"
        with psycopg.connect(postgres.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
            connection.execute(f"create database {again} template {name} owner troth_owner strategy file_copy")  # type: ignore[arg-type]
        try:
            migrate.upgrade(postgres.dsn("troth_owner", again), MIGRATIONS)
            after = counts(postgres.dsn(SUPERUSER, again))
            assert {table: after.get(table) for table in before} == before, f"from {revision}"
            with psycopg.connect(postgres.dsn(SUPERUSER, again)) as connection:
                for table in ("study", "erasure"):
                    if before.get(table):
                        owned = connection.execute(
                            f"select count(*) from {table} where surviving_id = subject_id"  # type: ignore[arg-type]
                        ).fetchone()
                        assert owned == (before[table],), f"from {revision}"
                open_to_all = connection.execute(
                    "select relname from pg_class where relrowsecurity and not relforcerowsecurity"
                ).fetchall()
                assert open_to_all == [], "row-level security is forced again"
        finally:
            _drop(postgres, again)
    assert len(filled) > 50


def test_no_migration_touches_rows_of_tenants_that_it_cannot_see(postgres: EmbeddedServer, name: str) -> None:
    configuration = configured(postgres.dsn("troth_owner", name))
    with watched() as blind:
        command.upgrade(configuration, "head")
        command.downgrade(configuration, LEDGER)
    assert blind == []


def test_a_blind_statement_is_noticed(postgres: EmbeddedServer, name: str) -> None:
    command.upgrade(configured(postgres.dsn("troth_owner", name)), "head")
    from sqlalchemy import create_engine

    from troth.kit.postgres import url

    with watched() as blind, create_engine(url(postgres.dsn("troth_owner", name))).connect() as connection:
        connection.exec_driver_sql("create function f() returns void language sql as $$ update study set id = id $$")
        connection.exec_driver_sql("update organisation set name = name")
        connection.exec_driver_sql("update study set surviving_id = subject_id")
    assert blind == ["update study set surviving_id = subject_id"]
