"""A process that corrects a study and kills itself at one step of it, put in here: the product has no such hook."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.crash.rights_worker import Server
from troth.archive import correcting_store
from troth.archive.releasing import Releasing
from troth.kit import clock, ids
from troth.ledger import Ledger
from troth.main.settings import Settings
from troth.main.wiring import load_notices, open_rooms
from troth.policy import Actor, Permit, Target
from troth.vault import Packs

NAME = 0x00100010

#: Where it dies: the owner of a verb, the verb, and whether its work is done before.
STEPS: dict[str, tuple[Any, str, bool]] = {
    "heads written": (Packs, "sync", False),
    "heads durable": (Packs, "sync", True),
    "rows swapped": (correcting_store, "swap", True),
    "ledger told": (Ledger, "append", True),
    "committed": (Releasing, "release", False),
    "old heads freed": (correcting_store, "released", False),
}


def permit_for(tenant: UUID, study_id: UUID, action: str = "rectify") -> Permit:
    """As the privacy office has it."""
    now = clock.now()
    who = Actor("user", ids.uuid7(), tenant, "office", None, ids.uuid7(), "An officer", "House")
    target = Target("study", study_id, tenant) if action == "rectify" else Target("organisation", tenant, tenant)
    return Permit(who, action, target, "rights", ("4.4",), "", "test", ids.uuid7(), now, now + timedelta(minutes=5))


def run(folder: str, notice: str, dsns: dict[str, str], tenant: UUID, study_id: UUID, name: str, step: str) -> None:
    """Correct a study, as far as the step lets it."""
    owner, verb, is_done = STEPS[step]
    work = getattr(owner, verb)

    async def doomed(*given: Any, **more: Any) -> Any:
        if is_done:
            await work(*given, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, verb, doomed)
    asyncio.run(_correct(Settings(Path(folder), (Path(notice),)), dsns, tenant, study_id, name))


async def _correct(settings: Settings, dsns: dict[str, str], tenant: UUID, study_id: UUID, name: str) -> None:
    rooms = open_rooms(settings, Server(dsns["app"], dsns["sequencer"]), load_notices(settings), connections=2)
    await rooms.archive.correct(permit_for(tenant, study_id), study_id, {NAME: name}, reason="CORRECT")
