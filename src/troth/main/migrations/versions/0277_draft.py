"""What somebody had typed when their session ended, sealed under their account's key for half an hour."""

from __future__ import annotations

from alembic import op

revision = "0277_draft"
down_revision = "0275_leaves"
branch_labels = None
depends_on = None

MAKE = """
create table draft (
    tenant uuid not null references organisation (id),
    account_id uuid not null references account (id) on delete cascade,
    holder_id uuid not null,
    sealed bytea not null,
    made_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (tenant, account_id, holder_id)
);
"""


def upgrade() -> None:
    """Make it."""
    op.execute(MAKE)
    op.execute("select tenant_table('draft')")


def downgrade() -> None:
    """Drop it again."""
    op.execute("drop table draft")
