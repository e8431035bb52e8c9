"""What sweeping, scrubbing, backups and imports keep: how far they are, what they found. Nothing personal.

A subject cannot go while a batch that names it is on its way: the foreign key of `study` makes the batch wait, or fail
and look again. `import_file` holds keyed digests only, because the name of a file often is the name of a patient.
"""

from __future__ import annotations

from alembic import op

revision = "0120_durability"
down_revision = "0110_identity"
branch_labels = None
depends_on = None

PLATFORM = """
create table upkeep_run (
    id uuid primary key,
    kind text not null check (kind in ('sweep', 'recheck', 'backup', 'restore')),
    state text not null check (state in ('running', 'done', 'failed')),
    place text not null default '',
    counts jsonb not null default '{}',
    started_at timestamptz not null,
    seen_at timestamptz not null,
    ended_at timestamptz
);
create index upkeep_run_latest on upkeep_run (kind, started_at desc);
create table sweep_key (
    ref bytea primary key,
    seen_at timestamptz not null
);
create table sweep_pack (
    pack bytea primary key,
    length_bytes bigint not null,
    swept_at timestamptz not null
);
create table backup (
    id uuid primary key,
    stamp text not null unique,
    folder text not null,
    keys_folder text not null,
    made_at timestamptz not null,
    keys_expire_at timestamptz not null,
    verified_at timestamptz,
    counts jsonb not null default '{}'
);
create index backup_latest on backup (made_at desc);
"""

TENANT = """
create table broken_instance (
    tenant uuid not null,
    instance_id uuid not null,
    study_id uuid not null,
    what text not null,
    found_at timestamptz not null,
    primary key (tenant, instance_id)
);
create index broken_instance_study on broken_instance (tenant, study_id);
create table import_file (
    tenant uuid not null,
    digest bytea not null,
    done_at timestamptz not null,
    primary key (tenant, digest)
);
"""

PLATFORM_TABLES = ("upkeep_run", "sweep_key", "sweep_pack", "backup")
TENANT_TABLES = ("broken_instance", "import_file")


def upgrade() -> None:
    """Make the tables, and tie a study to its subject."""
    op.execute(PLATFORM)
    op.execute(TENANT)
    for table in PLATFORM_TABLES:
        op.execute(f"select platform_table('{table}')")
    for table in TENANT_TABLES:
        op.execute(f"select tenant_table('{table}')")
    op.execute("alter table study add foreign key (tenant, subject_id) references subject (tenant, id)")


def downgrade() -> None:
    """Take them away again."""
    op.execute("alter table study drop constraint study_tenant_subject_id_fkey")
    for table in (*TENANT_TABLES, *PLATFORM_TABLES):
        op.execute(f"drop table {table}")
