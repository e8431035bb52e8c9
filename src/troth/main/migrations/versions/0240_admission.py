"""Who let whom in: ways in, and what waits for a second person."""

from __future__ import annotations

from alembic import op

revision = "0240_admission"
down_revision = "0230_withdrawn"
branch_labels = None
depends_on = None

TABLES = """
create table way_in (
    tenant uuid not null references organisation (id),
    id uuid not null,
    account_id uuid not null,
    role text not null,
    way text not null check (way in ('founding', 'command', 'invitation', 'role')),
    accounts uuid[] not null,
    made_at timestamptz not null,
    primary key (tenant, id)
);
create index way_in_account on way_in (tenant, account_id);
create table admission (
    tenant uuid not null references organisation (id),
    id uuid not null,
    account_id uuid,
    role text not null check (role in ('clinician', 'referrer', 'office', 'admin')),
    invitee_sealed bytea,
    proposed_by uuid not null,
    proposed_at timestamptz not null,
    expires_at timestamptz not null,
    state text not null default 'waits' check (state in ('waits', 'agreed', 'refused')),
    decided_by uuid,
    decided_at timestamptz,
    primary key (tenant, id),
    check ((account_id is null) = (invitee_sealed is not null))
);
alter table invitation add column let_in_by uuid[] not null default '{}';
"""


def upgrade() -> None:
    """The tables, and beside an invitation the accounts that agreed to it."""
    op.execute(TABLES)
    for table in ("way_in", "admission"):
        op.execute(f"select tenant_table('{table}')")


def downgrade() -> None:
    """Drop them again."""
    op.execute("alter table invitation drop column let_in_by; drop table admission; drop table way_in")
