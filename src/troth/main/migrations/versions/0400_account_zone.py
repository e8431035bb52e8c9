"""Whose clocks an account reads: an IANA zone of its own, empty for the one of the notice."""

from __future__ import annotations

from alembic import op

revision = "0400_account_zone"
down_revision = "0390_bound_access"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.execute("alter table account add column zone text not null default ''")


def downgrade() -> None:
    """Take it away again."""
    op.execute("alter table account drop column zone")
