"""Holds and restrictions are looked up whether or not they say that they are over: their tags tell."""

from __future__ import annotations

from alembic import op

revision = "0305_every_bar"
down_revision = "0300_bound_rows"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Indexes over all rows."""
    op.execute("drop index legal_hold_target")
    op.execute("create index legal_hold_target on legal_hold (tenant, target_id)")
    op.execute("create index restriction_subject on restriction (tenant, subject_id)")


def downgrade() -> None:
    """As before."""
    op.execute("drop index restriction_subject")
    op.execute("drop index legal_hold_target")
    op.execute("create index legal_hold_target on legal_hold (tenant, target_id) where released_at is null")
