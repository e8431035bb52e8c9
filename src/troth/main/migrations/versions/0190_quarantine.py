"""Instances in conflict with what is held, kept apart until a person resolves it or their time is over.

What is clear here is what is clear of an instance that is held. Each row has a key of its own, so that one of them can
be destroyed without the others. In state `ending` a row is out of every answer and waits for its key and bytes to go.
"""

from __future__ import annotations

from alembic import op

revision = "0190_quarantine"
down_revision = "0200_level"
branch_labels = None
depends_on = None

UPGRADE = """
create table quarantined (
    tenant uuid not null,
    id uuid not null,
    state text not null default 'kept' check (state in ('kept', 'ending')),
    reason text not null check (reason in ('duplicate-differs', 'other-patient', 'other-study')),
    study_uid text not null,
    series_uid text not null,
    instance_uid text not null,
    sop_class text not null,
    syntax text not null,
    modality text not null default '',
    patient_key_token int8 not null,
    study_digest bytea not null,
    digest bytea not null,
    key bytea not null,
    head_locator bytea not null,
    head_bytes bigint not null,
    bulk_locator bytea,
    bulk_bytes bigint not null default 0,
    frame_table bytea,
    sealed bytea not null,
    sender_id uuid not null,
    received_at timestamptz not null,
    primary key (tenant, id)
);
create unique index quarantined_same on quarantined (tenant, digest) where state = 'kept';
create index quarantined_study on quarantined (tenant, study_uid);
create index quarantined_patient on quarantined (tenant, patient_key_token);
create index quarantined_oldest on quarantined (tenant, received_at);
alter table quarantined alter column patient_key_token set statistics 0;
select tenant_table('quarantined');
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Take it away again."""
    op.execute("drop table quarantined")
