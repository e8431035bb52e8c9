"""What a browser asked for at the door: the code of its mail; and which questions to passkeys were answered.

Neither names anybody: a row is there for each address that is typed, known or not, and answers are digests.
"""

from __future__ import annotations

from alembic import op

revision = "0340_sign_in_ask"
down_revision = "0330_answers"
branch_labels = None
depends_on = None

SCHEMA = """
create table sign_in_ask (
    digest bytea primary key,
    bucket bigint not null,
    code_digest bytea,
    link_digest bytea,
    tries integer not null default 0,
    made_at timestamptz not null,
    expires_at timestamptz not null
);
create table passkey_answer (
    nonce_digest bytea primary key,
    expires_at timestamptz not null
);
"""
TABLES = ("sign_in_ask", "passkey_answer")


def upgrade() -> None:
    """Make the two tables."""
    op.execute(SCHEMA)
    for table in TABLES:
        op.execute(f"select platform_table('{table}')")


def downgrade() -> None:
    """Take them away."""
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
