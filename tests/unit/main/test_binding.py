"""Keys and database that do not belong together are not opened: everything would look erased."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest

from tests.common.deployment import start
from tests.common.servers import ServedDatabase, copy_of_template
from troth.kit.postgres import EmbeddedServer
from troth.main.binding import KeyringForeign, require_keyring
from troth.vault import KeyRef, Keyring


async def test_a_keyring_is_opened_with_its_own_database_only(
    postgres: EmbeddedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = ServedDatabase(postgres, copy_of_template(postgres))
    dsn = served.dsn("troth_owner")
    place = await start(served, tmp_path / "mine", "imaging-cloud")
    await place.close()
    keys = tmp_path / "mine" / "keys"
    require_keyring(dsn, keys)  # and again, at every start

    with pytest.raises(KeyringForeign, match="missing"):
        require_keyring(dsn, tmp_path / "nowhere" / "keys")
    assert not (tmp_path / "nowhere").exists()

    other = tmp_path / "other" / "keys"
    Keyring.open(other, create=True).close()
    with pytest.raises(KeyringForeign, match="not that of this database"):
        require_keyring(dsn, other)
    (other / "deployment").write_text("00000000-0000-0000-0000-000000000000")
    with pytest.raises(KeyringForeign, match="not that of this database"):
        require_keyring(dsn, other)

    (keys / "deployment").unlink()  # of a time before it was written down, or restored
    require_keyring(dsn, keys)
    assert (keys / "deployment").stat().st_mode & 0o077 == 0

    empty = copy_of_template(postgres)  # the database was lost, and made anew
    with psycopg.connect(postgres.dsn("troth_owner", empty)) as connection:
        connection.execute("update deployment set id = gen_random_uuid()")
    with pytest.raises(KeyringForeign, match="not that of this database"):
        require_keyring(postgres.dsn("troth_owner", empty), keys)
    (keys / "deployment").unlink()
    with pytest.raises(KeyringForeign, match="not that of this database"):
        require_keyring(postgres.dsn("troth_owner", empty), keys)
    shutil.rmtree(tmp_path / "other")
    require_keyring(postgres.dsn("troth_owner", empty), other)  # a first start


async def test_a_first_start_that_was_cut_short_goes_on(postgres: EmbeddedServer, tmp_path: Path) -> None:
    dsn = postgres.dsn("troth_owner", copy_of_template(postgres))
    Keyring.open(tmp_path / "keys", create=True).close()
    require_keyring(dsn, tmp_path / "keys")
    keyring = Keyring.open(tmp_path / "keys")
    made = KeyRef(keyring.create(None))  # and then it was killed, before any row named the key
    keyring.close()
    require_keyring(dsn, tmp_path / "keys")
    keyring = Keyring.open(tmp_path / "keys")
    assert keyring.is_alive(made), "and what it had made is there"
    keyring.close()
