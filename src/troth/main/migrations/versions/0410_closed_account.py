"""An account that is being closed: its key is destroyed first, then its row; who is killed in between goes on."""

from __future__ import annotations

from alembic import op

revision = "0410_closed_account"
down_revision = "0400_account_zone"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the mark."""
    op.execute("alter table account add column closed_at timestamptz")
    op.execute("create index account_closed on account (closed_at) where closed_at is not null")


def downgrade() -> None:
    """Take it away again."""
    op.execute("alter table account drop column closed_at")
