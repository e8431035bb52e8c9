"""Who looked at a legal order, beside who filed it."""

from __future__ import annotations

from alembic import op

revision = "0280_order_review"
down_revision = "0277_draft"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An order that was filed before counts as looked at by nobody: somebody else has to do it now."""
    op.execute("alter table exchange_order add column reviewed_by uuid, add column reviewed_at timestamptz")
    op.execute("alter table exchange_order add check (reviewed_by is distinct from made_by or reviewed_by is null)")


def downgrade() -> None:
    """Take it away."""
    op.execute("alter table exchange_order drop column reviewed_at, drop column reviewed_by")
