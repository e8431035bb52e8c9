"""Take away the two functions of ingest that nothing calls any more.

`archive_store` was followed by `archive_take`, and that by one with an argument more. Where rolling updates run the
release before this one beside it, that one calls the newest already.
"""

from __future__ import annotations

from importlib import import_module

from alembic import op

revision = "0220_unused_functions"
down_revision = "0210_search"
branch_labels = None
depends_on = None

_FIRST = "archive_store(uuid, jsonb)"
_SECOND = (
    "archive_take(uuid, timestamptz, bytea[], jsonb, uuid[], int[], int[], bigint[], text[], text[], uuid[], int[],"
    " jsonb, jsonb)"
)


def upgrade() -> None:
    """Drop them."""
    for function in (_FIRST, _SECOND):
        op.execute(f"drop function {function}")


def downgrade() -> None:
    """Make them again with the text and the rights that they had."""
    op.execute(import_module("troth.main.migrations.versions.0040_archive").STORE)
    op.execute(import_module("troth.main.migrations.versions.0140_ingest").TAKE)
    op.execute(f"revoke all on function {_SECOND} from public")
    for function in (_FIRST, _SECOND):
        op.execute(f"grant execute on function {function} to troth_app")
