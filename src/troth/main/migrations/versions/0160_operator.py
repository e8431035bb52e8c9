"""Which organisation runs the whole service: its privacy office may publish the notice."""

from __future__ import annotations

from alembic import op

revision = "0160_operator"
down_revision = "0150_dimse"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A mark on the organisation; at most one carries it."""
    op.execute("alter table organisation add column operates boolean not null default false")
    op.execute("create unique index organisation_operates on organisation (operates) where operates")


def downgrade() -> None:
    """Take the mark away."""
    op.execute("alter table organisation drop column operates")
