"""Choices of people (consents, channels, objections, versions, ages), restrictions, proposals, and legal holds.

What a choice is about is in the clear, in words of the notice, because decisions read it; the record itself (wording,
reason, who, how) is sealed under the key of the person. A choice is never changed: the next one takes its place.
"""

from __future__ import annotations

from alembic import op

revision = "0060_choices"
down_revision = "0050_rights"
branch_labels = None
depends_on = None

TENANT_TABLES = ("choice_counter", "choice", "restriction", "proposal", "legal_hold")

SCHEMA = """
create table choice_counter (
    tenant uuid not null,
    next_number int not null,
    primary key (tenant)
);
create table choice (
    tenant uuid not null,
    id uuid not null,
    number int not null,
    holder_id uuid not null,
    holder_kind text not null check (holder_kind in ('subject', 'account')),
    kind text not null check (kind in ('consent', 'channel', 'objection', 'version', 'age')),
    key text not null,
    state text not null check (state in ('given', 'refused', 'withdrawn', 'granted')),
    notice text not null,
    version int not null,
    clause text not null default '',
    made_at timestamptz not null,
    expires_at timestamptz,
    is_current boolean not null default true,
    sealed bytea not null,
    event_id uuid,
    primary key (tenant, id),
    unique (tenant, number)
);
create unique index choice_current on choice (tenant, holder_id, kind, key) where is_current;
create index choice_holder on choice (tenant, holder_id, number);
create table restriction (
    tenant uuid not null,
    id uuid not null,
    number int not null,
    subject_id uuid not null,
    study_id uuid,
    clause text not null default '',
    made_at timestamptz not null,
    lifted_at timestamptz,
    sealed bytea not null,
    primary key (tenant, id),
    unique (tenant, number)
);
create unique index restriction_in_force on restriction (tenant, subject_id, study_id) nulls not distinct
    where lifted_at is null;
create table proposal (
    tenant uuid not null,
    id uuid not null,
    holder_id uuid not null,
    what text not null,
    state text not null check (state in ('queued', 'confirmed', 'dismissed')),
    made_at timestamptz not null,
    decided_at timestamptz,
    decided_by uuid,
    sealed bytea not null,
    primary key (tenant, id)
);
create index proposal_queue on proposal (tenant, made_at) where state = 'queued';
create table legal_hold (
    tenant uuid not null,
    id uuid not null,
    scope text not null check (scope in ('study', 'subject', 'organisation')),
    target_id uuid not null,
    owner_id uuid not null,
    review_on date not null,
    ends_on date,
    made_at timestamptz not null,
    released_at timestamptz,
    released_by uuid,
    key_ref bytea not null,
    sealed bytea not null,
    primary key (tenant, id)
);
create index legal_hold_target on legal_hold (tenant, target_id) where released_at is null;
create index legal_hold_review on legal_hold (tenant, review_on) where released_at is null;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(SCHEMA)
    for table in TENANT_TABLES:
        op.execute(f"select tenant_table('{table}')")


def downgrade() -> None:
    """Take them away again."""
    for table in reversed(TENANT_TABLES):
        op.execute(f"drop table {table}")
