"""The ledger: entries that only grow, their leaves, tiles and signed checkpoints.

Per: RFC 6962 2.1, C2SP tlog-tiles and tlog-checkpoint. Who may do what:

- ``troth_app`` inserts and selects entries of its own tenant, and reads leaves, tiles and checkpoints. It has no
  update, delete or truncate on any of these tables.
- ``troth_sequencer`` reads the entries of every tenant and writes leaves, tiles, subjects and checkpoints.
- Platform entries (no tenant) carry the nil UUID, so that keys, indexes and the policy need one equality only.
"""

from __future__ import annotations

from alembic import op

revision = "0020_ledger"
down_revision = "0010_people"
branch_labels = None
depends_on = None

# The tenant of the transaction; the nil UUID where none is set (platform scope).
SCOPE = "coalesce(nullif(current_setting('app.tenant', true), '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid)"

TABLES = (
    """
    create table ledger_entry (
        tenant uuid not null,
        id uuid not null,
        at timestamptz not null,
        kind text not null,
        actor_id uuid,
        actor_kind text not null,
        role text not null,
        subject_id uuid,
        study_id uuid,
        purpose text not null,
        clauses text[] not null,
        decision_id uuid,
        outcome text not null,
        counts jsonb not null,
        key bytea,
        payload bytea,
        primary key (tenant, id),
        check (outcome in ('done', 'refused', 'failed')),
        check (payload is null or key is not null)
    )
    """,
    "create index ledger_entry_subject on ledger_entry (tenant, subject_id, id) where subject_id is not null",
    "create index ledger_entry_study on ledger_entry (tenant, study_id, id) where study_id is not null",
    # The queue of what has no leaf yet. Filled by a trigger, so nothing that commits can be left out; a
    # transaction that commits late simply shows up late. A high-water mark would skip it.
    """
    create table ledger_pending (
        seq bigint generated always as identity primary key,
        tenant uuid not null,
        entry_id uuid not null
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
    """,
    # No foreign key: its check would lock, and so write, every entry once more. `verify` compares both sides.
    """
    create table ledger_leaf (
        index bigint primary key check (index >= 0),
        tenant uuid not null,
        entry_id uuid not null,
        subject_id uuid,
        subject_seq bigint,
        subject_prev bytea,
        leaf bytea not null,
        leaf_hash bytea not null,
        unique (tenant, entry_id)
    )
    """,
    """
    create unique index ledger_leaf_subject on ledger_leaf (tenant, subject_id, subject_seq)
        where subject_id is not null
    """,
    """
    create table ledger_subject (
        tenant uuid not null,
        subject_id uuid not null,
        held bigint not null,
        head bytea not null,
        primary key (tenant, subject_id)
    ) with (fillfactor = 80)
    """,
    """
    create table ledger_tile (
        level smallint not null,
        index bigint not null,
        width smallint not null check (width between 1 and 256),
        bytes bytea not null,
        primary key (level, index)
    )
    """,
    # Hashes do not compress: do not try.
    "alter table ledger_tile alter column bytes set storage external",
    """
    create table ledger_checkpoint (
        size bigint primary key check (size > 0),
        previous bigint not null unique check (previous < size),
        root bytea not null,
        at timestamptz not null,
        fence bigint not null,
        note text not null
    )
    """,
    "create table ledger_fence (id smallint primary key check (id = 1), number bigint not null)",
    "insert into ledger_fence (id, number) values (1, 0)",
)

ENQUEUE = (
    """
    create function ledger_enqueue() returns trigger language plpgsql security definer
        set search_path = pg_catalog, public as $$
    begin
        insert into public.ledger_pending (tenant, entry_id) select tenant, id from added;
        return null;
    end $$
    """,
    "revoke all on function ledger_enqueue() from public",
    """
    create trigger ledger_entry_enqueue after insert on ledger_entry referencing new table as added
        for each statement execute function ledger_enqueue()
    """,
)

TENANT_TABLES = ("ledger_entry", "ledger_pending", "ledger_leaf", "ledger_subject")
ALL_TABLES = (*TENANT_TABLES, "ledger_tile", "ledger_checkpoint", "ledger_fence")

GRANTS = (
    "grant select, insert on ledger_entry to troth_app",
    "grant select on ledger_leaf, ledger_subject, ledger_tile, ledger_checkpoint to troth_app",
    "grant select on ledger_entry to troth_sequencer",
    "grant select, delete on ledger_pending to troth_sequencer",
    "grant select, insert on ledger_leaf, ledger_checkpoint to troth_sequencer",
    "grant select, insert, update on ledger_subject, ledger_tile to troth_sequencer",
    "grant select, update on ledger_fence to troth_sequencer",
)

POLICIES = (
    f"create policy of_scope on ledger_entry to troth_app using (tenant = {SCOPE}) with check (tenant = {SCOPE})",
    f"create policy of_scope on ledger_leaf for select to troth_app using (tenant = {SCOPE})",
    f"create policy of_scope on ledger_subject for select to troth_app using (tenant = {SCOPE})",
    "create policy sequencing on ledger_entry for select to troth_sequencer using (true)",
    "create policy sequencing on ledger_pending to troth_sequencer using (true)",
    "create policy sequencing on ledger_leaf to troth_sequencer using (true) with check (true)",
    "create policy sequencing on ledger_subject to troth_sequencer using (true) with check (true)",
    # The trigger's function runs as the owner, whom FORCE binds too: it may add to the queue and nothing else.
    "create policy enqueueing on ledger_pending for insert to current_user with check (true)",
)


def upgrade() -> None:
    """Create tables, queue trigger, row-level security and grants."""
    for statement in (*TABLES, *ENQUEUE):
        op.execute(statement)
    for table in ALL_TABLES:
        op.execute(f"revoke all on {table} from public, troth_app, troth_sequencer")
    for table in TENANT_TABLES:
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
    for statement in (*GRANTS, *POLICIES):
        op.execute(statement)


def downgrade() -> None:
    """Refuse: a ledger is never taken away."""
    raise NotImplementedError("A ledger cannot be taken away.")
