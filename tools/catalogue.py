"""The catalogue of a freshly migrated database, for `troth verify` to hold each deployment against (`make catalogue`).

Its columns are written beside it: `troth check` holds what is said of them against those.

A server of our own is started in a folder that goes away again, migrated, and read as the role of the doors.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from troth.kit import migrate
from troth.kit.db import Database
from troth.kit.postgres import EmbeddedServer
from troth.main import collecting
from troth.proofs import apart, catalogue_store

MIGRATIONS = Path(migrate.__file__).parents[1] / "main" / "migrations"


async def read(dsn: str) -> apart.Catalogue:
    """The catalogue of one database.

    Args:
        dsn: Connection string of the doors' role.
    """
    database = Database(dsn, max_size=1)
    try:
        async with database.transaction(None) as connection:
            return await catalogue_store.read(connection)
    finally:
        await database.close()


def tables(columns: Sequence[tuple[str, str]]) -> str:
    """The columns by table, as `troth check` reads them.

    Args:
        columns: Table and column, in order.
    """
    found: dict[str, list[str]] = {}
    for name, part in columns:
        found.setdefault(name, []).append(part)
    lines = (f"{json.dumps(name)}: {json.dumps(parts)}" for name, parts in found.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Write the catalogue anew."""
    folder = Path(tempfile.mkdtemp(prefix="troth-catalogue-", dir="/var/tmp"))
    folder.chmod(0o711)  # the server's own user has to get in
    server = EmbeddedServer(folder, {"fsync": "off"})
    try:
        server.start()
        migrate.upgrade(server.dsn("troth_owner"), MIGRATIONS)
        found = asyncio.run(read(server.dsn("troth_app")))
        columns = collecting.columns_of(server.dsn("troth_owner"))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    apart.SHIPPED.write_text(apart.written(found))
    collecting.TABLES.write_text(tables(columns))
    sys.stdout.write(f"{sum(map(len, found.values()))} objects, {apart.digest(found)}\n")


if __name__ == "__main__":
    main()
