"""Ready-made metadata of series."""

from __future__ import annotations

revision = "0130_series_metadata"
down_revision = "0120_durability"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
