"""What one request, message or file may cost, spent before the work is done.

Bytes say little of the work in them: a pair of braces is two bytes of JSON and a hundred of memory, a number in XML may
ask for a list of its own length. So items, values, pixels and parts are counted like bytes, and whoever does the work
spends first.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from troth.kit.errors import OverBudget


class Cost(StrEnum):
    """What is counted."""

    BYTES = "bytes"
    ITEMS = "items"
    VALUES = "values"
    PIXELS = "pixels"
    PARTS = "parts"


class Budget:
    """What is left to spend. A kind of cost without a limit is not counted.

    Args:
        limits: Most of each kind.
    """

    __slots__ = ("_left",)

    def __init__(self, limits: Mapping[Cost, int]) -> None:
        self._left = dict(limits)

    def spend(self, cost: Cost, amount: int = 1) -> None:
        """Take from the budget what is about to be used.

        Args:
            cost: Of which kind.
            amount: How much.

        Raises:
            OverBudget: There is not so much left; nothing is taken.
        """
        left = self._left.get(cost)
        if left is None:
            return
        if amount > left:
            raise OverBudget(f"There are more {cost} in one message than are taken here.")
        self._left[cost] = left - amount

    def give_back(self, cost: Cost, amount: int) -> None:
        """Put back what is used no longer."""
        if cost in self._left:
            self._left[cost] += amount

    def left(self, cost: Cost) -> int:
        """How much there is of a kind that has a limit."""
        return self._left[cost]
