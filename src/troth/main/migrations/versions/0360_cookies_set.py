"""Which cookies the answers of the doors really set: each name once, written where it is first seen."""

from __future__ import annotations

from alembic import op

revision = "0360_cookies_set"
down_revision = "0340_sign_in_ask"
branch_labels = None
depends_on = None

TABLE = """
create table cookie_set (
    name text primary key,
    first_at timestamptz not null
);
"""


def upgrade() -> None:
    """Make the table: of the platform, since a cookie is set before anybody knows whose browser it is."""
    op.execute(TABLE)
    op.execute("select platform_table('cookie_set')")


def downgrade() -> None:
    """Take it away again."""
    op.execute("drop table cookie_set")
