"""Entries say more in the clear (leaf version 2), commit to the readable payload, and carry a code of the deployment.

What was written before is of version 1, has none of it, and stays as it was signed.
"""

from __future__ import annotations

from alembic import op

revision = "0275_leaves"
down_revision = "0265_proofs"
branch_labels = None
depends_on = None

COLUMNS = (
    "v smallint not null default 1",
    "notice text not null default ''",
    "action text not null default ''",
    "via text not null default ''",
    "session uuid",
    "more jsonb",
    "payload_commit bytea",
    "mac bytea",
)

APPEND = """
create or replace function ledger_append(p jsonb) returns int language plpgsql as $$
begin
    insert into ledger_entry (tenant, id, at, kind, actor_id, actor_kind, role, subject_id, study_id, purpose, clauses,
                              decision_id, outcome, counts, key, payload, v, notice, action, via, session, more,
                              payload_commit, mac)
    select e.tenant, e.id, e.at, e.kind, e.actor_id, e.actor_kind, e.role, e.subject_id, e.study_id, e.purpose,
           e.clauses, e.decision_id, e.outcome, e.counts, e.key, e.payload, e.v, e.notice, e.action, e.via, e.session,
           e.more, e.payload_commit, e.mac
    from jsonb_to_recordset(p) as e(tenant uuid, id uuid, at timestamptz, kind text, actor_id uuid, actor_kind text,
         role text, subject_id uuid, study_id uuid, purpose text, clauses text[], decision_id uuid, outcome text,
         counts jsonb, key bytea, payload bytea, v smallint, notice text, action text, via text, session uuid,
         more jsonb, payload_commit bytea, mac bytea);
    return jsonb_array_length(p);
end $$
"""

APPEND_BEFORE = """
create or replace function ledger_append(p jsonb) returns int language plpgsql as $$
begin
    insert into ledger_entry (tenant, id, at, kind, actor_id, actor_kind, role, subject_id, study_id, purpose, clauses,
                              decision_id, outcome, counts, key, payload)
    select e.tenant, e.id, e.at, e.kind, e.actor_id, e.actor_kind, e.role, e.subject_id, e.study_id, e.purpose,
           e.clauses, e.decision_id, e.outcome, e.counts, e.key, e.payload
    from jsonb_to_recordset(p) as e(tenant uuid, id uuid, at timestamptz, kind text, actor_id uuid, actor_kind text,
         role text, subject_id uuid, study_id uuid, purpose text, clauses text[], decision_id uuid, outcome text,
         counts jsonb, key bytea, payload bytea);
    return jsonb_array_length(p);
end $$
"""


def upgrade() -> None:
    """Add the columns, and let the function write them."""
    op.execute(f"alter table ledger_entry {', '.join(f'add column {column}' for column in COLUMNS)}")
    # Who was signed in when: every look at sessions asks so.
    op.execute("create index ledger_entry_session on ledger_entry (tenant, session) where session is not null")
    op.execute(APPEND)


def downgrade() -> None:
    """Take them away, where nothing was written with them."""
    op.execute(
        "do $$ begin if exists (select from ledger_entry where v > 1) then"
        " raise exception 'Entries of version 2 were signed: a ledger is never taken away.'; end if; end $$"
    )
    op.execute(APPEND_BEFORE)
    op.execute("drop index ledger_entry_session")
    for column in COLUMNS:
        op.execute(f"alter table ledger_entry drop column {column.split()[0]}")
