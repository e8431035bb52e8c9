"""What one request, message or file may cost, spent before the work is done.

Bytes say little of the work in them: a pair of braces is two bytes of JSON and a hundred of memory, a number in XML may
ask for a list of its own length. So items, values, pixels and parts are counted like bytes, and whoever does the work
spends first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from enum import StrEnum

from troth.kit.errors import OverBudget, Unavailable


class Cost(StrEnum):
    """What is counted."""

    BYTES = "bytes"
    ITEMS = "items"
    VALUES = "values"
    PIXELS = "pixels"
    PARTS = "parts"


class RoomTaken(Unavailable):
    """What waits at once, of one organisation or of all, is as much as may."""

    slug = "room-taken"
    title = "Too much is being sent at once; try again in a moment"


class Room:
    """Bytes that all requests of a process may hold at once, shared out so that one organisation cannot fill it.

    Args:
        most_bytes: Of all together.
        most_of_one: Of one and the same, such as an organisation.
    """

    def __init__(self, most_bytes: int, most_of_one: int) -> None:
        self._most_bytes = most_bytes
        self._most_of_one = most_of_one
        self._held: Counter[Hashable] = Counter()

    def share(self, who: Hashable) -> Share:
        """What one request holds; to be closed at its end.

        Args:
            who: Whose share it counts in.
        """
        return Share(self, who)

    def take(self, who: Hashable, amount: int) -> None:
        """Hold some more; see `Share.take`."""
        if self._held.total() + amount > self._most_bytes or self._held[who] + amount > self._most_of_one:
            raise RoomTaken
        self._held[who] += amount

    def give_back(self, who: Hashable, amount: int) -> None:
        """Hold it no longer."""
        self._held[who] -= amount
        if not self._held[who]:
            del self._held[who]


class Share:
    """The bytes that one request holds; with the end of a `with` block it holds none."""

    __slots__ = ("_held", "_room", "_who")

    def __init__(self, room: Room, who: Hashable) -> None:
        self._room = room
        self._who = who
        self._held = 0

    def __enter__(self) -> Share:
        """Hold nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give everything back."""
        self.give_back(self._held)

    def take(self, amount: int) -> None:
        """Hold some more.

        Args:
            amount: Bytes.

        Raises:
            RoomTaken: There is no room for so many; nothing is taken.
        """
        self._room.take(self._who, amount)
        self._held += amount

    def give_back(self, amount: int) -> None:
        """Hold some no longer."""
        self._held -= amount
        self._room.give_back(self._who, amount)


class Budget:
    """What is left to spend. A kind of cost without a limit is not counted.

    Args:
        limits: Most of each kind.
        share: Of the room that all requests have; bytes that are spent are held there.
    """

    __slots__ = ("_left", "_share")

    def __init__(self, limits: Mapping[Cost, int], share: Share | None = None) -> None:
        self._left = dict(limits)
        self._share = share

    def spend(self, cost: Cost, amount: int = 1) -> None:
        """Take from the budget what is about to be used.

        Args:
            cost: Of which kind.
            amount: How much.

        Raises:
            OverBudget: There is not so much left; nothing is taken.
            RoomTaken: There is none for it in the room of all requests; nothing is taken.
        """
        left = self._left.get(cost)
        if left is None:
            return
        if amount > left:
            raise OverBudget(f"There are more {cost} in one message than are taken here.")
        if self._share is not None and cost is Cost.BYTES:
            self._share.take(amount)
        self._left[cost] = left - amount

    def give_back(self, cost: Cost, amount: int) -> None:
        """Put back what is used no longer."""
        if cost not in self._left:
            return
        self._left[cost] += amount
        if self._share is not None and cost is Cost.BYTES:
            self._share.give_back(amount)

    def left(self, cost: Cost) -> int:
        """How much there is of a kind that has a limit."""
        return self._left[cost]
