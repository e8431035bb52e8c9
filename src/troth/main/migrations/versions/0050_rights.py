"""Requests of data subjects, their items and steps, the copies made for them, and what waits for a worker."""

from __future__ import annotations

from alembic import op

revision = "0050_rights"
down_revision = "0040_archive"
branch_labels = None
depends_on = None

TENANT_TABLES = ("rights_counter", "rights_request", "rights_item", "rights_step", "rights_copy")

SCHEMA = """
create table rights_counter (
    tenant uuid not null,
    next_number int not null,
    primary key (tenant)
);
create table rights_request (
    tenant uuid not null,
    id uuid not null,
    number int not null,
    "right" text not null,
    state text not null,
    subject_id uuid not null,
    subject_key bytea not null,
    audit_key bytea not null,
    opened_by uuid,
    opened_by_kind text not null,
    opened_at timestamptz not null,
    acknowledge_by timestamptz not null,
    acknowledged_at timestamptz,
    due_at timestamptz not null,
    closed_at timestamptz,
    scope uuid[] not null default '{}',
    clauses text[] not null,
    notice_version text not null,
    certificate bytea,
    certificate_signature bytea,
    primary key (tenant, id),
    unique (tenant, number)
);
create index rights_request_subject on rights_request (tenant, subject_id);
create index rights_request_due on rights_request (tenant, due_at);
create table rights_item (
    tenant uuid not null,
    request_id uuid not null,
    id uuid not null,
    position int not null,
    kind text not null,
    target_id uuid,
    title bytea not null,
    outcome text not null,
    ground text not null default '',
    clause text not null default '',
    until date,
    event_id uuid,
    primary key (tenant, request_id, id),
    foreign key (tenant, request_id) references rights_request (tenant, id)
);
create table rights_step (
    tenant uuid not null,
    request_id uuid not null,
    name text not null,
    at timestamptz not null,
    detail text not null default '',
    position bigint generated always as identity,
    primary key (tenant, request_id, name),
    foreign key (tenant, request_id) references rights_request (tenant, id)
);
create table rights_copy (
    tenant uuid not null,
    request_id uuid not null,
    studies uuid[] not null,
    locator bytea not null,
    key_ref bytea not null,
    key bytea not null,
    length_bytes bigint not null,
    sha256 bytea not null,
    made_at timestamptz not null,
    expires_at timestamptz not null,
    files int not null default 0,
    event_id uuid,
    collected int not null default 0,
    primary key (tenant, request_id),
    foreign key (tenant, request_id) references rights_request (tenant, id)
);
"""

# The worker serves all organisations: what waits for it is named here by ids alone, in the same transaction that
# opens the request (or makes the copy that ends one day), so that nothing can be lost between the two.
OUTBOX = """
create table rights_outbox (
    request_id uuid not null,
    work text not null check (work in ('fulfil', 'expire')),
    tenant uuid not null,
    due_at timestamptz not null,
    primary key (request_id, work)
);
create index rights_outbox_due on rights_outbox (due_at);
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(SCHEMA)
    op.execute(OUTBOX)
    for table in TENANT_TABLES:
        op.execute(f"select tenant_table('{table}')")
    op.execute("select platform_table('rights_outbox')")


def downgrade() -> None:
    """Take them away again."""
    op.execute("drop table rights_outbox")
    for table in reversed(TENANT_TABLES):
        op.execute(f"drop table {table}")
