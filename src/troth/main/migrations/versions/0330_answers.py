"""What is said of a promise that was broken, by one person and agreed to by another; what a run itself wrote."""

from __future__ import annotations

from alembic import op

revision = "0330_answers"
down_revision = "0310_reminder"
branch_labels = None
depends_on = None

COLUMNS = """
alter table proof_run add column written integer not null default 0;
alter table proof_breach
    add column against bigint not null default 0,
    add column is_event boolean not null default false,
    add column tenant_of uuid,
    add column said_by uuid,
    add column said_at timestamptz,
    add column said_against bigint,
    add column key_ref bytea,
    add column sealed bytea,
    add column agreed_by uuid,
    add column agreed_at timestamptz;
"""


def upgrade() -> None:
    """Add the columns: who answers for a break is of an organisation, the break itself of the platform."""
    op.execute(COLUMNS)


def downgrade() -> None:
    """Take them away again."""
    op.execute("alter table proof_run drop column written")
    for name in (
        "against", "is_event", "tenant_of", "said_by", "said_at", "said_against", "key_ref", "sealed", "agreed_by",
        "agreed_at",
    ):  # fmt: skip
        op.execute(f"alter table proof_breach drop column {name}")
