"""Studies, series, instances, search tokens, tombstones and erasures.

Clear are UIDs, dates, modality, counts and our ids; everything else is sealed `bytea` or a keyed `int8` token
(DESIGN §4). `archive_store` takes one batch of instances in one round trip.
"""

from __future__ import annotations

from alembic import op

revision = "0040_archive"
down_revision = "0030_notice"
branch_labels = None
depends_on = None

TABLES = ("study", "series", "instance", "study_token", "tombstone", "erasure")

SCHEMA = """
create table study (
    tenant uuid not null,
    id uuid not null,
    study_uid text not null,
    subject_id uuid not null,
    key bytea not null,
    audit_key bytea not null,
    state text not null default 'held' check (state in ('held', 'erasing')),
    is_restricted boolean not null default false,
    study_date date not null default '0001-01-01',
    modalities text[] not null default '{}',
    sop_classes text[] not null default '{}',
    series_count int not null default 0,
    instance_count int not null default 0,
    length_bytes bigint not null default 0,
    patient_key_token int8 not null,
    patient_id_token int8,
    accession_token int8,
    birth_token int8,
    sealed bytea not null,
    stored_at timestamptz not null,
    changed_at timestamptz not null,
    primary key (tenant, id),
    unique (tenant, study_uid)
);
create index study_newest on study (tenant, study_date desc, id desc);
create index study_subject on study (tenant, subject_id);
create index study_patient_id on study (tenant, patient_id_token);
create index study_accession on study (tenant, accession_token);
create index study_birth on study (tenant, birth_token);

create table series (
    tenant uuid not null,
    id uuid not null,
    study_id uuid not null,
    series_uid text not null,
    modality text not null default '',
    number int,
    instance_count int not null default 0,
    sealed bytea not null,
    primary key (tenant, id),
    unique (tenant, series_uid),
    foreign key (tenant, study_id) references study (tenant, id)
);
create index series_study on series (tenant, study_id);

create table instance (
    tenant uuid not null,
    id uuid not null,
    series_id uuid not null,
    instance_uid text not null,
    sop_class text not null,
    syntax text not null,
    number int,
    rows int,
    columns int,
    frames int not null default 1,
    head_locator bytea not null,
    head_bytes bigint not null,
    bulk_locator bytea,
    bulk_bytes bigint not null default 0,
    bulk_tag int8,
    bulk_vr text,
    bulk_length bigint,
    frame_table bytea,
    sealed bytea not null,
    stored_at timestamptz not null,
    primary key (tenant, id),
    unique (tenant, instance_uid),
    foreign key (tenant, series_id) references series (tenant, id)
);
create index instance_series on instance (tenant, series_id);

create table study_token (
    tenant uuid not null,
    token int8 not null,
    study_date date not null,
    study_id uuid not null,
    primary key (tenant, token, study_date, study_id)
);
create index study_token_study on study_token (tenant, study_id);

create table tombstone (
    tenant uuid not null,
    digest bytea not null,
    erased_at timestamptz not null,
    primary key (tenant, digest)
);

create table erasure (
    tenant uuid not null,
    study_id uuid not null,
    subject_id uuid not null,
    key bytea not null,
    audit_key bytea not null,
    state text not null check (state in ('erasing', 'freeing', 'erased')),
    counts jsonb not null default '{}',
    locators bytea[] not null default '{}',
    event_id uuid,
    started_at timestamptz not null,
    erased_at timestamptz,
    primary key (tenant, study_id)
);
create index erasure_subject on erasure (tenant, subject_id);
"""

# A histogram of tokens would outlive the rows it was made from (reference/security.md §3). The plans do not need it:
# every search is an ordered range that stops at a page.
STATISTICS = """
alter table study alter column patient_key_token set statistics 0;
alter table study alter column patient_id_token set statistics 0;
alter table study alter column accession_token set statistics 0;
alter table study alter column birth_token set statistics 0;
alter table study_token alter column token set statistics 0;
"""

