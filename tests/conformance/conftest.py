"""A hospital, its modality, and a listener with three studies of two people; who needs another one, has its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from pynetdicom import AE

from tests.common.hospital import MODALITY, Hospital, open_hospital
from tests.common.servers import ServedDatabase
from tests.conformance.station import Door, send, specimens
from troth.doors import dimse
from troth.vault import Keyring


@pytest.fixture(scope="module")
async def hospital(database: ServedDatabase, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return await open_hospital(database, keyring, tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
async def door(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    listener = dimse.create(hospital, dimse.Limits(drain_seconds=1.0))
    await listener.start("127.0.0.1", 0)
    files = specimens(tmp_path_factory.mktemp("sent"))
    await send(listener.port, files)
    yield Door(hospital, listener, files)
    await listener.stop()


@pytest.fixture
def modality() -> Iterator[AE]:
    ae = AE(MODALITY)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
    yield ae
    ae.shutdown()
