"""Where the last answer goes to somebody who is erased, until it went."""

from __future__ import annotations

from alembic import op

revision = "0260_reply"
down_revision = "0255_outbox"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A sealed address beside the request."""
    op.execute("alter table rights_request add column reply_sealed bytea")


def downgrade() -> None:
    """Take it away."""
    op.execute("alter table rights_request drop column reply_sealed")
