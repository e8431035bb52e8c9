"""Rows that give, bar or name are bound to the ledger: a turn, a tag, and the entry of their last change.

A row that is changed loses its tag, and says so on the connection (`kit.watching`); the ledger binds it anew in an
entry of the same transaction (`ledger.binding`). At its end each row that was changed must have been bound: that is
against our own forgetting. Whoever is above the doors' role is not held by it, and is found by `verify`.
"""

from __future__ import annotations

from alembic import op

revision = "0300_bound_rows"
down_revision = "0295_viewer"
branch_labels = None
depends_on = None

# Table, key without the tenant, and columns that are bound, as of now: a later register has a migration of its own.
BOUND_TABLES = (
    ("membership", "account_id",
     "role is_active made_at name_sealed"),
    ("standing", "account_id organisation_id kind",
     "made_at"),
    ("subject_account", "subject_id account_id",
     "matched_at"),
    ("way_in", "id",
     "account_id role way accounts made_at"),
    ("admission", "id",
     "account_id role proposed_by state decided_by proposed_at expires_at decided_at invitee_sealed"),
    ("peer", "id",
     "organisation_id ae called_ae host address port purpose over_tls made_at certificate"),
    ("subject_merge", "id",
     "subject_id surviving_id rule_id patient_id_token surviving_patient_id_token made_by ended_by made_at "
     "ended_at key_ref sealed"),
    ("identity_rule", "id",
     "issuer_token made_by ended_by made_at ended_at key_ref sealed"),
    ("assignment", "id",
     "account_id way subject_id study_id made_by ended_by reviewed_by made_at until ended_at reviewed_at "
     "key_ref sealed"),
    ("legal_hold", "id",
     "scope target_id owner_id review_on ends_on released_by made_at released_at key_ref sealed"),
    ("restriction", "id",
     "number subject_id study_id clause made_at lifted_at sealed"),
    ("choice", "id",
     "number holder_id holder_kind kind key state notice version clause is_current event_id made_at "
     "expires_at sealed"),
    ("exchange_contract", "id",
     "key kind party approved_by valid_from valid_until document_id made_by end_reason made_at ended_at"),
    ("exchange_recipient", "id",
     "key stands_under name kind address country categories purposes contract_key peer_id email made_by "
     "made_at ended_at"),
    ("exchange_instrument", "id",
     "key kind origin destination recipient_key valid_from valid_until document_id made_by reason made_at "
     "invalidated_at"),
    ("exchange_instruction", "id",
     "key actions purposes valid_from valid_until made_by made_at revoked_at words"),
    ("exchange_order", "id",
     "kind authority country study_ids document_id valid_from valid_until answer made_by reviewed_by "
     "made_at reviewed_at ended_at scope"),
    ("rights_request", "id",
     "number right state subject_id opened_by opened_by_kind scope clauses notice_version opened_at "
     "acknowledge_by acknowledged_at due_at closed_at subject_key audit_key certificate "
     "certificate_signature reply_sealed"),
    ("notice_version", "id",
     "notice number effective_on audiences published_by second_person is_founding is_material published_at "
     "source sha256 signature"),
    ("notice_proposal", "id",
     "notice number effective_on is_material proposed_by state decided_by version_id proposed_at "
     "decided_at source sha256"),
)  # fmt: skip
ENDING_ONLY = (
    "membership", "subject_merge", "identity_rule", "legal_hold", "restriction", "exchange_contract",
    "exchange_recipient", "exchange_instrument", "exchange_instruction", "exchange_order",
)  # fmt: skip

