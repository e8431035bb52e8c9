"""The one entry of which it is asked whether a tree has taken it; however long the ledger, it is found at once."""

from __future__ import annotations

from alembic import op

revision = "0430_head_differed"
down_revision = "0420_session_over"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index: it holds next to nothing, as it is written only where the database is not what was signed."""
    op.execute("create index ledger_entry_differed on ledger_entry (tenant, id) where kind = 'ledger:head:differed'")


def downgrade() -> None:
    """Take it away again."""
    op.execute("drop index ledger_entry_differed")
