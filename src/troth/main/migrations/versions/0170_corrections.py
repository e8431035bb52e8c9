"""Corrections: what a study's patient and study attributes were before, and what counts for what comes later.

`correction` has one row for each: what was there before and is now, sealed under the study's key, and where the old
heads lie until their room is given back. The study has the standing correction, which intake applies to what comes
later, and the token of the patient's key after it, by which that patient's images are taken, too. `archive_take` with
one more argument refuses a batch that was decided before a correction; the one without it is not called any more.
"""

from __future__ import annotations

from alembic import op

revision = "0170_corrections"
down_revision = "0160_operator"
branch_labels = None
depends_on = None

SCHEMA = """
alter table study add column corrections int not null default 0;
alter table study add column corrected_key_token int8;
alter table study add column standing_sealed bytea;
alter table study alter column corrected_key_token set statistics 0;
create table correction (
    tenant uuid not null,
    id uuid not null,
    study_id uuid not null,
    made_at timestamptz not null,
    instances int not null,
    sealed bytea not null,
    locators bytea[] not null default '{}',
    primary key (tenant, id),
    foreign key (tenant, study_id) references study (tenant, id)
);
create index correction_study on correction (tenant, study_id);
create index correction_left on correction (tenant) where locators <> '{}';
"""

TAKE = """
create function archive_take(p_tenant uuid, p_at timestamptz, p_digests bytea[], p_made jsonb, p_studies uuid[],
    p_new_series int[], p_new_instances int[], p_new_bytes bigint[], p_modalities text[], p_sop_classes text[],
    p_series uuid[], p_series_instances int[], p_instances jsonb, p_entries jsonb, p_corrections int[]) returns int
language plpgsql as $$
declare
    held_on date;
begin
    if p_made is not null then
        insert into study (tenant, id, study_uid, subject_id, key, audit_key, study_date, patient_key_token,
                           patient_id_token, accession_token, birth_token, sealed, stored_at, changed_at)
        select p_tenant, s.id, s.study_uid, s.subject_id, s.key, s.audit_key, s.study_date, s.patient_key_token,
               s.patient_id_token, s.accession_token, s.birth_token, s.sealed, p_at, p_at
        from jsonb_to_recordset(p_made -> 'studies') as s(id uuid, study_uid text, subject_id uuid, key bytea,
             audit_key bytea, study_date date, patient_key_token int8, patient_id_token int8, accession_token int8,
             birth_token int8, sealed bytea);
    end if;

    for i in 1 .. cardinality(p_studies) loop
        update study s set
            series_count = s.series_count + p_new_series[i],
            instance_count = s.instance_count + p_new_instances[i],
            length_bytes = s.length_bytes + p_new_bytes[i],
            modalities = case when s.modalities = string_to_array(p_modalities[i], ',') then s.modalities
                else array(select distinct m from unnest(s.modalities || string_to_array(p_modalities[i], ',')) m
                           order by m) end,
            sop_classes = case when s.sop_classes = string_to_array(p_sop_classes[i], ',') then s.sop_classes
                else array(select distinct m from unnest(s.sop_classes || string_to_array(p_sop_classes[i], ',')) m
                           order by m) end,
            changed_at = p_at
        where s.tenant = p_tenant and s.id = p_studies[i] and s.state = 'held' and s.corrections = p_corrections[i]
          and not exists (select from tombstone t where t.tenant = p_tenant and t.digest = any(p_digests))
        returning s.study_date into held_on;
        if not found then
            raise exception 'study erased or corrected meanwhile' using errcode = 'TR001';
        end if;
        if p_made is not null then
            insert into study_token (tenant, token, study_date, study_id)
            select p_tenant, t.value::int8, held_on, p_studies[i]
            from jsonb_array_elements_text(p_made -> 'tokens' -> (i - 1)) as t
            on conflict do nothing;
        end if;
    end loop;

    if p_made is not null then
        insert into series (tenant, id, study_id, series_uid, modality, number, sealed)
        select p_tenant, r.id, r.study_id, r.series_uid, r.modality, r.number, r.sealed
        from jsonb_to_recordset(p_made -> 'series') as r(id uuid, study_id uuid, series_uid text, modality text,
             number int, sealed bytea);
    end if;

    for i in 1 .. cardinality(p_series) loop
        update series r set instance_count = r.instance_count + p_series_instances[i]
        where r.tenant = p_tenant and r.id = p_series[i];
    end loop;

    insert into instance (tenant, id, series_id, instance_uid, sop_class, syntax, number, rows, columns, frames,
                          head_locator, head_bytes, bulk_locator, bulk_bytes, bulk_tag, bulk_vr, bulk_length,
                          frame_table, sealed, stored_at)
    select p_tenant, i.id, i.series_id, i.instance_uid, i.sop_class, i.syntax, i.number, i.rows, i.columns, i.frames,
           i.head_locator, i.head_bytes, i.bulk_locator, i.bulk_bytes, i.bulk_tag, i.bulk_vr, i.bulk_length,
           i.frame_table, i.sealed, p_at
    from jsonb_to_recordset(p_instances) as i(id uuid, series_id uuid, instance_uid text, sop_class text,
         syntax text, number int, rows int, columns int, frames int, head_locator bytea,
         head_bytes bigint, bulk_locator bytea, bulk_bytes bigint, bulk_tag int8, bulk_vr text, bulk_length bigint,
         frame_table bytea, sealed bytea);

    return ledger_append(p_entries);
end $$
"""

_TAKE = (
    "archive_take(uuid, timestamptz, bytea[], jsonb, uuid[], int[], int[], bigint[], text[], text[], uuid[], int[],"
    " jsonb, jsonb, int[])"
)


def upgrade() -> None:
    """Make the table, the columns and the function."""
    op.execute(SCHEMA)
    op.execute("select tenant_table('correction')")
    op.execute(TAKE)
    op.execute(f"revoke all on function {_TAKE} from public")
    op.execute(f"grant execute on function {_TAKE} to troth_app")


def downgrade() -> None:
    """Take them away again."""
    op.execute(f"drop function {_TAKE}")
    op.execute("drop table correction")
    for column in ("standing_sealed", "corrected_key_token", "corrections"):
        op.execute(f"alter table study drop column {column}")
