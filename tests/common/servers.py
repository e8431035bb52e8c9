"""Real servers for tests: one PostgreSQL for the session, a fresh database for each module."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from troth.kit import migrate
from troth.kit.db import Database
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import MAIN_DATABASE, EmbeddedServer
from troth.ledger import Ledger
from troth.vault import Keyring

MIGRATIONS = Path(migrate.__file__).parents[1] / "main" / "migrations"
ALTERED = "TROTH_TESTS_ALTERED"
"""Names a file of SQL that takes something out of each database of a run: see `tools/edits.py`."""

SHARED = "TROTH_TESTS_SERVER"
"""Names the folder of a server that runs and is migrated already: see `tools/fork_server.py`."""

SETTINGS = {"fsync": "off", "max_connections": "200"}
_numbers = itertools.count(1)


def open_folder(prefix: str) -> Path:
    """A new folder that an unprivileged database user can pass through.

    Args:
        prefix: How its name begins.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/var/tmp"))
    folder.chmod(0o711)
    return folder


class ServedDatabase(Database):
    """A database of its own on the session's server, opened as `troth_app`."""

    def __init__(self, server: EmbeddedServer, name: str) -> None:
        super().__init__(server.dsn("troth_app", name))
        self.server = server
        self.name = name

    def dsn(self, role: str) -> str:
        """Connection string of another role to the same database."""
        return self.server.dsn(role, self.name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedServer]:
    """A real server whose database `troth` is migrated and serves as template."""
    if shared := os.environ.get(SHARED):
        yield EmbeddedServer(Path(shared), SETTINGS)
        return
    folder = open_folder("troth-tests-")
    server = EmbeddedServer(folder, SETTINGS)
    server.start()
    try:
        migrate.upgrade(server.dsn("troth_owner"), MIGRATIONS)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(server.socket_folder, ignore_errors=True)


def copy_of_template(server: EmbeddedServer) -> str:
    """Make a database from the migrated template.

    Returns:
        Its name.
    """
    name = f"t{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name} template {MAIN_DATABASE} owner troth_owner strategy file_copy")  # type: ignore[arg-type]
        connection.execute(f"grant connect on database {name} to troth_app, troth_sequencer")  # type: ignore[arg-type]
    if altered := os.environ.get(ALTERED):
        with psycopg.connect(server.dsn(SUPERUSER, name), autocommit=True) as connection:
            connection.execute(Path(altered).read_text())  # type: ignore[arg-type]
    return name


@pytest.fixture(scope="module")
async def database(postgres: EmbeddedServer, keyring: Keyring) -> AsyncIterator[ServedDatabase]:
    """A fresh, migrated database for one test module; what is left to bind is bound at the end, as in `main`."""
    name = copy_of_template(postgres)
    served = ServedDatabase(postgres, name)
    served.at_end = Ledger(keyring).bind_rest
    yield served
    await served.close()
    with psycopg.connect(postgres.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """A fresh keyring for one test module."""
    return Keyring.open(tmp_path_factory.mktemp("keyring"), create=True)
