"""Merges of patients, conflicts in quarantine, corrections."""

from __future__ import annotations

revision = "0110_identity"
down_revision = "0100_assignments"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
