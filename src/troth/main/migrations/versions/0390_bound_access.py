"""Sessions and tokens, accounts, subjects and organisations are bound to the ledger too, as `0300_bound_rows` does.

A sign-in link carries a tag of its own.
"""

from __future__ import annotations

from alembic import op

revision = "0390_bound_access"
down_revision = "0360_cookies_set"
branch_labels = None
depends_on = None

# Table, key without the tenant, and columns that are bound.
BOUND_TABLES = (
    ("session", "id",
     "form kind account_id subject_id role proof purpose viewer_issued made_at fresh_at expires_at ended_at idle digest"
     " viewer_digest"),
    ("account", "id", "email_token made_at key email_sealed"),
    ("subject", "id", "patient_token issuer_token made_at key audit_key demographics_sealed"),
    ("organisation", "id", "name capacity region level operates made_at key"),
)  # fmt: skip


def upgrade() -> None:
    """The columns, and the triggers of each register."""
    op.execute("alter table sign_in_link add column tag bytea")  # lives for minutes; what is under way is asked anew
    for table, key, bound in BOUND_TABLES:
        op.execute(
            f"alter table {table} add column turn int not null default 0, add column tag bytea,"
            " add column bound_by uuid"
        )
        op.execute(f"grant update (turn, tag, bound_by) on {table} to troth_app")
        named = ", ".join(f'"{column}"' for column in (key, *bound.split()))
        op.execute(
            f"create trigger row_changed before insert or update of {named} or delete on {table}"
            f" for each row execute function row_changed('{key}')"
        )
        op.execute(
            f"create constraint trigger row_bound after insert or update of {named} or delete on {table}"
            f" deferrable initially deferred for each row execute function row_bound('{key}')"
        )


def downgrade() -> None:
    """Take them away again; the ledger keeps what it says."""
    for table, _, _ in reversed(BOUND_TABLES):
        op.execute(f"drop trigger row_bound on {table}")
        op.execute(f"drop trigger row_changed on {table}")
        op.execute(f"alter table {table} drop column bound_by, drop column tag, drop column turn")
    op.execute("alter table sign_in_link drop column tag")
