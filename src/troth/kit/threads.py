"""Threads of a process, shared out by organisation: whoever asks for much delays others by one task, not by the crowd.

Whatever runs beside the event loop (`asyncio.to_thread`) runs here. Tasks of different organisations take turns, and
one of them has two thirds of the threads at most, so that a task of another always finds one. Work of which nobody said
whose it is may be anybody's, the same organisation's too: it never has the last of what that one leaves.

What runs in a thread must not wait for another task of these threads.
"""

from __future__ import annotations

import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from threading import Lock
from typing import Any

_whose: ContextVar[Hashable] = ContextVar("whose", default=None)


def work_for(who: Hashable) -> None:
    """Say whose work follows in this task, and in the tasks that it starts.

    Args:
        who: The organisation; nobody yet where this is not said.
    """
    _whose.set(who)


class SharedThreads(ThreadPoolExecutor):
    """The threads that an event loop hands its blocking work to.

    Args:
        most: How many; as many as Python would take unless told.
    """

    def __init__(self, most: int | None = None) -> None:
        most = most or min(32, (os.cpu_count() or 1) + 4)
        super().__init__(most, thread_name_prefix="shared")
        self._most_of_one = max(1, most * 2 // 3)
        self._most_of_nobody = max(1, most - self._most_of_one - 1)
        self._guard = Lock()
        self._waiting: OrderedDict[Hashable, deque[tuple[Future[Any], Callable[[], Any]]]] = OrderedDict()
        self._running: Counter[Hashable] = Counter()
        self._passed = 0  # threads that came for a task and found none that may run yet

    def submit(self, task: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Take a task in, for whom this task of the event loop works."""
        future: Future[Any] = Future()
        with self._guard:  # a thread that comes at once waits for it, and a task that is refused is not left waiting
            super().submit(self._work)
            self._waiting.setdefault(_whose.get(), deque()).append((future, lambda: task(*arguments, **named)))
        return future

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            who, future, task = taken
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(task())
                except BaseException as fault:  # noqa: BLE001 - whoever waits for it is told, whatever it is
                    future.set_exception(fault)
            del future, task, taken
            with self._guard:
                self._running[who] -= 1
                if not self._running[who]:
                    del self._running[who]
                if not self._passed:
                    return
                self._passed -= 1

    def _next(self) -> tuple[Hashable, Future[Any], Callable[[], Any]] | None:
        """The next task of whoever waits longest and has not its share."""
        with self._guard:
            for who, tasks in self._waiting.items():
                if self._running[who] >= (self._most_of_nobody if who is None else self._most_of_one):
                    continue
                future, task = tasks.popleft()
                self._running[who] += 1
                if tasks:
                    self._waiting.move_to_end(who)
                else:
                    del self._waiting[who]
                return who, future, task
            self._passed += 1
            return None
