"""Two identifiers of one human being: links that can be undone, and whose each study is while they stand.

`study.subject_id` stays the subject whose identifier the study came with, whose keys and ledger entries are its own;
`study.surviving_id` is whose it is now, for decisions and lists. Undoing a link is so exact. A trigger sets it as a
study is made: it waits for a merge under way, so that a study made meanwhile ends where it should.
"""

from __future__ import annotations

from alembic import op

from troth.main.migrations.tenants import rows_of_every_tenant

revision = "0180_merges"
down_revision = "0190_quarantine"
branch_labels = None
depends_on = None

TABLES = ("subject_merge", "subject_apart", "identity_rule")

SCHEMA = """
create table subject_merge (
    tenant uuid not null,
    id uuid not null,
    subject_id uuid not null,
    surviving_id uuid not null,
    rule_id uuid,
    patient_id_token int8,
    surviving_patient_id_token int8,
    made_by uuid,
    made_at timestamptz not null,
    ended_at timestamptz,
    ended_by uuid,
    key_ref bytea not null,
    sealed bytea not null,
    primary key (tenant, id),
    check (subject_id <> surviving_id)
);
create unique index subject_merge_standing on subject_merge (tenant, subject_id) where ended_at is null;
create index subject_merge_surviving on subject_merge (tenant, surviving_id) where ended_at is null;
create table subject_apart (
    tenant uuid not null,
    subject_id uuid not null,
    other_subject_id uuid not null,
    made_by uuid,
    made_at timestamptz not null,
    primary key (tenant, subject_id, other_subject_id),
    check (subject_id < other_subject_id)
);
create table identity_rule (
    tenant uuid not null,
    id uuid not null,
    issuer_token int8 not null,
    made_by uuid,
    made_at timestamptz not null,
    ended_at timestamptz,
    ended_by uuid,
    key_ref bytea not null,
    sealed bytea not null,
    primary key (tenant, id)
);
create unique index identity_rule_standing on identity_rule (tenant) where ended_at is null;

alter table subject add column likeness_token int8;
alter table subject alter column likeness_token set statistics 0;
create index subject_likeness on subject (tenant, likeness_token) where likeness_token <> 0;
create index subject_undescribed on subject (tenant) where likeness_token is null;

alter table study add column surviving_id uuid;
alter table erasure add column surviving_id uuid;
"""

OWN = """
update study set surviving_id = subject_id;
alter table study alter column surviving_id set not null;
create index study_surviving on study (tenant, surviving_id);
update erasure set surviving_id = subject_id;
alter table erasure alter column surviving_id set not null;
"""

# Whoever merges holds the subjects `for update`, which this waits for; the second statement sees what they committed.
OWNED = """
create function study_owned() returns trigger language plpgsql as $$
begin
    perform 1 from subject where tenant = new.tenant and id = new.subject_id for key share;
    new.surviving_id := coalesce((select m.surviving_id from subject_merge m where m.tenant = new.tenant
        and m.subject_id = new.subject_id and m.ended_at is null), new.surviving_id, new.subject_id);
    return new;
end $$
"""
TRIGGER = "create trigger study_owned before insert on study for each row execute function study_owned()"

# Whose a subject's data is now, and all subjects that are the same human being, that one first. In the caller's scope.
SURVIVING = """
create function subject_surviving(p_id uuid) returns uuid language sql stable as $$
    select coalesce((select m.surviving_id from subject_merge m where m.subject_id = p_id and m.ended_at is null), p_id)
$$
"""
KIN = """
create function subject_kin(p_id uuid) returns setof uuid language sql stable as $$
    select subject_surviving(p_id)
    union all
    select m.subject_id from subject_merge m where m.surviving_id = subject_surviving(p_id) and m.ended_at is null
$$
"""
FUNCTIONS = ("study_owned()", "subject_surviving(uuid)", "subject_kin(uuid)")


def upgrade() -> None:
    """Make the tables, the columns and the functions."""
    op.execute(SCHEMA)
    with rows_of_every_tenant("study", "erasure"):
        op.execute(OWN)
    for statement in (OWNED, TRIGGER, SURVIVING, KIN):
        op.execute(statement)
    for function in FUNCTIONS:
        op.execute(f"revoke all on function {function} from public")
        op.execute(f"grant execute on function {function} to troth_app")
    for table in TABLES:
        op.execute(f"select tenant_table('{table}')")


def downgrade() -> None:
    """Take them away again; every subject is one of its own once more."""
    op.execute("drop trigger study_owned on study")
    for function in reversed(FUNCTIONS):
        op.execute(f"drop function {function}")
    for column in ("study", "erasure"):
        op.execute(f"alter table {column} drop column surviving_id")
    op.execute("alter table subject drop column likeness_token")
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
