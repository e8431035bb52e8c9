"""Recipients, contracts, transfer instruments, instructions, legal orders, disclosures, and requests for a document.

Registers of the platform lie in the space of no tenant (the zero id). Every organisation may read them, because the
platform's recipients and instruments carry its data too; only the platform writes them.
"""

from __future__ import annotations

from alembic import op

revision = "0070_exchange"
down_revision = "0060_choices"
branch_labels = None
depends_on = None

REGISTERS = """
create table exchange_document (
    tenant uuid not null,
    id uuid not null,
    locator bytea not null,
    key_ref bytea not null,
    key bytea not null,
    media_type text not null,
    length_bytes bigint not null,
    sha256 bytea not null,
    made_at timestamptz not null,
    primary key (tenant, id)
);
create table exchange_contract (
    tenant uuid not null,
    id uuid not null,
    key text not null,
    kind text not null check (kind in ('processor', 'baa', 'controller', 'joint', 'subprocessor')),
    party text not null,
    approved_by text not null default '',
    valid_from date not null,
    valid_until date,
    document_id uuid,
    made_by uuid,
    made_at timestamptz not null,
    ended_at timestamptz,
    end_reason text not null default '',
    primary key (tenant, id),
    foreign key (tenant, document_id) references exchange_document (tenant, id)
);
create index exchange_contract_key on exchange_contract (tenant, key);
create table exchange_recipient (
    tenant uuid not null,
    id uuid not null,
    key text not null,
    stands_under text not null,
    name text not null,
    kind text not null check (kind in ('affiliate', 'service_provider', 'reseller', 'partner', 'authority', 'research',
        'successor', 'customer', 'provider')),
    address text not null default '',
    country text not null,
    categories text[] not null,
    purposes text[] not null,
    contract_key text not null default '',
    peer_id uuid,
    email text not null default '',
    made_by uuid,
    made_at timestamptz not null,
    ended_at timestamptz,
    primary key (tenant, id)
);
create unique index exchange_recipient_key on exchange_recipient (tenant, key) where ended_at is null;
create table exchange_instrument (
    tenant uuid not null,
    id uuid not null,
    key text not null,
    kind text not null check (kind in ('adequacy', 'scc', 'bcr', 'privacy_shield', 'derogation')),
    origin text not null,
    destination text not null,
    recipient_key text not null default '',
    valid_from date not null,
    valid_until date,
    document_id uuid,
    made_by uuid,
    made_at timestamptz not null,
    invalidated_at timestamptz,
    reason text not null default '',
    primary key (tenant, id),
    foreign key (tenant, document_id) references exchange_document (tenant, id)
);
create index exchange_instrument_way on exchange_instrument (tenant, origin, destination);
"""

OWN = """
create table exchange_instruction (
    tenant uuid not null,
    id uuid not null,
    key text not null,
    words bytea not null,
    actions text[] not null,
    purposes text[] not null,
    valid_from date not null,
    valid_until date,
    made_by uuid,
    made_at timestamptz not null,
    revoked_at timestamptz,
    primary key (tenant, id)
);
create table exchange_order (
    tenant uuid not null,
    id uuid not null,
    kind text not null check (kind in ('legal_order', 'government_request')),
    authority text not null,
    country text not null,
    scope bytea not null,
    study_ids uuid[] not null default '{}',
    document_id uuid,
    valid_from date not null,
    valid_until date,
    answer text not null default '',
    made_by uuid,
    made_at timestamptz not null,
    ended_at timestamptz,
    primary key (tenant, id),
    foreign key (tenant, document_id) references exchange_document (tenant, id)
);
create table exchange_disclosure (
    tenant uuid not null,
    id uuid not null,
    kind text not null,
    state text not null check (state in ('recorded', 'left', 'failed')),
    subject_id uuid,
    study_id uuid,
    account_id uuid,
    recipient_id uuid not null,
    category text not null,
    purpose text not null,
    country text not null,
    basis text not null,
    contract_id uuid,
    instrument_id uuid,
    order_id uuid,
    told bytea not null,
    instances int not null default 0,
    event_id uuid,
    made_by uuid,
    at timestamptz not null,
    finished_at timestamptz,
    primary key (tenant, id)
);
create index exchange_disclosure_subject on exchange_disclosure (tenant, subject_id, at);
create index exchange_disclosure_instrument on exchange_disclosure (tenant, instrument_id);
create table exchange_document_request (
    tenant uuid not null,
    id uuid not null,
    instrument_id uuid not null,
    email bytea not null,
    asked_at timestamptz not null,
    sent_at timestamptz,
    primary key (tenant, id)
);
"""

SHARED = ("exchange_document", "exchange_contract", "exchange_recipient", "exchange_instrument")
PRIVATE = ("exchange_instruction", "exchange_order", "exchange_disclosure", "exchange_document_request")

SHARED_POLICY = """
create policy platform_rows on {table} for select
    using (tenant = '00000000-0000-0000-0000-000000000000'::uuid)
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(REGISTERS)
    op.execute(OWN)
    for table in (*SHARED, *PRIVATE):
        op.execute(f"select tenant_table('{table}')")
    for table in SHARED:
        op.execute(SHARED_POLICY.format(table=table))


def downgrade() -> None:
    """Take them away again."""
    for table in (*reversed(PRIVATE), *reversed(SHARED)):
        op.execute(f"drop table {table}")
