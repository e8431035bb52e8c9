"""Everything in the catalogue of the database by which rows of one organisation could reach another, one line each.

Read with the rights of the doors' role: the catalogue is open to everybody. Only tables of the catalogue are asked,
never its views, and what a later version of PostgreSQL says in other words is left out (what owners may do to their
own tables, and the constraints that only say `not null`).
"""

# ruff: noqa: S608 - constant words only

from __future__ import annotations

from typing import LiteralString
from uuid import UUID

from psycopg import sql

from troth.kit.db import Connection

_OURS: LiteralString = "array['troth_owner', 'troth_app', 'troth_sequencer', 'troth_flow']::name[]"
"""The roles that the program makes."""

_SCHEMAS: LiteralString = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'"


def _granted(what: LiteralString, acl: LiteralString, kind: LiteralString, owner: LiteralString) -> LiteralString:
    """Grants of an object to others than its owner."""
    return (
        "(select coalesce(string_agg(g.line, ', ' order by g.line), 'nobody') from (select case a.grantee when 0 then"
        " 'public' else pg_get_userbyid(a.grantee)::text end || ' ' || string_agg(lower(a.privilege_type) || case when"
        " a.is_grantable then '*' else '' end, '+' order by a.privilege_type) as line from aclexplode(coalesce("
        + acl + ", acldefault('" + kind + "', " + owner + "))) a where a.grantee <> " + owner
        + " group by a.grantee) g) as " + what
    )  # fmt: skip


