"""Who of a privacy office wants no mail about what waits, and on which day each was written to last."""

from __future__ import annotations

from alembic import op

revision = "0310_reminder"
down_revision = "0305_every_bar"
branch_labels = None
depends_on = None

MAKE = """
create table reminder (
    tenant uuid not null references organisation (id),
    account_id uuid not null references account (id) on delete cascade,
    is_off boolean not null default false,
    mailed_on date,
    primary key (tenant, account_id)
);
"""


def upgrade() -> None:
    """Make it."""
    op.execute(MAKE)
    op.execute("select tenant_table('reminder')")


def downgrade() -> None:
    """Drop it again."""
    op.execute("drop table reminder")
