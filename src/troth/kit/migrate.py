"""Bring a database to the newest schema, with alembic, and only when it is not there yet."""

from __future__ import annotations

import io
from pathlib import Path

import psycopg

from troth.kit.postgres import url


def newest(scripts: Path) -> str:
    """Name of the newest migration.

    Args:
        scripts: Folder with `env.py` and `versions/`.
    """
    return max(path.stem for path in (scripts / "versions").glob("[0-9]*.py"))


def upgrade(dsn: str, scripts: Path) -> bool:
    """Run the migrations that are missing.

    Args:
        dsn: Connection string of `troth_owner`.
        scripts: Folder with `env.py` and `versions/`.

    Returns:
        Whether anything was to be done.
    """
    wanted = newest(scripts)
    with psycopg.connect(dsn) as connection:
        there = connection.execute("select to_regclass('public.alembic_version')").fetchone()
        if there and there[0]:
            row = connection.execute("select version_num from alembic_version").fetchone()
            if row and row[0] == wanted:
                return False
    # Imported here: alembic and SQLAlchemy cost half a second that an ordinary start need not pay.
    from alembic import command
    from alembic.config import Config

    configuration = Config(stdout=io.StringIO())
    configuration.set_main_option("script_location", str(scripts))
    configuration.set_main_option("sqlalchemy.url", url(dsn).replace("%", "%%"))
    command.upgrade(configuration, "head")
    return True
