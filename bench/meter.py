"""What a server costs while it works: CPU time and memory of its whole process tree, database included."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

_PAUSE_SECONDS = 0.25


def tree(pid: int) -> list[psutil.Process]:
    """A process with all that it has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def cpu_seconds(*pids: int) -> float:
    """CPU time of trees so far, processes that have ended included where their parent waited for them."""
    total = 0.0
    for process in (one for pid in pids for one in tree(pid)):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_bytes(*pids: int) -> int:
    """Proportional set size of trees: pages shared by processes count once."""
    total = 0
    for process in (one for pid in pids for one in tree(pid)):
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


@dataclass
class Cost:
    """What one piece of work cost its server.

    Attributes:
        cpu_seconds: CPU time used.
        peak_bytes: Most memory seen at the samples.
    """

    cpu_seconds: float = 0.0
    peak_bytes: int = 0


class Meter:
    """Measures a server for the length of a block.

    Args:
        *pids: Roots of its process trees.
        with_memory: Sample memory too; costs a little CPU, so not where a rate is what counts.
    """

    def __init__(self, *pids: int, with_memory: bool = False) -> None:
        self._pids = pids
        self._with_memory = with_memory
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.cost = Cost()

    def __enter__(self) -> Cost:
        self._before = cpu_seconds(*self._pids)
        if self._with_memory:
            self._thread.start()
        return self.cost

    def __exit__(self, *_: object) -> None:
        self.cost.cpu_seconds = cpu_seconds(*self._pids) - self._before
        if self._with_memory:
            self._done.set()
            self._thread.join()

    def _sample(self) -> None:
        while True:
            self.cost.peak_bytes = max(self.cost.peak_bytes, memory_bytes(*self._pids))
            if self._done.wait(_PAUSE_SECONDS):
                return
