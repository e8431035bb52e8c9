"""The level of service that an organisation has subscribed to: which services it has is for the notice to say."""

from __future__ import annotations

from alembic import op

revision = "0200_level"
down_revision = "0170_corrections"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A word beside the organisation. Whoever runs the service changes it; a word that no clause knows has nothing."""
    op.execute(
        "alter table organisation add column level text not null default 'full'"
        " check (level ~ '^[a-z][a-z0-9_]{0,31}$')"
    )


def downgrade() -> None:
    """Take it away."""
    op.execute("alter table organisation drop column level")
