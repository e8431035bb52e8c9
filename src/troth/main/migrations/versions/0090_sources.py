"""Where personal data came from, and which versions of notice and terms an account accepted."""

from __future__ import annotations

revision = "0090_sources"
down_revision = "0080_publishing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
