"""What is done at the command line or by the worker, by the rooms of the running Troth, opened beside it.

Starting Python and opening the rooms does not count. What is done stands in the ledger.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from bench.loads import CALLING_AE
from bench.server import Server
from bench.troth import ORGANISATION
from troth.archive import MediaWriter
from troth.kit import clock, ids
from troth.kit.zipping import ZipWriter
from troth.main.adopting import InForce
from troth.main.node import server_for
from troth.main.settings import load
from troth.main.wiring import Rooms, load_notices, open_rooms
from troth.people import Organisation
from troth.policy import Actor, Permit, Target

_Result = TypeVar("_Result")


def export(server: Server, notice: Path, study_uid: str, target: Path) -> float:
    """Write a study as a zip with its DICOMDIR, as `troth archive export` does; gives the seconds.

    Args:
        server: The running Troth.
        notice: The notice in force.
        study_uid: Which study.
        target: A new file.
    """

    async def work(rooms: Rooms, house: Organisation) -> float:
        actor = await rooms.people.actor_of_peer(CALLING_AE, server.called_ae, "127.0.0.1")
        assert actor is not None
        began = time.perf_counter()
        permit = await rooms.policy.require(actor, "retrieve", await rooms.archive.target(actor, study_uid), "care")
        with target.open("xb") as file:
            medium = ZipWriter(lambda chunk: (file.write(chunk), None)[1], clock.now(), with_digests=False)
            async with aclosing(MediaWriter(medium)) as writer:
                viewing = await rooms.archive.open_study(permit, study_uid)
                try:
                    await writer.add(viewing)
                finally:
                    await viewing.close()
                await writer.finish(house.name, "today")
            medium.finish()
        return time.perf_counter() - began

    return _beside(server, notice, work)


def erase(server: Server, notice: Path, before_uid: str, study_uid: str, begins: Callable[[], None]) -> float:
    """Erase the patient of a study, as a worker does; gives the seconds until everything is gone.

    The permit is made here: the notice would want a patient's own request first, and that way is not what is measured.
    A worker runs for weeks: this one has erased before, so that its connections are made.

    Args:
        server: The running Troth.
        notice: The notice in force.
        before_uid: A study of another patient, who is erased first.
        study_uid: A study of theirs.
        begins: Called when it begins.
    """

    async def work(rooms: Rooms, house: Organisation) -> float:
        worker = Actor("system", None, house.id, "worker", name="Troth", organisation=house.name)

        async def gone(uid: str) -> None:
            study = await rooms.archive.target(worker, uid)
            assert study.subject_id is not None
            subject, now = Target("subject", study.subject_id, house.id, study.subject_id), clock.now()
            until = now + timedelta(minutes=5)
            permit = Permit(worker, "erase", subject, "rights", (), "", "bench", ids.uuid7(), now, until)
            await rooms.archive.erase_subject(permit, study.subject_id)

        await gone(before_uid)
        begins()
        began = time.perf_counter()
        await gone(study_uid)
        return time.perf_counter() - began

    return _beside(server, notice, work)


def _beside(server: Server, notice: Path, work: Callable[[Rooms, Organisation], Awaitable[_Result]]) -> _Result:
    settings = load(server.folder, notice=(notice,))

    async def run() -> _Result:
        rooms = open_rooms(settings, server_for(settings), load_notices(settings), connections=2)
        try:
            await InForce(rooms).look()
            return await work(rooms, await rooms.people.organisation_named(ORGANISATION))
        finally:
            await rooms.people.settled()
            await rooms.close()

    return asyncio.run(run())
