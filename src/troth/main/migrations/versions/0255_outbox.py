"""What waits for the worker is behind row-level security as every table of an organisation is.

The worker serves all organisations: what is due it learns, by ids alone, from one function that runs as the owner of
the tables; to take something off the list it enters the organisation's space like anybody else.
"""

from __future__ import annotations

from alembic import op

revision = "0255_outbox"
down_revision = "0250_factors"
branch_labels = None
depends_on = None

DUE = """
create function rights_due(p_at timestamptz) returns table (request_id uuid, work text, tenant uuid)
    language sql stable security definer set search_path = pg_catalog, public as $$
    select o.request_id, o.work, o.tenant from public.rights_outbox o where o.due_at <= p_at order by o.due_at limit 100
$$
"""


def upgrade() -> None:
    """Close the table, and open the function to the doors' role."""
    op.execute("revoke all on rights_outbox from troth_app")
    op.execute(
        "alter table rights_outbox drop constraint rights_outbox_pkey, add primary key (tenant, request_id, work)"
    )
    op.execute("select tenant_table('rights_outbox')")
    # The function runs as the owner, whom FORCE binds too: it may read the list and change nothing on it.
    op.execute("create policy listing on rights_outbox for select to current_user using (true)")
    op.execute(DUE)
    op.execute("revoke all on function rights_due(timestamptz) from public")
    op.execute("grant execute on function rights_due(timestamptz) to troth_app")


def downgrade() -> None:
    """Open the table again."""
    op.execute("drop function rights_due(timestamptz)")
    op.execute("drop policy listing on rights_outbox")
    op.execute("drop policy own_tenant on rights_outbox")
    op.execute("alter table rights_outbox no force row level security")
    op.execute("alter table rights_outbox disable row level security")
    op.execute("alter table rights_outbox drop constraint rights_outbox_pkey, add primary key (request_id, work)")