# The arguments of the triggers are the columns of the key.
CHANGED = """
create function row_changed() returns trigger language plpgsql as $$
declare
    v_row jsonb := to_jsonb(case when tg_op = 'DELETE' then old else new end);
    v_key text := (select string_agg(v_row ->> part, ':' order by place)
                   from unnest(tg_argv) with ordinality as p(part, place));
    v_before text;
begin
    if tg_op = 'DELETE' then
        raise notice 'troth:row % % %', tg_table_name, v_key, old.turn + 1;
        return old;
    end if;
    if tg_op = 'UPDATE' then  -- of a row that gets another key the one before is no more
        v_row := to_jsonb(old);
        v_before := (select string_agg(v_row ->> part, ':' order by place)
                     from unnest(tg_argv) with ordinality as p(part, place));
        if v_before <> v_key then
            raise notice 'troth:row % % %', tg_table_name, v_before, old.turn + 1;
        end if;
    end if;
    new.tag := null;
    raise notice 'troth:row % % -', tg_table_name, v_key;
    return new;
end $$
"""
BOUND = """
create function row_bound() returns trigger language plpgsql as $$
declare
    v_row jsonb := to_jsonb(case when tg_op = 'DELETE' then old else new end);
    v_key text := (select string_agg(v_row ->> part, ':' order by place)
                   from unnest(tg_argv) with ordinality as p(part, place));
    v_where text := (select string_agg(format('%I = %L', part, v_row ->> part), ' and ')
                     from unnest(tg_argv) part);
    v_tenant uuid := coalesce(nullif(current_setting('app.tenant', true), '')::uuid,
                              '00000000-0000-0000-0000-000000000000'::uuid);
    v_now record;
    v_is_bound boolean;
begin
    if current_user <> 'troth_app' then
        return null;
    end if;
    execute format('select turn, tag, bound_by from %I where %s', tg_table_name, v_where) into v_now;
    if v_now.turn is null then
        select exists (select from ledger_entry e where e.tenant = v_tenant
            and e.id = any(string_to_array(nullif(current_setting('app.bound_by', true), ''), ',')::uuid[])
            and e.more -> 'binds' @> jsonb_build_array(jsonb_build_array(tg_table_name, v_key, null)))
            into v_is_bound;
    else
        select exists (select from ledger_entry e where e.tenant = v_tenant and e.id = v_now.bound_by
            and e.more -> 'binds' @> jsonb_build_array(
                jsonb_build_array(tg_table_name, v_key, v_now.turn, encode(v_now.tag, 'hex'))))
            into v_is_bound;
    end if;
    if not v_is_bound then
        raise exception 'a row of % was changed and no entry of the ledger binds it', tg_table_name
            using errcode = 'TR002';
    end if;
    return null;
end $$
"""


def upgrade() -> None:
    """The columns, and the triggers of each register."""
    op.execute("create index ledger_entry_binds on ledger_entry (tenant, id) where more ? 'binds'")
    op.execute(CHANGED)
    op.execute(BOUND)
    for function in ("row_changed()", "row_bound()"):
        op.execute(f"revoke all on function {function} from public")
        op.execute(f"grant execute on function {function} to troth_app")
    for table, keys, bound in BOUND_TABLES:
        key, columns = keys.split(), bound.split()
        op.execute(
            f"alter table {table} add column turn int not null default 0, add column tag bytea,"
            " add column bound_by uuid"
        )
        op.execute(f"grant update (turn, tag, bound_by) on {table} to troth_app")
        named = ", ".join(f'"{column}"' for column in (*key, *columns))
        arguments = ", ".join(f"'{column}'" for column in key)
        op.execute(
            f"create trigger row_changed before insert or update of {named} or delete on {table}"
            f" for each row execute function row_changed({arguments})"
        )
        op.execute(
            f"create constraint trigger row_bound after insert or update of {named} or delete on {table}"
            f" deferrable initially deferred for each row execute function row_bound({arguments})"
        )
    for table in ENDING_ONLY:
        op.execute(f"revoke delete on {table} from troth_app")


def downgrade() -> None:
    """Take them away again; the ledger keeps what it says."""
    for table in ENDING_ONLY:
        op.execute(f"grant delete on {table} to troth_app")
    for table, _, _ in reversed(BOUND_TABLES):
        op.execute(f"drop trigger row_bound on {table}")
        op.execute(f"drop trigger row_changed on {table}")
        op.execute(f"alter table {table} drop column bound_by, drop column tag, drop column turn")
    for function in ("row_bound()", "row_changed()"):
        op.execute(f"drop function {function}")
    op.execute("drop index ledger_entry_binds")
