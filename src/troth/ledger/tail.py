"""Whether the database holds the ledger that was signed last: compared with the head file, outside the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from troth.kit.db import Connection
from troth.ledger import store, tiles
from troth.ledger.errors import TreeBroken
from troth.ledger.head import NAME, Head
from troth.ledger.merkle import EMPTY_ROOT

HEAD_DIFFERED: Final = "ledger:head:differed"
"""Kind of the entry that says so; it gets its place once that was put right."""


@dataclass(frozen=True, slots=True)
class Differs:
    """That it does not.

    Attributes:
        how: `cut`: it is smaller, or the whole database is an older one. `other`: it was as large, and is another one.
            `gone`: the head file is not there any more.
        signed: Entries that were signed, as the file says.
        held: Entries that are signed in the database.
    """

    how: Literal["cut", "other", "gone"]
    signed: int
    held: int

    @property
    def sentence(self) -> str:
        """In words, for the operator."""
        match self.how:
            case "cut":
                return f"the ledger was cut: {self.signed} entries were signed, {self.held} are there"
            case "other":
                return f"the first {self.signed} entries are not those that were signed"
        return f"the file {NAME} is gone from the data folder"


async def root_at(connection: Connection, size: int) -> bytes:
    """Root of the first leaves.

    Raises:
        TreeBroken: A tile is missing.
    """
    if not size:
        return EMPTY_ROOT
    try:
        return tiles.subtree_hash(0, size, await store.select_tiles(connection, tiles.places_for([(0, size)])))
    except KeyError as fault:
        raise TreeBroken("a tile of the ledger is missing") from fault


async def differs(connection: Connection, head: Head | None, size: int, fence: int | None = None) -> Differs | None:
    """How the database differs from what the head file says; None where it does not.

    Args:
        connection: Of the deployment's own space, or of the sequencer.
        head: What the file said before the size was read: the database may be ahead of it.
        size: Of the newest checkpoint.
        fence: Number of the sequencer that leads, where it is known.

    Raises:
        TreeBroken: A tile is missing.
    """
    if head is None:
        return Differs("gone", 0, size) if size and await store.has_coded(connection) else None
    if size < head.size or (fence is not None and fence < head.fence):
        return Differs("cut", head.size, size)
    if await root_at(connection, head.size) != head.root:
        return Differs("other", head.size, size)
    return None
