"""Generations: what the log is called, and from where on it is called something else.

The name stands in each checkpoint and is of this deployment alone: a witness keeps one log for each name, and refuses
two that differ. The first entry under a new name is `ledger:generation:opened`; it says the name, the name before, and
size and root of the tree so far. What was signed before stays the beginning of the same tree, and is hashed on.

A new generation is opened when the address of the deployment changes, and after a restore: entries that were lost were
signed, so the same size would be signed twice with another root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

KIND: Final = "ledger:generation:opened"

ORIGIN: Final = "troth.local/ledger"
"""The name before the first generation was opened, the same everywhere: nothing outside may rest on it."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One name of the log.

    Attributes:
        origin: The name.
        index: Of its first entry: checkpoints of more leaves carry the name. 0 for the one before all.
        size: Leaves that were there when it was opened, of the tree before it.
        is_restored: It was opened by a restore: what was signed beyond `size` before is lost.
    """

    origin: str
    index: int
    size: int
    is_restored: bool

    @property
    def ends(self) -> int:
        """Largest size that was signed under the name before and is still the beginning of the tree."""
        return self.size if self.is_restored else self.index


BEFORE: Final = Generation(ORIGIN, -1, 0, is_restored=False)


def origin_of(row: Mapping[str, Any]) -> str:
    """The name that an entry gives to the log; empty where it gives none."""
    if row["kind"] != KIND:
        return ""
    return str(((row["more"] or {}).get("says") or {}).get("origin", ""))


def generation(row: Mapping[str, Any]) -> Generation:
    """From a row of `store.select_generations`."""
    counts = row["counts"]
    origin = str(((row["more"] or {}).get("says") or {}).get("origin", ""))
    return Generation(origin, row["index"], int(counts.get("size", 0)), bool(counts.get("restored")))


def named(host: str, deployment: str, number: int) -> str:
    """Name of a generation.

    Args:
        host: Host name of the deployment's pages; empty where it has none of its own.
        deployment: What the deployment is called then.
        number: Of the generation, from 1.
    """
    return f"{host or deployment}/ledger/{number}"


def next_number(origin: str) -> int:
    """Number of the generation after the one of a name."""
    number = origin.rpartition("/")[2]
    return int(number) + 1 if number.isascii() and number.isdecimal() else 1
