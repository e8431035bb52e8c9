"""What scrubbing, sweeping, backups and imports keep."""

from __future__ import annotations

revision = "0120_durability"
down_revision = "0110_identity"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
