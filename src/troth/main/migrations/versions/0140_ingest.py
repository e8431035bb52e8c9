"""Fewer round trips for what is stored."""

from __future__ import annotations

revision = "0140_ingest"
down_revision = "0130_series_metadata"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
