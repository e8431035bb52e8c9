"""Rounds of a work that many wait for: one at a time, each for all who asked before it started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Answer = asyncio.Future[None]


class Rounds:
    """The rounds of one event loop: the one that runs and the one that will start after it.

    Args:
        start: Begins a round. Whoever does the work calls `ended` with the same answer, once, in the event loop.
    """

    def __init__(self, start: Callable[[Answer], None]) -> None:
        self._work = start
        self._loop = asyncio.get_running_loop()
        self._running: Answer | None = None
        self._following: Answer | None = None

    def begin(self) -> Answer:
        """Ask for a round that starts after this call.

        Returns:
            A future that many share: await it through `asyncio.shield`.
        """
        if self._running is None:
            self._running = self._start(self._loop.create_future())
            return self._running
        if self._following is None:
            self._following = self._loop.create_future()
        return self._following

    def ended(self, answer: Answer, fault: Exception | None) -> None:
        """A round has ended; the next one starts before anybody is told.

        Args:
            answer: What `start` was given.
            fault: What went wrong, for all who wait.
        """
        following, self._following = self._following, None
        self._running = self._start(following) if following is not None else None
        if answer.done():
            return
        if fault is None:
            answer.set_result(None)
        else:
            answer.set_exception(fault)

    def _start(self, answer: Answer) -> Answer:
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # may stay unasked
        self._work(answer)
        return answer