# A batch is all or nothing. Whatever changed since the caller looked (a study made or erased meanwhile, the same
# instance from another association) raises TR001; the caller looks again and decides anew.
STORE = """
create function archive_store(p_tenant uuid, p jsonb) returns void language plpgsql as $$
declare
    touched int;
begin
    if exists (select from tombstone t
               join jsonb_array_elements_text(p -> 'tombstones') as d(digest)
                 on t.tenant = p_tenant and t.digest = decode(d.digest, 'hex')) then
        raise exception 'erased meanwhile' using errcode = 'TR001';
    end if;

    insert into study (tenant, id, study_uid, subject_id, key, audit_key, study_date, patient_key_token,
                       patient_id_token, accession_token, birth_token, sealed, stored_at, changed_at)
    select p_tenant, s.id, s.study_uid, s.subject_id, decode(s.key, 'base64'), decode(s.audit_key, 'base64'),
           s.study_date, s.patient_key_token, s.patient_id_token, s.accession_token, s.birth_token,
           decode(s.sealed, 'base64'), (p ->> 'at')::timestamptz, (p ->> 'at')::timestamptz
    from jsonb_to_recordset(p -> 'studies') as s(id uuid, study_uid text, subject_id uuid, key text, audit_key text,
         study_date date, patient_key_token int8, patient_id_token int8, accession_token int8, birth_token int8,
         sealed text)
    order by s.study_uid
    on conflict (tenant, study_uid) do nothing;
    get diagnostics touched = row_count;
    if touched <> jsonb_array_length(p -> 'studies') then
        raise exception 'study made meanwhile' using errcode = 'TR001';
    end if;

    perform 1 from study s
    where s.tenant = p_tenant and s.state = 'held'
      and s.id in (select (c ->> 'study_id')::uuid from jsonb_array_elements(p -> 'counts') as c)
    order by s.id for update;
    get diagnostics touched = row_count;
    if touched <> jsonb_array_length(p -> 'counts') then
        raise exception 'study erased meanwhile' using errcode = 'TR001';
    end if;

    insert into series (tenant, id, study_id, series_uid, modality, number, sealed)
    select p_tenant, r.id, r.study_id, r.series_uid, r.modality, r.number, decode(r.sealed, 'base64')
    from jsonb_to_recordset(p -> 'series') as r(id uuid, study_id uuid, series_uid text, modality text, number int,
         sealed text)
    order by r.series_uid
    on conflict (tenant, series_uid) do nothing;
    get diagnostics touched = row_count;
    if touched <> jsonb_array_length(p -> 'series') then
        raise exception 'series made meanwhile' using errcode = 'TR001';
    end if;

    insert into instance (tenant, id, series_id, instance_uid, sop_class, syntax, number, rows, columns, frames,
                          head_locator, head_bytes, bulk_locator, bulk_bytes, bulk_tag, bulk_vr, bulk_length,
                          frame_table, sealed, stored_at)
    select p_tenant, i.id, i.series_id, i.instance_uid, i.sop_class, i.syntax, i.number, i.rows, i.columns, i.frames,
           decode(i.head_locator, 'base64'), i.head_bytes, decode(i.bulk_locator, 'base64'),
           i.bulk_bytes, i.bulk_tag, i.bulk_vr, i.bulk_length, decode(i.frame_table, 'base64'),
           decode(i.sealed, 'base64'), (p ->> 'at')::timestamptz
    from jsonb_to_recordset(p -> 'instances') as i(id uuid, series_id uuid, instance_uid text, sop_class text,
         syntax text, number int, rows int, columns int, frames int, head_locator text,
         head_bytes bigint, bulk_locator text, bulk_bytes bigint, bulk_tag int8, bulk_vr text, bulk_length bigint,
         frame_table text, sealed text)
    order by i.instance_uid
    on conflict (tenant, instance_uid) do nothing;
    get diagnostics touched = row_count;
    if touched <> jsonb_array_length(p -> 'instances') then
        raise exception 'instance stored meanwhile' using errcode = 'TR001';
    end if;

    insert into study_token (tenant, token, study_date, study_id)
    select p_tenant, t.token, s.study_date, s.id
    from jsonb_to_recordset(p -> 'tokens') as t(study_id uuid, token int8)
    join study s on s.tenant = p_tenant and s.id = t.study_id
    order by t.token
    on conflict do nothing;

    update series r set instance_count = r.instance_count + c.instances
    from (select i.series_id, count(*)::int as instances
          from jsonb_to_recordset(p -> 'instances') as i(series_id uuid) group by i.series_id) c
    where r.tenant = p_tenant and r.id = c.series_id;

    update study s set
        series_count = s.series_count + c.series,
        instance_count = s.instance_count + c.instances,
        length_bytes = s.length_bytes + c.length_bytes,
        modalities = (select coalesce(array_agg(distinct m order by m), '{}')
                      from unnest(s.modalities || array(select jsonb_array_elements_text(c.modalities))) m),
        sop_classes = (select coalesce(array_agg(distinct m order by m), '{}')
                       from unnest(s.sop_classes || array(select jsonb_array_elements_text(c.sop_classes))) m),
        changed_at = (p ->> 'at')::timestamptz
    from jsonb_to_recordset(p -> 'counts') as c(study_id uuid, series int, instances int, length_bytes bigint,
         modalities jsonb, sop_classes jsonb)
    where s.tenant = p_tenant and s.id = c.study_id;
end $$;
"""


def upgrade() -> None:
    """Make the tables of the archive and its one ingest function."""
    op.execute(SCHEMA)
    for table in TABLES:
        op.execute(f"select tenant_table('{table}')")
    op.execute(STATISTICS)
    op.execute(STORE)
    op.execute("grant execute on function archive_store(uuid, jsonb) to troth_app")


def downgrade() -> None:
    """Take them away again."""
    op.execute("drop function archive_store(uuid, jsonb)")
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
