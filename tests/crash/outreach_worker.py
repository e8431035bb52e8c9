"""A worker that tells of changes and that a test can kill; see `rights_worker`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from multiprocessing.synchronize import Event
from pathlib import Path

from tests.crash.rights_worker import Doomed, Server
from troth.main.settings import Settings
from troth.main.wiring import load_notices, open_rooms
from troth.outreach import Amendments, amendments


def run(
    folder: str, notice: str, dsns: dict[str, str], executor: str, kill_at: int, is_recorded: bool, is_listening: Event
) -> None:
    """Work until SIGTERM, or until the step that kills. One mail a step, so that it can die between two."""
    sink = os.open(Path(folder) / "console", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(sink, stream)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    amendments.BATCH = 1
    asyncio.run(_work(Settings(Path(folder), (Path(notice),)), dsns, executor, kill_at, is_recorded, is_listening))


async def _work(
    settings: Settings, dsns: dict[str, str], executor: str, kill_at: int, is_recorded: bool, is_listening: Event
) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    is_listening.set()
    server = Server(dsns["app"], dsns["sequencer"])
    rooms = open_rooms(settings, server, load_notices(settings), connections=3)
    engine = Doomed(dsns["flow"], executor)
    engine.kill_at, engine.is_recorded = kill_at, is_recorded
    work = Amendments(rooms.outreach, engine)
    await engine.launch()
    await work.take(stop, 0.05)
    await engine.stop()
    await rooms.close()
