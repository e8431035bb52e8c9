"""The viewer's own secret of a session, and when what let it in was issued."""

from __future__ import annotations

from alembic import op

revision = "0295_viewer"
down_revision = "0290_deployment"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; who is signed in now is led through the pages once."""
    op.execute("alter table session add column viewer_digest bytea, add column viewer_issued bigint")
    op.execute("create unique index session_viewer on session (tenant, viewer_digest)")


def downgrade() -> None:
    """Take them away."""
    op.execute("alter table session drop column viewer_digest, drop column viewer_issued")
