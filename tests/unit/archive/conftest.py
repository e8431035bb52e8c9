from __future__ import annotations

import pytest

from tests.common.servers import ServedDatabase
from tests.unit.archive.rooms import Rooms, open_rooms
from troth.vault import Keyring


@pytest.fixture(scope="module")
async def rooms(database: ServedDatabase, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Rooms:
    return await open_rooms(database, keyring, tmp_path_factory.mktemp("archive"))
