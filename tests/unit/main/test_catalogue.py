"""Row-level security as the catalogue has it: what broke elsewhere (reference security §5), one check each."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from ruamel.yaml import YAML

from tests.common.servers import ServedDatabase
from troth import main
from troth.proofs import apart, catalogue_store

# Without a tenant by design: what is needed to find the tenant, and what belongs to the platform.
PLATFORM = {
    "organisation", "platform_key", "account", "standing", "sign_in_link", "sign_in_ask", "passkey_answer",
    "peer", "attempt", "notice_version",
    "ledger_tile", "ledger_checkpoint", "ledger_fence", "alembic_version", "notice_proposal",
    "amendment", "amendment_message", "upkeep_run", "sweep_key", "sweep_pack", "backup", "proof_run", "proof_breach",
    "deployment", "cookie_set",
}  # fmt: skip
# Functions that run with their owner's rights; each is looked at by hand.
DEFINERS = {"ledger_enqueue", "rights_due"}
# The queue between a trigger and the sequencer: the doors have no right on it at all, which a test holds.
UNSEEN = "ledger_pending"
NOBODYS = "(tenant = '00000000-0000-0000-0000-000000000000'::uuid)"
COLUMNS = Path(main.__file__).with_name("columns.yaml")


@pytest.fixture
def catalogue(database: ServedDatabase):
    with psycopg.connect(database.dsn("troth_owner"), autocommit=True) as connection:
        yield connection


def rows(connection, query: str) -> list[tuple]:
    return connection.execute(query).fetchall()


def test_every_table_has_a_tenant_or_is_known_to_be_the_platforms(catalogue) -> None:
    tables = rows(
        catalogue,
        "select c.relname, c.relrowsecurity and c.relforcerowsecurity, a.attnotnull from pg_class c"
        " left join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant' and not a.attisdropped"
        " where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace",
    )
    assert len(tables) > 20
    for name, is_forced, is_required in tables:
        if name in PLATFORM:
            continue
        assert is_required, f"{name} has no tenant"
        assert is_forced, f"row-level security of {name} is not forced"


@pytest.mark.asvs("V8.4.1")
def test_policies_of_the_doors_look_at_the_tenant_only(catalogue) -> None:
    found = rows(catalogue, "select tablename, policyname, roles::text[], qual, with_check from pg_policies")
    for table, policy, roles, qual, check in found:
        if table == UNSEEN:
            continue
        if roles == ["troth_owner"]:  # for what a definer function reads, which the doors' role is given no more of
            assert (table, policy, qual) == ("rights_outbox", "listing", "true")
            continue
        if roles == ["troth_sequencer"]:
            assert table.startswith("ledger_"), f"the sequencer sees {table}"
            continue
        if policy == "platform_rows":
            assert qual == NOBODYS, f"{table} shows more than what belongs to no organisation"
            continue
        for expression in (qual, check):
            assert expression is None or "app.tenant" in expression or "tenant =" in expression, (table, policy)
        assert "NULLIF" in (qual or check or "").upper() or table.startswith("ledger_"), (table, policy)


def test_unique_constraints_and_foreign_keys_begin_with_the_tenant(catalogue) -> None:
    constraints = rows(
        catalogue,
        "select t.relname, c.conname, c.contype, (select attname from pg_attribute where attrelid = c.conrelid and"
        " attnum = c.conkey[1]), f.relname from pg_constraint c join pg_class t on t.oid = c.conrelid"
        " left join pg_class f on f.oid = c.confrelid where c.contype in ('p', 'u', 'f')"
        " and t.relnamespace = 'public'::regnamespace",
    )
    sequenced = {"ledger_leaf_pkey", "ledger_leaf_index_key"}  # the platform's one numbering, not seen by the doors
    for table, name, kind, first, foreign in constraints:
        if table in PLATFORM or table == UNSEEN or name in sequenced or (kind == "f" and foreign in PLATFORM):
            continue
        assert first == "tenant", f"{name} of {table} begins with {first}: it tells of other organisations"


def test_no_view_no_materialised_view_no_unknown_definer(catalogue) -> None:
    views = rows(
        catalogue,
        "select relname from pg_class where relkind in ('v', 'm') and relnamespace = 'public'::regnamespace",
    )
    assert views == []
    definers = {
        row[0]
        for row in rows(
            catalogue, "select proname from pg_proc where prosecdef and pronamespace = 'public'::regnamespace"
        )
    }
    assert definers <= DEFINERS


@pytest.mark.asvs("V13.2.2")
def test_the_role_of_the_doors_owns_nothing_and_cannot_climb(catalogue) -> None:
    assert rows(
        catalogue, "select rolsuper, rolbypassrls, rolcreatedb, rolcreaterole from pg_roles where rolname = 'troth_app'"
    ) == [(False, False, False, False)]
    owned = rows(catalogue, "select relname from pg_class where pg_get_userbyid(relowner) in ('troth_app')")
    assert owned == []
    member = rows(catalogue, "select 1 from pg_auth_members where member = 'troth_app'::regrole")
    assert member == []
    grants = rows(
        catalogue,
        "select table_name, privilege_type from information_schema.role_table_grants where grantee = 'troth_app'"
        " and privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER')",
    )
    assert grants == []
    unseen = rows(
        catalogue,
        "select 1 from information_schema.role_table_grants where grantee in ('troth_app', 'PUBLIC')"
        f" and table_name = '{UNSEEN}'",
    )
    assert unseen == []
    ledger = {
        row[0]
        for row in rows(
            catalogue,
            "select privilege_type from information_schema.role_table_grants where grantee = 'troth_app'"
            " and table_name like 'ledger%'",
        )
    }
    assert ledger <= {"SELECT", "INSERT"}, "the doors may not alter the ledger"


def test_no_text_column_could_hold_a_name(catalogue) -> None:
    """Nothing personal is stored in the clear (DESIGN §4): text columns are said to be clear, one by one."""
    told = YAML(typ="safe").load(COLUMNS.read_text())
    known = {f"{table}.{column}" for table, said in told.items() for column in said.get("clear", [])}
    known |= {"study.study_uid", "series.series_uid", "instance.instance_uid"}  # UIDs stay clear, DESIGN §4
    known |= {f"quarantined.{name}_uid" for name in ("study", "series", "instance")}
    known |= {"series.modality"}
    columns = rows(
        catalogue,
        "select table_name || '.' || column_name from information_schema.columns where table_schema = 'public'"
        " and data_type in ('text', 'character varying')",
    )
    for (column,) in columns:
        if column.split(".")[0] in PLATFORM or column.startswith("ledger_"):
            continue
        assert column in known, f"{column} is text: seal it, or say in columns.yaml why it may be clear"


async def test_what_the_program_ships_is_the_catalogue_of_a_database_that_was_just_migrated(database) -> None:
    async with database.transaction(None) as connection:
        found = await catalogue_store.read(connection)
    assert apart.differences(apart.shipped(), found) == [], apart.AGAIN
    assert apart.SHIPPED.read_text() == apart.written(found), apart.AGAIN


@pytest.mark.asvs("V16.2.3", "V16.2.5")
def test_the_servers_log_is_told_nothing(catalogue) -> None:
    for name, value in (("log_statement", "none"), ("log_min_duration_statement", "-1"),
                        ("log_error_verbosity", "terse"), ("log_parameter_max_length_on_error", "0")):  # fmt: skip
        assert rows(catalogue, f"show {name}") == [(value,)]
