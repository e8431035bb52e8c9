"""Schema grants, and the two functions by which every table gets its protection."""

from alembic import op

revision = "0001_roles"
down_revision = None

TENANT_TABLE = """
create function tenant_table(name regclass) returns void language plpgsql as $$
begin
  execute format('alter table %s enable row level security', name);
  execute format('alter table %s force row level security', name);
  execute format(
    'create policy own_tenant on %s using (tenant = nullif(current_setting(''app.tenant'', true), '''')::uuid)
     with check (tenant = nullif(current_setting(''app.tenant'', true), '''')::uuid)', name);
  execute format('grant select, insert, update, delete on %s to troth_app', name);
end $$
"""

PLATFORM_TABLE = """
create function platform_table(name regclass) returns void language plpgsql as $$
begin
  execute format('grant select, insert, update, delete on %s to troth_app', name);
end $$
"""


def upgrade() -> None:
    """Close the schema to the public; open it to our roles."""
    op.execute("revoke all on schema public from public")
    op.execute("grant usage on schema public to troth_app, troth_sequencer")
    op.execute(TENANT_TABLE)
    op.execute(PLATFORM_TABLE)
    op.execute("revoke all on function tenant_table(regclass), platform_table(regclass) from public")
