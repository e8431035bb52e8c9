"""An id of the deployment, the same as beside its keyring: neither is opened with another deployment's other half."""

from __future__ import annotations

from alembic import op

revision = "0290_deployment"
down_revision = "0280_order_review"
branch_labels = None
depends_on = None

SCHEMA = """
create table deployment (
    is_only boolean primary key default true check (is_only),
    id uuid not null default gen_random_uuid()
);
insert into deployment default values;
"""


def upgrade() -> None:
    """Make the table with its one row; only the owner reads it."""
    op.execute(SCHEMA)


def downgrade() -> None:
    """Take it away again."""
    op.execute("drop table deployment")
