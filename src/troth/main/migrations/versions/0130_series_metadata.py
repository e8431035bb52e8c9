"""Ready-made metadata of series: sealed under the study's key, gone with the series.

`version` names the heads that the answer was made from; a row for others is never read.
"""

from __future__ import annotations

from alembic import op

revision = "0130_series_metadata"
down_revision = "0120_durability"
branch_labels = None
depends_on = None

SCHEMA = """
create table series_metadata (
    tenant uuid not null,
    series_id uuid not null,
    version bytea not null,
    sealed bytea not null,
    primary key (tenant, series_id),
    foreign key (tenant, series_id) references series (tenant, id) on delete cascade
);
-- It is deflated and sealed: there is nothing to compress.
alter table series_metadata alter column sealed set storage external;
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(SCHEMA)
    op.execute("select tenant_table('series_metadata')")


def downgrade() -> None:
    """Take it away again."""
    op.execute("drop table series_metadata")
