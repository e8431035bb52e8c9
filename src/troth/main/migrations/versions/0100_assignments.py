"""Who takes part in whose care, and objections that wait for a person.

Whom an assignment is about, how and until when is in the clear, because decisions and lists read it; why is sealed
under the audit key of the person, or of the organisation where it is about nobody in particular.
"""

from __future__ import annotations

from alembic import op

from troth.main.migrations.tenants import rows_of_every_tenant

revision = "0100_assignments"
down_revision = "0090_sources"
branch_labels = None
depends_on = None

SCHEMA = """
create table assignment (
    tenant uuid not null,
    id uuid not null,
    account_id uuid not null,
    way text not null check (way in ('care', 'duty', 'emergency')),
    subject_id uuid,
    study_id uuid,
    made_by uuid,
    made_at timestamptz not null,
    until timestamptz not null,
    ended_at timestamptz,
    ended_by uuid,
    reviewed_at timestamptz,
    reviewed_by uuid,
    key_ref bytea not null,
    sealed bytea not null,
    primary key (tenant, id),
    check ((way = 'duty') = (subject_id is null)),
    check (study_id is null or subject_id is not null),
    check (until > made_at)
);
create unique index assignment_standing on assignment (tenant, account_id, way, subject_id, study_id)
    nulls not distinct where ended_at is null;
create index assignment_of_staff on assignment (tenant, account_id, subject_id) where ended_at is null;
create index assignment_of_subject on assignment (tenant, subject_id) where ended_at is null;
create index assignment_emergency on assignment (tenant, made_at) where way = 'emergency';
alter table choice drop constraint choice_state_check;
alter table choice add constraint choice_state_check
    check (state in ('given', 'refused', 'withdrawn', 'granted', 'waiting'));
alter table membership add column last_here_at timestamptz;
create unique index proposal_waiting on proposal (tenant, holder_id, what) where state = 'queued';
create index choice_waiting on choice (tenant, made_at) where state = 'waiting' and is_current;
"""


def upgrade() -> None:
    """Make the table, and let an objection wait."""
    op.execute(SCHEMA)
    op.execute("select tenant_table('assignment')")


def downgrade() -> None:
    """Take them away again; what waits for a person is granted, as it was felt meanwhile."""
    op.execute("drop table assignment")
    op.execute("drop index choice_waiting")
    op.execute("drop index proposal_waiting")
    op.execute("alter table membership drop column last_here_at")
    with rows_of_every_tenant("choice"):
        op.execute("update choice set state = 'granted' where state = 'waiting'")
    op.execute("alter table choice drop constraint choice_state_check")
    op.execute(
        "alter table choice add constraint choice_state_check "
        "check (state in ('given', 'refused', 'withdrawn', 'granted'))"
    )
