"""The way of a migration to rows of tenants: row-level security is forced, so that without it no row is met.

A plain `update study …` in a migration reaches no row of any tenant and says nothing; what follows then fails on every
filled database, or leaves it wrong. `tests/unit/main/test_migrations.py` refuses a statement that does not go this way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op


@contextmanager
def rows_of_every_tenant(*tables: str) -> Iterator[None]:
    """Let the statements inside read and write the rows of all tenants, as the owner of the tables.

    Nobody else sees it: forcing is taken away and put back in the migration's own transaction, behind its lock.

    Args:
        tables: Those that the statements touch; each is under forced row-level security.
    """
    for table in tables:
        op.execute(f"alter table {table} no force row level security")
    yield
    for table in tables:
        op.execute(f"alter table {table} force row level security")
