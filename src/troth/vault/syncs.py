"""Shared syncs: one at a time, each for all who asked before it started.

A thread of its own waits for the disk. It is told and answers with one call each: the executors of the standard library
cost more than the rest of a small commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from weakref import WeakKeyDictionary

from troth.kit.rounds import Answer, Rounds
from troth.vault.errors import PackFault

_Asked = tuple[asyncio.AbstractEventLoop, Answer]


class Syncs:
    """Runs a sync in a thread for the event loops that ask.

    Args:
        sync: Makes durable what was written before it was called; blocks. Raises `PackFault`.
    """

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._process_id = 0
        self._rounds: WeakKeyDictionary[asyncio.AbstractEventLoop, Rounds] = WeakKeyDictionary()

    def begin(self) -> Answer:
        """Ask for a sync of everything that was written before this call.

        Returns:
            A future that many share: await it through `asyncio.shield`.
        """
        loop = asyncio.get_running_loop()
        rounds = self._rounds.get(loop)
        if rounds is None:
            rounds = self._rounds[loop] = Rounds(partial(self._start, loop))
        return rounds.begin()

    def close(self) -> None:
        """End the thread after the sync that runs."""
        if self._thread is not None and self._process_id == os.getpid():
            self._asked.put(None)
            self._thread.join()
        self._thread = None

    def _start(self, loop: asyncio.AbstractEventLoop, answer: Answer) -> None:
        # a fork leaves the thread behind
        if self._thread is None or self._process_id != os.getpid() or not self._thread.is_alive():
            self._process_id, self._asked = os.getpid(), SimpleQueue()
            self._thread = threading.Thread(target=self._work, args=(self._asked,), name="pack-sync", daemon=True)
            self._thread.start()
        self._asked.put((loop, answer))

    def _work(self, asked: SimpleQueue[_Asked | None]) -> None:
        while (one := asked.get()) is not None:
            loop, answer = one
            fault: PackFault | None = PackFault("bytes could not be made durable")  # whatever else may come
            try:
                self._sync()
                fault = None
            except PackFault as error:
                fault = error
            finally:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(self._rounds[loop].ended, answer, fault)
