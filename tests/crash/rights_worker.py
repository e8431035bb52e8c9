"""A worker that a test can kill: wired as the real one, with a step after which the process kills itself.

The product has no such hook; the engine's `step` is wrapped here, from outside. Run by a fork server that has imported
everything once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from troth.kit.durable import Durable
from troth.main.settings import Settings
from troth.main.wiring import load_notices, open_rooms
from troth.rights import Fulfilment


class Server:
    """Where the databases are: connection strings that the test gave."""

    def __init__(self, app: str, sequencer: str) -> None:
        self._dsns = {"troth_app": app, "troth_sequencer": sequencer}

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def is_alive(self) -> bool:
        return True

    def dsn(self, role: str, database: str = "") -> str:
        return self._dsns[role]


class Doomed(Durable):
    """Kills its process at a step: after it was recorded, or after its work and before it was recorded."""

    kill_at = 0
    is_recorded = True
    count = 0

    def step(self, name: str, work: Any, *arguments: Any) -> Any:
        self.count += 1
        if self.count != self.kill_at:
            return super().step(name, work, *arguments)
        if self.is_recorded:
            super().step(name, work, *arguments)
            self.die()

        async def work_and_die(*given: Any) -> Any:
            await work(*given)
            self.die()

        return super().step(name, work_and_die, *arguments)

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def run(
    folder: str, notice: str, dsns: dict[str, str], executor: str, kill_at: int, is_recorded: bool, is_listening: Event
) -> None:
    """Work until SIGTERM, or until the step that kills."""
    # Nothing may be said on the console; what is said fails the test.
    sink = os.open(Path(folder) / "console", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(sink, stream)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
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
    fulfilment = Fulfilment(rooms.rights, engine)
    await engine.launch()
    await fulfilment.take(stop, 0.05)
    await engine.stop()
    await rooms.close()
