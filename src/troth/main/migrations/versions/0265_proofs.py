"""What was found of the promises: each run with its results, and each break for as long as it is told."""

from __future__ import annotations

from alembic import op

revision = "0265_proofs"
down_revision = "0260_reply"
branch_labels = None
depends_on = None

TABLES = """
create table proof_run (
    id uuid primary key,
    size bigint not null,
    program text not null,
    sha256 bytea not null,
    results jsonb not null,
    counts jsonb not null default '{}',
    started_at timestamptz not null,
    ended_at timestamptz not null
);
create index proof_run_latest on proof_run (ended_at desc);
create table proof_breach (
    id uuid primary key,
    notice text not null,
    clause text not null,
    look text not null,
    first_index bigint,
    found_at timestamptz not null,
    ended_at timestamptz
);
create unique index proof_breach_open on proof_breach (notice, clause, look) where ended_at is null;
"""


def upgrade() -> None:
    """Make the tables: of the platform, since a run looks at all of it."""
    op.execute(TABLES)
    for table in ("proof_run", "proof_breach"):
        op.execute(f"select platform_table('{table}')")


def downgrade() -> None:
    """Take them away again."""
    op.execute("drop table proof_breach")
    op.execute("drop table proof_run")
