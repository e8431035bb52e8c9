"""How long a server takes to start, in a new folder and in one that is in use, and what it takes while nobody asks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import meter
from bench.server import Server
from bench.work import Figures

ROWS = ("start-first", "start", "idle-memory", "idle-cpu")
Start = Callable[[Path], Server]

_SETTLES_SECONDS = 3.0
_IDLE_SECONDS = 10.0


def figures(start: Start, folder: Path) -> Figures:
    """One round: a first start, some seconds of idleness, an end, a second start.

    Args:
        start: Starts the server with its data in a folder.
        folder: Disk for its data; gone afterwards.
    """
    place = folder / "started"
    try:
        server = start(place)
        try:
            first = server.start_seconds
            time.sleep(_SETTLES_SECONDS)
            with meter.Meter(*server.pids) as cost:
                time.sleep(_IDLE_SECONDS)
            idle_bytes = meter.memory_bytes(*server.pids)
        finally:
            server.stop()
        server = start(place)
        server.stop()
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return {
        "start-first": first,
        "start": server.start_seconds,
        "idle-memory": idle_bytes / 2**20,
        "idle-cpu": cost.cpu_seconds * 1000 / _IDLE_SECONDS,
    }


def measure(starts: Mapping[str, Start], folder: Path, rounds: int, tell: Callable[[str, Figures], None]) -> None:
    """All rounds; the servers take turns, one at a time.

    Args:
        starts: How to start each, by its name.
        folder: Disk for their data.
        rounds: How many.
        tell: Is given the figures of each.
    """
    for _ in range(rounds):
        for name, start in starts.items():
            tell(name, figures(start, folder))
