"""What was found out a moment ago, for at most a second: who stands behind a token, and what they may do.

A page of a viewer asks hundreds of times in a second. Whatever ends (a session, a role, a consent, a study) is felt
within the second that DESIGN §1 gives, because the age counts from before it was asked.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from troth.kit import clock
from troth.kit.errors import Unavailable

LASTS = timedelta(seconds=1)
_MOST = 4096

Key = TypeVar("Key", bound=Hashable)
Known = TypeVar("Known")


class Moments(Generic[Key, Known]):
    """Answers that hold for a second. Refusals and what is not there are asked anew each time.

    Of many who want to know the same at once, one asks.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[Key, tuple[datetime, Known]] = OrderedDict()
        self._asking: dict[Key, tuple[datetime, asyncio.Task[Known]]] = {}

    async def of(self, key: Key, ask: Callable[[], Coroutine[Any, Any, Known]]) -> Known:
        """The answer, asked for unless it is known.

        Args:
            key: Everything that the answer depends on.
            ask: Asks; what it raises is not remembered.
        """
        asked_at = clock.now()
        held = self._known.get(key)
        # A clock that was set back must not lengthen the second.
        if held is not None and timedelta(0) <= asked_at - held[0] < LASTS:
            return held[1]
        under_way = self._asking.get(key)
        if under_way is not None and timedelta(0) <= asked_at - under_way[0] < LASTS:
            await asyncio.wait([under_way[1]])
            if not under_way[1].cancelled() and isinstance(under_way[1].exception(), Unavailable | None):
                return under_way[1].result()  # what does not answer would not answer the others either
            return await self._ask(key, asked_at, ask)
        task = asyncio.get_running_loop().create_task(self._ask(key, asked_at, ask))
        self._asking[key] = asked_at, task
        try:
            return await task
        finally:
            if self._asking.get(key, (None, None))[1] is task:
                del self._asking[key]

    async def _ask(self, key: Key, asked_at: datetime, ask: Callable[[], Coroutine[Any, Any, Known]]) -> Known:
        answer = await ask()
        if answer is not None:
            self._known[key] = asked_at, answer
            self._known.move_to_end(key)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return answer
