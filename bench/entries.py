"""The ledger alone: how many entries a second eight connections write, and how soon each has its place in the tree.

Four processes with two connections each, as web, DICOM and worker processes write at once; every entry is a transaction
of its own with a sealed payload. One more process runs the sequencer, as the worker does. No peer has a ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import queue
import shutil
import tempfile
import time
from bisect import bisect_right
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID, uuid4

import uvloop

from troth.kit import migrate
from troth.kit.db import Database
from troth.kit.postgres import EmbeddedServer
from troth.ledger import Entry, Ledger, Sequencer
from troth.main.node import migrations
from troth.vault import Keyring

SECONDS = 5.0
_PROCESSES, _CONNECTIONS = 4, 8
_LOOK_SECONDS = 0.02
_spawned = multiprocessing.get_context("spawn")
_Written = list[tuple[UUID, float]]


@dataclass(frozen=True)
class _Space:
    tenant: UUID | None


def figures(folder: Path) -> dict[str, float]:
    """Entries per second, and the milliseconds until 99 of 100 entries stood in a signed checkpoint.

    Args:
        folder: Disk for the database.
    """
    place = Path(tempfile.mkdtemp(prefix="troth-measured-ledger-", dir=folder))
    place.chmod(0o711)
    server = EmbeddedServer(place)
    server.start()
    stop, told = _spawned.Event(), _spawned.Queue()
    space = _Space(uuid4())
    processes: list[Any] = []
    try:
        migrate.upgrade(server.dsn("troth_owner"), migrations())
        keys = place / "keys"
        keyring = Keyring.open(keys, create=True)
        key = bytes(keyring.create(keyring.create(None)))
        dsn = server.dsn("troth_app")
        processes.append(_spawned.Process(target=_sequence, args=(server.dsn("troth_sequencer"), keys, stop)))
        writing = (dsn, keys, key, space, _CONNECTIONS // _PROCESSES, told)
        processes += [_spawned.Process(target=_write, args=writing) for _ in range(_PROCESSES)]
        for process in processes:
            process.start()
        return asyncio.run(_measured(dsn, space, told, processes))
    finally:
        stop.set()
        for process in processes:
            process.join(20)
        server.stop()
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(server.socket_folder, ignore_errors=True)


def _sequence(dsn: str, keys: Path, stop: Event) -> None:
    async def run() -> None:
        ended = asyncio.Event()
        sequencing = asyncio.create_task(Sequencer(dsn, Keyring.open(keys)).run(ended))
        await asyncio.to_thread(stop.wait)
        ended.set()
        await sequencing

    uvloop.run(run())


def _write(dsn: str, keys: Path, key: bytes, space: _Space, connections: int, told: Queue[_Written]) -> None:
    """Write until the time is over; then tell what, and when each entry was committed."""
    keyring = Keyring.open(keys)

    async def write(database: Database, ledger: Ledger, until: float) -> _Written:
        written: _Written = []
        while time.time() < until:
            entry = Entry(
                kind="archive:study:opened", tenant=space.tenant, actor_id=uuid4(), actor_kind="user",
                role="clinician", subject_id=uuid4(), study_id=uuid4(), key=key,
                payload={"study_uid": "2.25.123456789", "description": "Generated chest"}, purpose="diagnosis",
                clauses=("4.1", "5.1"), decision_id=uuid4(), counts={"instances": 100},
            )  # fmt: skip
            (event_id,) = await ledger.write(database, space, [entry])
            written.append((event_id, time.time()))
        return written

    async def run() -> _Written:
        database, ledger = Database(dsn, min_size=connections, max_size=connections), Ledger(keyring)
        async with database.transaction(space):
            pass
        until = time.time() + SECONDS
        written = await asyncio.gather(*(write(database, ledger, until) for _ in range(connections)))
        await database.close()
        return [one for some in written for one in some]

    told.put(uvloop.run(run()))


async def _measured(dsn: str, space: _Space, told: Queue[_Written], processes: list[Any]) -> dict[str, float]:
    """Look at the size of the tree while it grows; afterwards ask each entry for its place in it."""
    database, sizes, written = Database(dsn), [(0.0, 0)], dict[UUID, float]()
    parts = 0
    give_up_at = time.time() + 60 + SECONDS
    while parts < _PROCESSES or sizes[-1][1] < len(written):
        if time.time() > give_up_at or any(process.exitcode for process in processes):
            raise RuntimeError("a process of the measurement ended, or the sequencer did not follow")
        async with database.transaction(None) as connection:
            cursor = await connection.execute("select size from ledger_checkpoint order by size desc limit 1")
            size = ((await cursor.fetchone()) or {"size": 0})["size"]
        if size != sizes[-1][1]:
            sizes.append((time.time(), size))
        with contextlib.suppress(queue.Empty):
            written.update(told.get_nowait())
            parts += 1
        await asyncio.sleep(_LOOK_SECONDS)
    async with database.transaction(space) as connection:
        cursor = await connection.execute("select entry_id, index from ledger_leaf")
        places = {row["entry_id"]: row["index"] for row in await cursor.fetchall()}
    await database.close()
    steps = [size for _, size in sizes]
    waits = [sizes[bisect_right(steps, places[each])][0] - at for each, at in written.items()]
    took = max(written.values()) - min(written.values())
    return {"ledger": len(written) / took, "ledger-inclusion": 1000 * quantiles(waits, n=100)[98]}
