"""Destinations and commitments of the DICOM network.

A peer can be known by its certificate, has the purpose it acts for, and can be called over TLS. A commitment that was
asked for outlives the process that took it.
"""

from __future__ import annotations

from alembic import op

revision = "0150_dimse"
down_revision = "0140_ingest"
branch_labels = None
depends_on = None

UPGRADE = """
alter table peer
    add column certificate text not null default '' check (certificate ~ '^([0-9a-f]{64})?$'),
    add column purpose text not null default 'care',
    add column over_tls boolean not null default false,
    drop constraint peer_ae_address_called_ae_key,
    add constraint peer_caller unique (ae, address, called_ae, certificate);
create unique index peer_certificate on peer (ae, called_ae, certificate) where certificate <> '';

create table commitment (
    tenant uuid not null references organisation (id),
    id uuid not null,
    peer_id uuid not null,
    transaction_uid text not null,
    called_ae text not null,
    sop_classes text[] not null,
    instance_uids text[] not null,
    state text not null default 'asked' check (state in ('asked', 'told', 'given_up')),
    tries int not null default 0,
    asked_at timestamptz not null,
    next_at timestamptz not null,
    told_at timestamptz,
    primary key (tenant, id),
    unique (tenant, peer_id, transaction_uid)
);
create index commitment_due on commitment (tenant, next_at) where state = 'asked';
select tenant_table('commitment');
"""

DOWNGRADE = """
drop table commitment;
delete from peer where certificate <> '';
drop index peer_certificate;
alter table peer
    drop constraint peer_caller,
    drop column certificate,
    drop column purpose,
    drop column over_tls,
    add constraint peer_ae_address_called_ae_key unique (ae, address, called_ae);
"""


def upgrade() -> None:
    """Certificates of peers, and commitments."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Back to peers known by their address alone."""
    op.execute(DOWNGRADE)
