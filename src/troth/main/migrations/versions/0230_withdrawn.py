"""An invitation can be withdrawn."""

from __future__ import annotations

from alembic import op

revision = "0230_withdrawn"
down_revision = "0220_unused_functions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """When it was withdrawn, so that a list tells it from one that ran out."""
    op.execute("alter table invitation add column withdrawn_at timestamptz")


def downgrade() -> None:
    """Take it away."""
    op.execute("alter table invitation drop column withdrawn_at")
