"""Whether the ledger of the database is the one that was signed last: asked at each start, and said where it is not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from troth import policy
from troth.kit.db import Space
from troth.ledger import HEAD_DIFFERED, CheckpointBroken, Clear, Sequencer, TreeBroken
from troth.main.wiring import Rooms
from troth.policy import Actor

_logger = logging.getLogger(__name__)


async def say_standing(rooms: Rooms, actor: Actor) -> bool:
    """Compare, and where the ledger is a smaller, an older or another one, write it to the log and into the ledger.

    The entry waits for its place until it was put right: nothing more is signed before.

    Args:
        rooms: The rooms.
        actor: The operator.

    Returns:
        Whether it is the one that was signed last.
    """
    try:
        async with rooms.database.transaction(Space(None)) as connection:
            found = await rooms.ledger.differs(connection)
        if found is None:
            return True
        await _say(rooms, actor, found.how, found.sentence, {"signed": found.signed, "held": found.held})
    except TreeBroken as fault:
        await _say(rooms, actor, "unreadable", fault.detail)
    return False


async def sequence(
    rooms: Rooms, actor: Actor, sequencer: Sequencer, stop: asyncio.Event, tell: Callable[[Collection[str]], None]
) -> None:
    """Sequence until told to stop. A tree that must not be extended ends the signing, and no other work.

    Nothing is tried again: it is put right while the node stands still, and the next start looks again.

    Args:
        rooms: The rooms.
        actor: The operator.
        sequencer: Of this process.
        stop: Ends it.
        tell: As `Sequencer.run` takes it.
    """
    try:
        await sequencer.run(stop, tell)
    except (TreeBroken, CheckpointBroken) as fault:
        await _say(rooms, actor, "broken", fault.detail)


async def _say(rooms: Rooms, actor: Actor, how: str, sentence: str, counts: Mapping[str, int] | None = None) -> None:
    _logger.critical("%s. Nothing more is signed. To go on from a backup: troth restore", sentence)
    entry = policy.act(
        actor, HEAD_DIFFERED, "security", space=Space(None), outcome="failed", counts=counts or {},
        clear=Clear(says={"state": how}),
    )  # fmt: skip
    await rooms.ledger.write(rooms.database, Space(None), [entry])
