"""Each migration can be taken back and made again, and leaves the schema as it was."""

from __future__ import annotations

import io
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.common.servers import MIGRATIONS, ServedDatabase
from troth.kit import migrate
from troth.kit.postgres import url

LEDGER = "0020_ledger"  # which is never taken away
SCHEMA = {
    "functions": "select p.oid::regprocedure::text, pg_get_functiondef(p.oid), p.proacl::text from pg_proc p"
    " where p.pronamespace = 'public'::regnamespace and p.prokind = 'f'",
    "columns": "select c.relname, c.relkind::text, c.relrowsecurity, c.relforcerowsecurity, c.relacl::text, a.attname,"
    " format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstattarget, pg_get_expr(d.adbin, d.adrelid)"
    " from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
    " left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum"
    " where c.relnamespace = 'public'::regnamespace",
    "constraints": "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint"
    " where connamespace = 'public'::regnamespace",
    "indexes": "select indexname, indexdef from pg_indexes where schemaname = 'public'",
    "policies": "select tablename, policyname, permissive, roles::text, cmd, qual, with_check from pg_policies",
    "triggers": "select pg_get_triggerdef(oid), tgenabled::text from pg_trigger where not tgisinternal",
}


@pytest.fixture
def dsn(database: ServedDatabase) -> str:
    return database.dsn("troth_owner")


def configured(dsn: str) -> Config:
    configuration = Config(stdout=io.StringIO())
    configuration.set_main_option("script_location", str(MIGRATIONS))
    configuration.set_main_option("sqlalchemy.url", url(dsn).replace("%", "%%"))
    return configuration


def schema(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    with psycopg.connect(dsn) as connection:
        return {name: sorted(connection.execute(query).fetchall(), key=str) for name, query in SCHEMA.items()}  # type: ignore[arg-type]


def version(dsn: str) -> str:
    with psycopg.connect(dsn) as connection:
        ((found,),) = connection.execute("select version_num from alembic_version").fetchall()
        return str(found)


def test_the_newest_by_name_is_the_one_that_alembic_ends_with(dsn: str) -> None:
    """Else no start would find that there is nothing to do."""
    newest = max(path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    assert ScriptDirectory.from_config(configured(dsn)).get_heads() == [newest]
    assert migrate.upgrade(dsn, MIGRATIONS) is False


def test_nothing_of_ingest_is_there_that_nobody_calls(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "select proname, pronargs from pg_proc where proname like 'archive\\_%' order by 1, 2"
        )
        assert found.fetchall() == [("archive_take", 15)]


def test_every_migration_down_to_the_ledger_goes_down_and_up_again(dsn: str) -> None:
    configuration, steps = configured(dsn), 0
    for script in ScriptDirectory.from_config(configuration).walk_revisions():
        if script.revision == LEDGER:
            break
        before = schema(dsn)
        command.downgrade(configuration, "-1")
        assert version(dsn) == script.down_revision
        command.upgrade(configuration, "+1")
        assert schema(dsn) == before, script.revision
        command.downgrade(configuration, "-1")
        steps += 1
    assert steps > 15
    with pytest.raises(NotImplementedError):
        command.downgrade(configuration, "-1")
    command.upgrade(configuration, "head")
    assert migrate.upgrade(dsn, MIGRATIONS) is False
