"""Erase a person with 1,000 images by their own request, as the worker does it: how long until nothing can be read.

    .venv/bin/python -m bench.person [IMAGES] [RUNS]

A deployment of its own in a folder that goes away. The step of the workflow that erases is timed, with what it does
under the notice: the decision, the reply's address, every study, who they are, their account, the look afterwards.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from troth.dicom import specimens
from troth.kit import clock, ids
from troth.main.first_start import permit_for, prepare
from troth.main.node import server_for
from troth.main.settings import Settings, shipped_notice
from troth.main.wiring import Rooms, load_notices, open_rooms
from troth.people import Organisation, Subject
from troth.policy import Actor, Permit, Target
from troth.rights import Fulfilment, Right
from troth.vault import KeyRef

OLD = date(2001, 5, 1)


class _NoEngine:
    """The steps are called here one after the other; nothing has to outlive this run."""

    def register(self, name: str, body: Any) -> None:
        """Remember nothing."""


async def measure(rooms: Rooms, house: Organisation, images: int, number: int) -> tuple[float, float, float]:
    """One person; milliseconds until unreadable, until all is done, and of CPU for it."""
    subject = await _stored(rooms, house, images, number)
    await _account(rooms, subject, f"person-{number}@x.example")
    target = Target("subject", subject.id, house.id, subject.id)
    request = await rooms.rights.open(_permit(target, "open_request"), Right.ERASE, subject.id, everything=True)
    work, names = Fulfilment(rooms.rights, _NoEngine()), (str(house.id), str(request.id))  # type: ignore[arg-type]
    await work.acknowledge(*names)
    [item] = await work.decide(*names)
    gone: list[float] = []
    looking = threading.Thread(target=_look, args=(rooms, subject.key, gone), daemon=True)
    looking.start()
    began, spent = time.perf_counter(), time.process_time()
    await work.erase(*names, item)
    done, cpu = time.perf_counter(), time.process_time() - spent
    looking.join()
    for step in (work.erase_copies, work.certify, work.answer):
        await step(*names)
    assert (await rooms.rights.request(_permit(target, "see_request"), request.id)).state.value == "fulfilled"
    return (gone[0] - began) * 1000, (done - began) * 1000, cpu * 1000


def _look(rooms: Rooms, key: KeyRef, gone: list[float]) -> None:
    while rooms.keyring.is_alive(key):
        time.sleep(0.001)
    gone.append(time.perf_counter())


async def _stored(rooms: Rooms, house: Organisation, images: int, number: int) -> Subject:
    made = specimens.Study(f"PERSON-{number}", f"Whole^Person{number}", date(1970, 1, 1), "O", OLD, f"A-{number}", "CT")
    modality = Actor("peer", ids.uuid7(), house.id, "peer", name="CT1", organisation=house.name)
    permit = _permit(Target("organisation", house.id, house.id), "store", modality, "care")
    files = specimens.phantom_ct(made, slices=images, size=16)
    for first in range(0, images, 100):
        received = []
        for file in files[first : first + 100]:
            receiver = rooms.archive.receiver(None)
            receiver.feed(file)
            received.append(receiver.finish())
        await rooms.archive.store(permit, received)
    found = await rooms.archive.target(Actor("system", None, house.id, "worker"), made.uid())
    assert isinstance(found.subject_id, UUID)
    return await rooms.people.subject(house, found.subject_id)


async def _account(rooms: Rooms, subject: Subject, email: str) -> None:
    target = Target("subject", subject.id, subject.tenant, subject.id)
    invited = await rooms.people.invite_subject(await permit_for(rooms, "invite", target), subject.id, email)
    name = " ".join(reversed(subject.demographics.name.strip("^").split("^")))
    born = subject.demographics.birth_date
    await rooms.people.register_subject(invited.secret, name, born, invited.code, email, "127.0.0.1")


def _permit(target: Target, action: str, actor: Actor | None = None, purpose: str = "rights") -> Permit:
    now = clock.now()
    who = actor or Actor("patient", ids.uuid7(), target.tenant, "patient", target.subject_id)
    return Permit(who, action, target, purpose, (), "", "bench", ids.uuid7(), now, now + timedelta(minutes=5))


async def run(settings: Settings, server: Any, images: int, runs: int) -> None:
    """Measure some people, the first of whom warms the connections up and does not count."""
    rooms = open_rooms(settings, server, load_notices(settings), connections=4)
    try:
        house = (await rooms.people.organisations())[0]
        rows = [await measure(rooms, house, images if number else 10, number) for number in range(runs + 1)][1:]
    finally:
        await rooms.people.settled()
        await rooms.archive.close()
        await rooms.close()
    for name, column in zip(("unreadable", "all done", "CPU"), zip(*rows, strict=True), strict=True):
        found = sorted(column)
        sys.stdout.write(f"{name:11} {found[len(found) // 2]:6.1f} ms [{found[0]:.1f}-{found[-1]:.1f}]\n")


def main() -> None:
    """Read the command line."""
    given = [int(each) for each in sys.argv[1:3]]
    images, runs = [*given, *(1000, 5)[len(given) :]]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as a user of its own
        settings = Settings(Path(folder), (shipped_notice(),))
        server = server_for(settings)
        server.start()
        try:
            prepare(settings, server)
            asyncio.run(run(settings, server, images, runs))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
