"""Second factors, their challenges, recovery codes and resets; when a session was fresh last.

Sessions that live now go on to their end: a factor is asked for at the next sign-in.
"""

from __future__ import annotations

from alembic import op

revision = "0250_factors"
down_revision = "0240_admission"
branch_labels = None
depends_on = None

TABLES = ("factor", "challenge", "recovery_code", "factor_reset")
MAKE = """
create table factor (
    tenant uuid not null references organisation (id),
    id uuid not null,
    account_id uuid not null references account (id) on delete cascade,
    kind text not null check (kind in ('user', 'patient')),
    form text not null check (form in ('totp', 'passkey')),
    sealed bytea not null,
    last_step bigint not null,
    made_at timestamptz not null,
    used_at timestamptz not null,
    primary key (tenant, id)
);
create index factor_account on factor (tenant, account_id);
create table challenge (
    tenant uuid not null references organisation (id),
    digest bytea not null,
    account_id uuid not null references account (id) on delete cascade,
    kind text not null check (kind in ('user', 'patient')),
    subject_id uuid,
    session_id uuid,
    proof text not null check (proof in ('mail', 'issued', 'match', 'passkey')),
    tries integer not null default 0,
    nonce bytea,
    secret_sealed bytea,
    made_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (tenant, digest)
);
create table recovery_code (
    tenant uuid not null references organisation (id),
    account_id uuid not null references account (id) on delete cascade,
    kind text not null check (kind in ('user', 'patient')),
    digest bytea not null,
    made_at timestamptz not null,
    primary key (tenant, account_id, kind, digest)
);
create table factor_reset (
    tenant uuid not null references organisation (id),
    id uuid not null,
    account_id uuid not null references account (id) on delete cascade,
    asked_by uuid not null,
    asked_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (tenant, account_id)
);
alter table session add column fresh_at timestamptz;
alter table session drop constraint session_proof_check;
alter table session add constraint session_proof_check check (proof in ('mail', 'issued', 'match', 'passkey'));
"""
DROP = """
alter table session drop constraint session_proof_check;
alter table session add constraint session_proof_check check (proof in ('mail', 'issued', 'match')) not valid;
alter table session drop column fresh_at;
"""


def upgrade() -> None:
    """Make them."""
    op.execute(MAKE)
    for table in TABLES:
        op.execute(f"select tenant_table('{table}')")


def downgrade() -> None:
    """Drop them again. Sessions begun with a passkey stay; the old check holds for new ones."""
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
    op.execute(DROP)
