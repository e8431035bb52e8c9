"""Turns at something that few can have at once, shared out so that nobody waits behind the crowd of another.

Whoever has the fewest turns goes on first, and those who wait are served one after the other, not first come first
served: a hundred requests of one organisation delay the single one of another by one turn.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from troth.kit.errors import Unavailable


class TooManyWaiting(Unavailable):
    """As many of one kind wait already as may."""

    slug = "too-many-waiting"
    title = "Too much is asked for at once; try again in a moment"


class Turns:
    """Turns within one event loop.

    Args:
        most: Turns at once.
        most_of_one: Of one and the same, such as an organisation.
        most_waiting: Of one and the same that may wait.
    """

    def __init__(self, most: int, *, most_of_one: int, most_waiting: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._most_waiting = most_waiting
        self._taken: Counter[Hashable] = Counter()
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, who: Hashable) -> AsyncIterator[None]:
        """Wait for a turn and have it.

        Args:
            who: Whose share it counts in.

        Raises:
            TooManyWaiting: As many wait as may.
        """
        await self._take(who)
        try:
            yield
        finally:
            self._give_back(who)

    def _is_free(self, who: Hashable) -> bool:
        return self._taken.total() < self._most and self._taken[who] < self._most_of_one

    async def _take(self, who: Hashable) -> None:
        if who not in self._waiting and self._is_free(who):
            self._taken[who] += 1
            return
        queue = self._waiting.setdefault(who, deque())
        if len(queue) >= self._most_waiting:
            raise TooManyWaiting
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was ours already
                self._give_back(who)
            else:
                self._forget(who, turn)
            raise

    def _give_back(self, who: Hashable) -> None:
        self._taken[who] -= 1
        if not self._taken[who]:
            del self._taken[who]
        self._pass_on()

    def _forget(self, who: Hashable, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(who)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[who]

    def _pass_on(self) -> None:
        """Give what is free to those who wait, one after the other."""
        for who in list(self._waiting):
            if not self._is_free(who):
                continue
            queue = self._waiting[who]
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    self._taken[who] += 1
                    turn.set_result(None)
                    break
            self._waiting.move_to_end(who)
            if not queue:
                del self._waiting[who]
