"""Searches by PatientID look for merges in the same statement, so each way in has an index."""

from __future__ import annotations

from alembic import op

revision = "0210_search"
down_revision = "0180_merges"
branch_labels = None
depends_on = None

INDEXES = {"subject_merge_number": "patient_id_token", "subject_merge_surviving_number": "surviving_patient_id_token"}


def upgrade() -> None:
    """Make the indexes."""
    for name, column in INDEXES.items():
        op.execute(f"create index {name} on subject_merge (tenant, {column}) where ended_at is null")


def downgrade() -> None:
    """Take them away."""
    for name in INDEXES:
        op.execute(f"drop index {name}")