_QUESTIONS: dict[str, LiteralString] = {
    "schema": "select format('%s owner %s, granted %s', s.name, s.owner, s.granted) as line from (select n.nspname as"
    " name, pg_get_userbyid(n.nspowner) as owner, " + _granted("granted", "n.nspacl", "n", "n.nspowner")
    + " from pg_namespace n where " + _SCHEMAS + " and n.nspname <> 'public' union all select n.nspname, '', "
    + _granted("granted", "n.nspacl", "n", "n.nspowner") + " from pg_namespace n where n.nspname = 'public') s",
    "table": "select format('%s %s.%s owner %s, row security %s, forced %s, granted %s', t.kind, t.schema, t.name,"
    " t.owner, t.rls, t.forced, t.granted) as line from (select c.relkind as kind, n.nspname as schema, c.relname as"
    " name, pg_get_userbyid(c.relowner) as owner, c.relrowsecurity as rls, c.relforcerowsecurity as forced, "
    + _granted("granted", "c.relacl", "r", "c.relowner")
    + " from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'f', 'v', 'm')"
    " and " + _SCHEMAS + ") t",
    "column": "select format('%s.%s granted %s', t.name, t.attribute, t.granted) as line from (select c.relname as"
    " name, a.attname as attribute, " + _granted("granted", "a.attacl", "c", "c.relowner")
    + " from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace"
    " where a.attacl is not null and " + _SCHEMAS + ") t",
    "view": "select format('%s.%s is %s', n.nspname, c.relname, pg_get_viewdef(c.oid)) as line from pg_class c"
    " join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('v', 'm') and " + _SCHEMAS,
    "policy": "select format('%s: %s for %s to %s, %s, using %s, check %s', c.relname, p.polname, p.polcmd,"
    " (select string_agg(case r when 0 then 'public' else pg_get_userbyid(r)::text end, '+' order by"
    " pg_get_userbyid(r)::text) from unnest(p.polroles) r), case when p.polpermissive then 'permissive' else"
    " 'restrictive' end, coalesce(pg_get_expr(p.polqual, p.polrelid), 'nothing'),"
    " coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'nothing')) as line from pg_policy p join pg_class c"
    " on c.oid = p.polrelid",
    "function": "select format('%s.%s(%s) owner %s, %s, %s, %s, path %s, granted %s, body %s', f.schema, f.name,"
    " f.arguments, f.owner, f.language, f.rights, f.volatility, f.path, f.granted, f.body) as line from (select"
    " n.nspname as schema, p.proname as name, pg_get_function_identity_arguments(p.oid) as arguments,"
    " pg_get_userbyid(p.proowner) as owner, l.lanname as language, case when p.prosecdef then 'of its owner' else"
    " 'of the caller' end as rights, p.provolatile as volatility, coalesce(array_to_string(p.proconfig, '; '), 'none')"
    " as path, encode(sha256(convert_to(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), 'utf8')), 'hex') as body, "
    + _granted("granted", "p.proacl", "f", "p.proowner")
    + " from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang"
    " where " + _SCHEMAS + ") f",
    "trigger": "select format('%s %s: %s', case t.tgenabled when 'O' then 'on' else 'not on' end, c.relname,"
    " pg_get_triggerdef(t.oid)) as line from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n"
    " on n.oid = c.relnamespace where not t.tgisinternal and " + _SCHEMAS
    + " union all select format('not on %s: a foreign key', c.relname) from pg_trigger t join pg_class c"
    " on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace where t.tgisinternal and t.tgenabled <> 'O'"
    " and " + _SCHEMAS + " group by c.relname",
    "rule": "select format('%s: %s', c.relname, pg_get_ruledef(r.oid)) as line from pg_rewrite r join pg_class c"
    " on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace where r.rulename <> '_RETURN' and "
    + _SCHEMAS,
    "event trigger": "select format('%s on %s', evtname, evtevent) as line from pg_event_trigger",
    "extension": "select extname as line from pg_extension",
    "publication": "select pubname as line from pg_publication",
    "foreign server": "select srvname as line from pg_foreign_server",
    "default grant": "select format('%s %s %s', pg_get_userbyid(defaclrole), defaclobjtype, defaclacl) as line"
    " from pg_default_acl",
    "role": "select format('%s superuser %s, bypass %s, create role %s, create database %s, replication %s', rolname,"
    " rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication) as line from pg_roles"
    " where rolname = any(" + _OURS + ")",
    # What one of ours is a member of, and who may become one of ours without ruling the server anyway.
    "member": "select format('%s is a member of %s', m.rolname, g.rolname) as line from pg_auth_members a"
    " join pg_roles m on m.oid = a.member join pg_roles g on g.oid = a.roleid where m.rolname = any("
    + _OURS + ") or (g.rolname = any(" + _OURS + ") and not m.rolsuper and not m.rolcreaterole)",
    "setting": "select format('of %s: %s', coalesce(r.rolname, 'the database'), c.setting) as line from"
    " pg_db_role_setting s cross join unnest(s.setconfig) as c(setting) left join pg_roles r on r.oid = s.setrole"
    " left join pg_database d on d.oid = s.setdatabase where (r.rolname = any(" + _OURS + ") or s.setrole = 0)"
    " and c.setting ~ '^(session_replication_role|row_security|search_path|role|app[.])'"
    " and (d.datname = current_database() or s.setdatabase = 0)"
    " union all select format('%s is %s', name, setting) from pg_settings where name in"
    " ('session_replication_role', 'row_security') ",
}  # fmt: skip


async def read(connection: Connection) -> dict[str, list[str]]:
    """The catalogue as it is: lines by the kind of object, in order."""
    found: dict[str, list[str]] = {}
    for kind, question in _QUESTIONS.items():
        cursor = await connection.execute(question)
        found[kind] = sorted(str(row["line"]) for row in await cursor.fetchall())
    return found


async def tables(connection: Connection) -> list[str]:
    """Every table that has a tenant and that the doors' role may read, by name."""
    cursor = await connection.execute(
        "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant'"
        " where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and not a.attisdropped"
        " and has_table_privilege(c.oid, 'select') order by 1"
    )
    return [str(row["relname"]) for row in await cursor.fetchall()]


async def places(connection: Connection, table: str, tenant: UUID) -> list[str]:
    """Where some rows of a table lie that are an organisation's own; what the platform has, all may read."""
    query = sql.SQL("select ctid::text as place from {} where tenant = %s limit 3").format(sql.Identifier(table))
    return [str(row["place"]) for row in await (await connection.execute(query, (tenant,))).fetchall()]


async def seen(connection: Connection, table: str, at: list[str]) -> int:
    """How many rows can be read at some places: one look at each, however large the table is."""
    query = sql.SQL("select count(*) as number from {} where ctid = any(%s::tid[])").format(sql.Identifier(table))
    (row,) = await (await connection.execute(query, (at,))).fetchall()
    return int(row["number"])
