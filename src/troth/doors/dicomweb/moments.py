"""What was found out a moment ago, for at most a second: who stands behind a token, and what they may do.

A page of a viewer asks hundreds of times in a second. Whatever ends (a session, a role, a consent, a study) is felt
within the second that DESIGN §1 gives, because the age counts from before it was asked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from troth.kit import clock

LASTS = timedelta(seconds=1)
_MOST = 4096

Key = TypeVar("Key", bound=Hashable)
Known = TypeVar("Known")


class Moments(Generic[Key, Known]):
    """Answers that hold for a second. Refusals and what is not there are asked anew each time."""

    def __init__(self) -> None:
        self._known: OrderedDict[Key, tuple[datetime, Known]] = OrderedDict()

    async def of(self, key: Key, ask: Callable[[], Awaitable[Known]]) -> Known:
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
        answer = await ask()
        if answer is not None:
            self._known[key] = asked_at, answer
            self._known.move_to_end(key)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return answer
