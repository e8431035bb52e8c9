"""Who is assigned to whom, and decisions that wait for a person."""

from __future__ import annotations

revision = "0100_assignments"
down_revision = "0090_sources"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
