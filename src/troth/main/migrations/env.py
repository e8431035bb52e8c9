"""Alembic's environment: one transaction for all revisions, so a failed upgrade leaves the schema as it was."""

from alembic import context
from sqlalchemy import NullPool, create_engine

engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "", poolclass=NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        connection.exec_driver_sql("select pg_advisory_xact_lock(7420160)")
        context.run_migrations()
