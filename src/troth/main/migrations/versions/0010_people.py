"""Organisations, accounts, memberships, sessions, invitations, subjects.

What has to be found before the tenant is known lies in platform tables (account, standing, sign-in link, peer,
attempt); their rows hold ids, digests and sealed bytes only. Everything else is a tenant table. Secrets of sessions
and invitations begin with the tenant's id, so that even their look-up runs behind row-level security.
"""

from __future__ import annotations

from alembic import op

revision = "0010_people"
down_revision = "0001_roles"
branch_labels = None
depends_on = None

PLATFORM = """
create table organisation (
    id uuid primary key,
    name text not null unique,
    capacity text not null check (capacity in ('controller', 'processor')),
    region text not null,
    key bytea not null,
    made_at timestamptz not null
);
create table platform_key (
    is_only boolean primary key default true check (is_only),
    key bytea not null
);
create table account (
    id uuid primary key,
    key bytea not null,
    email_token bigint not null unique,
    email_sealed bytea not null,
    made_at timestamptz not null
);
create table standing (
    account_id uuid not null references account (id) on delete cascade,
    organisation_id uuid not null references organisation (id),
    kind text not null check (kind in ('user', 'patient')),
    made_at timestamptz not null,
    primary key (account_id, organisation_id, kind)
);
create table sign_in_link (
    digest bytea primary key,
    account_id uuid not null references account (id) on delete cascade,
    organisation_id uuid references organisation (id),
    made_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz
);
create index sign_in_link_account on sign_in_link (account_id);
create table peer (
    id uuid primary key,
    organisation_id uuid not null references organisation (id),
    ae text not null,
    called_ae text not null,
    host text not null,
    address text not null,
    port integer not null check (port between 1 and 65535),
    made_at timestamptz not null,
    unique (ae, address, called_ae)
);
create table attempt (
    bucket bigint primary key,
    began_at timestamptz not null,
    tries integer not null
);
"""

TENANT = """
create table membership (
    tenant uuid not null references organisation (id),
    account_id uuid not null,
    role text not null check (role in ('clinician', 'referrer', 'office', 'admin')),
    name_sealed bytea not null,
    is_active boolean not null default true,
    made_at timestamptz not null,
    primary key (tenant, account_id)
);
create table subject (
    tenant uuid not null references organisation (id),
    id uuid not null,
    key bytea not null,
    audit_key bytea not null,
    patient_token bigint not null,
    issuer_token bigint not null,
    demographics_sealed bytea not null,
    made_at timestamptz not null,
    primary key (tenant, id),
    unique (tenant, patient_token, issuer_token)
);
create table subject_account (
    tenant uuid not null,
    subject_id uuid not null,
    account_id uuid not null,
    matched_at timestamptz not null,
    primary key (tenant, subject_id, account_id),
    foreign key (tenant, subject_id) references subject (tenant, id) on delete cascade
);
create index subject_account_account on subject_account (tenant, account_id);
create table session (
    tenant uuid not null references organisation (id),
    id uuid not null,
    digest bytea not null,
    form text not null check (form in ('browser', 'bearer')),
    kind text not null check (kind in ('user', 'patient', 'peer')),
    account_id uuid,
    subject_id uuid,
    role text,
    proof text not null check (proof in ('mail', 'issued', 'match')),
    purpose text not null default '',
    made_at timestamptz not null,
    seen_at timestamptz not null,
    idle interval,
    expires_at timestamptz not null,
    ended_at timestamptz,
    primary key (tenant, id),
    unique (tenant, digest),
    foreign key (tenant, subject_id) references subject (tenant, id) on delete cascade
) with (fillfactor = 70);
create index session_account on session (tenant, account_id);
create table invitation (
    tenant uuid not null references organisation (id),
    id uuid not null,
    digest bytea not null,
    kind text not null check (kind in ('user', 'patient')),
    subject_id uuid,
    role text,
    code_digest bytea,
    invitee_sealed bytea not null,
    tries integer not null default 0,
    made_by uuid,
    made_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    primary key (tenant, id),
    unique (tenant, digest),
    foreign key (tenant, subject_id) references subject (tenant, id) on delete cascade
);
create index invitation_subject on invitation (tenant, subject_id);
"""

# A histogram of tokens would outlive the rows it was made from (reference/security.md §3).
STATISTICS = """
alter table account alter column email_token set statistics 0;
alter table subject alter column patient_token set statistics 0;
alter table subject alter column issuer_token set statistics 0;
"""

PLATFORM_TABLES = ("organisation", "platform_key", "account", "standing", "sign_in_link", "peer", "attempt")
TENANT_TABLES = ("membership", "subject", "subject_account", "session", "invitation")


def upgrade() -> None:
    """Make the tables of the `people` room."""
    op.execute(PLATFORM)
    op.execute(TENANT)
    op.execute(STATISTICS)
    for table in PLATFORM_TABLES:
        op.execute(f"select platform_table('{table}')")
    for table in TENANT_TABLES:
        op.execute(f"select tenant_table('{table}')")


def downgrade() -> None:
    """Drop them again."""
    for table in (*reversed(TENANT_TABLES), *reversed(PLATFORM_TABLES)):
        op.execute(f"drop table {table}")
