"""Sessions are found by when they were over: each round of the upkeep asks which have been for a day."""

from __future__ import annotations

from alembic import op

revision = "0420_session_over"
down_revision = "0410_closed_account"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.execute("create index session_over on session (tenant, least(expires_at, ended_at))")


def downgrade() -> None:
    """Take it away again."""
    op.execute("drop index session_over")
