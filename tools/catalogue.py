"""The catalogue of a freshly migrated database, for `troth verify` to hold each deployment against (`make catalogue`).

A server of our own is started in a folder that goes away again, migrated, and read as the role of the doors.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from troth.kit import migrate
from troth.kit.db import Database
from troth.kit.postgres import EmbeddedServer
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


def main() -> None:
    """Write the catalogue anew."""
    folder = Path(tempfile.mkdtemp(prefix="troth-catalogue-", dir="/var/tmp"))
    folder.chmod(0o711)  # the server's own user has to get in
    server = EmbeddedServer(folder, {"fsync": "off"})
    server.start()
    try:
        migrate.upgrade(server.dsn("troth_owner"), MIGRATIONS)
        found = asyncio.run(read(server.dsn("troth_app")))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(server.socket_folder, ignore_errors=True)
    apart.SHIPPED.write_text(apart.written(found))
    sys.stdout.write(f"{sum(map(len, found.values()))} objects, {apart.digest(found)}\n")


if __name__ == "__main__":
    main()
