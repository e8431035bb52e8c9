"""Which keyring belongs to which database: an id of the deployment lies in both.

A keyring that is another's would make everything look erased, and the sweep would then take it away. So nothing starts
unless they belong together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psycopg

from troth.kit.errors import Conflict
from troth.kit.files import write_whole
from troth.vault import KeyRef, Keyring

_NAME: Final = "deployment"


class KeyringForeign(Conflict):
    """The keyring is not that of this database, or is missing."""

    slug = "keyring-foreign"
    title = "Keys and database do not belong together; nothing is opened"


def require_keyring(dsn: str, keys: Path) -> None:
    """Make the keyring at a first start; afterwards refuse every other one.

    Args:
        dsn: Of `troth_owner`; the schema is the newest.
        keys: Folder of the keyring.

    Raises:
        KeyringForeign: It is of another deployment, or the database has keys and the folder is missing.
    """
    with psycopg.connect(dsn) as connection:
        (deployment,) = connection.execute("select id::text from deployment").fetchone() or ("",)
        held = connection.execute("select key from platform_key union all select key from organisation").fetchone()
    if held is not None and not keys.exists():
        raise KeyringForeign(f"{keys} is missing", hint="Put the keyring back, or restore a backup.")
    keyring = Keyring.open(keys, create=not keys.exists())
    try:
        mark = keys / _NAME
        if mark.exists():
            belongs = mark.read_text().strip() == deployment
        elif held is not None:  # made before this was written down, or restored
            belongs = keyring.is_alive(KeyRef(bytes(held[0])))
        else:  # a first start, perhaps one that was cut short
            belongs = next(keyring.refs(), None) is None
        if not belongs:
            raise KeyringForeign(
                f"the keyring in {keys} is not that of this database",
                hint="Give the data folder and the database that belong together.",
            )
        if not mark.exists():
            write_whole(mark, deployment.encode())
    finally:
        keyring.close()
