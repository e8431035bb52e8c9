"""Where personal data came from, and which versions of notice and terms an account accepted.

A contact is somebody who neither is a patient nor has to have an account: named by a partner, or by their employer.
What is known of them is sealed under a key of their own; the source, the activity and the days that decide how long the
record stays are in the clear, because lists and programs read them. An uploaded list is sealed, and goes when it was
taken in.
"""

from __future__ import annotations

from alembic import op

revision = "0090_sources"
down_revision = "0080_publishing"
branch_labels = None
depends_on = None

SCHEMA = """
create table acceptance (
    tenant      uuid        not null references organisation (id),
    id          uuid        not null,
    account_id  uuid        not null,
    subject_id  uuid,
    document    text        not null check (document in ('notice', 'terms')),
    notice      text        not null,
    number      integer     not null check (number > 0),
    version_id  uuid        not null,
    clause      text        not null default '',
    key         text        not null default '',
    title       text        not null default '',
    edition     text        not null default '',
    door        text        not null,
    accepted_at timestamptz not null,
    sealed      bytea       not null,
    primary key (tenant, id),
    unique nulls not distinct (tenant, account_id, subject_id, document, version_id, key),
    foreign key (tenant, subject_id) references subject (tenant, id) on delete cascade
);
create index acceptance_account on acceptance (tenant, account_id, accepted_at);
create table people_list (
    tenant      uuid        not null references organisation (id),
    id          uuid        not null,
    number      integer     not null,
    kind        text        not null check (kind in ('contacts', 'staff')),
    source      text        not null,
    origin      text        not null,
    clause      text        not null,
    activity    text        not null,
    way         text        not null,
    state       text        not null check (state in ('waits', 'agreed', 'done', 'dropped')),
    lines       integer     not null,
    taken       integer     not null default 0,
    added       integer     not null default 0,
    known       integer     not null default 0,
    ended       integer     not null default 0,
    tell_within text        not null default '',
    key         bytea       not null,
    sealed      bytea,
    made_by     uuid,
    made_at     timestamptz not null,
    agreed_at   timestamptz,
    done_at     timestamptz,
    told_at     timestamptz,
    primary key (tenant, id),
    unique (tenant, number)
);
create table contact (
    tenant      uuid        not null references organisation (id),
    id          uuid        not null,
    key         bytea       not null,
    email_token bigint      not null,
    account_id  uuid,
    linked_at   timestamptz,
    sealed      bytea       not null,
    made_at     timestamptz not null,
    primary key (tenant, id),
    unique (tenant, email_token)
);
alter table contact alter column email_token set statistics 0;
create index contact_account on contact (tenant, account_id) where account_id is not null;
create table contact_source (
    tenant      uuid        not null,
    contact_id  uuid        not null,
    id          uuid        not null,
    list_id     uuid        not null,
    source      text        not null,
    origin      text        not null,
    clause      text        not null,
    activity    text        not null,
    way         text        not null,
    anchor_on   date,
    obtained_at timestamptz not null,
    ended_at    timestamptz,
    tell_by     timestamptz,
    told_at     timestamptz,
    key         bytea       not null,
    sealed      bytea       not null,
    primary key (tenant, contact_id, id),
    unique (tenant, contact_id, source, activity),
    foreign key (tenant, contact_id) references contact (tenant, id) on delete cascade
);
create index contact_source_untold on contact_source (tenant, tell_by) where tell_by is not null and told_at is null;
create index contact_source_activity on contact_source (tenant, activity, anchor_on);
create table contact_disposal (
    tenant      uuid        not null references organisation (id),
    id          uuid        not null,
    asked_by    uuid,
    asked_at    timestamptz not null,
    found       integer     not null,
    disposed    integer     not null default 0,
    kept        integer     not null default 0,
    done_at     timestamptz,
    primary key (tenant, id)
);
"""

TENANT_TABLES = ("acceptance", "people_list", "contact", "contact_source", "contact_disposal")


def upgrade() -> None:
    """Make the tables."""
    op.execute(SCHEMA)
    for table in TENANT_TABLES:
        op.execute(f"select tenant_table('{table}')")
    # What somebody accepted stays as it was; it goes only with the account or the subject.
    op.execute("revoke update on acceptance from troth_app")


def downgrade() -> None:
    """Drop them."""
    for table in reversed(TENANT_TABLES):
        op.execute(f"drop table {table}")
