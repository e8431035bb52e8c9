"""Whether the ledger of the database is the one that was signed last: asked at each start, and said where it is not."""

from __future__ import annotations

import logging

from troth import policy
from troth.kit.db import Space
from troth.ledger import Clear, TreeBroken
from troth.main.wiring import Rooms
from troth.policy import Actor

KIND = "ledger:head:differed"
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
    counts: dict[str, int] = {}
    how: str
    try:
        async with rooms.database.transaction(Space(None)) as connection:
            found = await rooms.ledger.differs(connection)
        if found is None:
            return True
        how, sentence, counts = found.how, found.sentence, {"signed": found.signed, "held": found.held}
    except TreeBroken as fault:
        how, sentence = "unreadable", fault.detail
    _logger.critical("%s. Nothing more is signed. To go on from a backup: troth restore", sentence)
    entry = policy.act(
        actor, KIND, "security", space=Space(None), outcome="failed", counts=counts, clear=Clear(says={"state": how})
    )
    await rooms.ledger.write(rooms.database, Space(None), [entry])
    return False
