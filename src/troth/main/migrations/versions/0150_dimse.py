"""Destinations and commitments of the DICOM network."""

from __future__ import annotations

revision = "0150_dimse"
down_revision = "0140_ingest"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
