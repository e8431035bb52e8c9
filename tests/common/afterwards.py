"""What the ledger shows of tests that have run: whatever the looks of the platform find there breaks a promise."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from troth.kit import clock
from troth.ledger import Sequencer
from troth.main.wiring import Rooms
from troth.proofs import Verdict
from troth.proofs.looks import Looks, Text

SET_UP: Final = "set-up"
"""What a permit that nobody decided names instead of a notice."""


@dataclass(frozen=True, slots=True)
class Broken:
    """One sentence that does not hold any more.

    Attributes:
        clause: Notice and clause, such as `imaging-cloud 8.2`.
        promises: What the clause states: numbers of rows.
        said: What was found.
    """

    clause: str
    promises: tuple[str, ...]
    said: str


class PromiseBroken(AssertionError):
    """What tests did breaks a promise, as the ledger shows.

    Args:
        found: What is broken.

    Attributes:
        promises: The rows that the broken clauses state.
    """

    def __init__(self, found: Iterable[Broken]) -> None:
        every = list(found)
        super().__init__(f"what these tests did breaks a promise: {[f'{each.clause}: {each.said}' for each in every]}")
        self.promises = sorted({row for each in every for row in each.promises})


async def broken(rooms: Rooms, sequencer: Sequencer) -> list[Broken]:
    """What happened that speaks against a promise, as the looks of the platform see it.

    What a permit did that nobody decided is left out: it only built a scene. So is that the command line let in members
    of staff, who are as if they had been there at the founding.

    Args:
        rooms: Of the deployment.
        sequencer: Its.
    """
    current = tuple(each.notice for each in await rooms.notices.current())
    looks = Looks(Text(current, (*current, *(each.notice for each in await rooms.notices.versions()))))
    promises = {(notice.name, clause.id): tuple(clause.promises) for notice in current for clause in notice.clauses}

    def heed(octets: bytes) -> None:
        said = json.loads(octets)
        if (said["kind"], said["actor_kind"]) == ("people:member:joined", "system"):
            said.pop("people", None)
        if said.get("notice") != SET_UP:
            looks.see(json.dumps(said).encode())

    await sequencer.drain()
    await rooms.ledger.verify(rooms.dsn_sequencer, heed=heed)
    return [
        Broken(f"{notice} {clause}", promises[notice, clause], f"{each.said}: {each.examples}")
        for (notice, clause), found in looks.found(clock.now()).items()
        for each in found
        if each.verdict is Verdict.BROKEN
    ]


def breaks(module: ModuleType, folder: str) -> tuple[str, ...] | None:
    """The promises that the tests of a module break (`BREAKS`: notice and clause); None where it is not asked.

    What tests of promises do is what honest people do, so whatever the looks find in it is a fault of theirs, or of
    ours.

    Args:
        module: Of tests.
        folder: Where it lies.
    """
    found = getattr(module, "BREAKS", ()) if folder == "promises" else None
    return found if isinstance(found, tuple) else None
