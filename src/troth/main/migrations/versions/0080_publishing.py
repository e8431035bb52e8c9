"""Proposed versions of notices, what people agreed to, and whom a change still has to be told."""

from __future__ import annotations

from alembic import op

revision = "0080_publishing"
down_revision = "0070_exchange"
branch_labels = None
depends_on = None

# A proposal belongs to the deployment. What was seen before agreeing (counts, never people) is kept with it.
PROPOSALS = """
create table notice_proposal (
    id           uuid        not null primary key,
    notice       text        not null,
    number       integer     not null check (number > 0),
    effective_on date        not null,
    source       text        not null,
    sha256       bytea       not null check (octet_length(sha256) = 32),
    is_material  boolean     not null,
    proposed_by  uuid        not null,
    proposed_at  timestamptz not null,
    state        text        not null default 'open' check (state in ('open', 'agreed', 'withdrawn')),
    decided_by   uuid,
    decided_at   timestamptz,
    version_id   uuid        references notice_version (id),
    check (state <> 'agreed' or (version_id is not null and decided_by is not null and decided_by <> proposed_by))
);
create unique index notice_proposal_open on notice_proposal (notice) where state = 'open';
"""

# Ids alone: which change is to be told, and which accounts were told. The message itself is made when it is sent.
TOLD = """
create table amendment (
    version_id  uuid        not null primary key references notice_version (id),
    is_material boolean     not null,
    queued_at   timestamptz not null,
    taken_at    timestamptz,
    told_at     timestamptz
);
create table amendment_message (
    version_id uuid        not null references amendment (version_id),
    account_id uuid        not null,
    audiences  text[]      not null,
    sent_at    timestamptz,
    primary key (version_id, account_id)
);
create index amendment_message_waiting on amendment_message (version_id, account_id) where sent_at is null;
"""


def upgrade() -> None:
    """Create the tables of proposals and of telling."""
    op.execute("alter table notice_version add column is_material boolean not null default false")
    op.execute(PROPOSALS)
    op.execute(TOLD)
    for table in ("notice_proposal", "amendment", "amendment_message"):
        op.execute(f"select platform_table('{table}')")
        op.execute(f"revoke delete on {table} from troth_app")


def downgrade() -> None:
    """Drop them."""
    for table in ("amendment_message", "amendment", "notice_proposal"):
        op.execute(f"drop table {table}")
    op.execute("alter table notice_version drop column is_material")
