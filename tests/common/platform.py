"""The whole platform without doors: every room wired as `main` wires it, over a real database, keyring and packs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.common.servers import ServedDatabase
from troth.archive import StudySummary
from troth.kit import clock, ids
from troth.kit.postgres import MAIN_DATABASE
from troth.ledger import Event, HeadFile, Sequencer
from troth.main.first_start import operator
from troth.main.settings import Settings
from troth.main.wiring import Rooms, load_notices, open_rooms
from troth.people import Organisation, Subject
from troth.policy import Actor, Permit, Target
from troth.rights import Fulfilment, RightsRequest
from troth.vault import Keyring

NOTICE = Path(__file__).parents[2] / "notices" / "imaging-cloud"


class OneDatabase:
    """A server whose main database is that of one test module."""

    def __init__(self, served: ServedDatabase) -> None:
        self._served = served

    def start(self) -> None:
        """It runs."""

    def stop(self) -> None:
        """Others still need it."""

    def is_alive(self) -> bool:
        """It runs."""
        return True

    def dsn(self, role: str, database: str = MAIN_DATABASE) -> str:
        """Connection string."""
        name = self._served.name if database == MAIN_DATABASE else database
        return self._served.server.dsn(role, name)


class AtOnce:
    """Stands in for the workflow engine: each step runs once, at once; what it was is kept in `steps`."""

    class Failed(Exception):
        """A step did not succeed."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.slept: list[float] = []
        self._bodies: dict[str, Callable[..., None]] = {}
        self._loop = asyncio.get_running_loop()
        self.most_sleeps = 3

    def register(self, name: str, body: Callable[..., None]) -> None:
        """Remember a workflow."""
        self._bodies[name] = body

    def step(self, name: str, work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> Any:
        """Run a step on the loop."""
        try:
            result = asyncio.run_coroutine_threadsafe(work(*arguments), self._loop).result()
        except Exception as fault:
            self.steps.append(f"{name.split(' ')[0]} failed")
            raise self.Failed(str(fault)) from fault
        self.steps.append(" ".join(name.split(" ")[:2]) if not name.startswith("erase ") else name[:12].split("-")[0])
        return result

    def sleep(self, seconds: float) -> None:
        """Note the pause instead of taking it."""
        self.slept.append(seconds)
        if len(self.slept) > self.most_sleeps:
            raise AssertionError("it does not stop trying")

    async def start(self, name: str, workflow_id: str, *arguments: Any) -> None:
        """Run a workflow to its end."""
        await asyncio.to_thread(self._bodies[name], *arguments)


@dataclass
class Platform:
    """Rooms, two hospitals, and short verbs for tests."""

    rooms: Rooms
    first: Organisation
    second: Organisation
    sequencer: Sequencer
    clinicians: dict[UUID, Actor] = field(default_factory=dict)

    def actor(self, role: str, house: Organisation | None = None, subject_id: UUID | None = None) -> Actor:
        """The worker or a machine: actors that the facts are not asked about."""
        place = house or self.first
        return Actor("system", None, place.id, role, subject_id, name="Troth", organisation=place.name)

    def permit(self, action: str, target: Target, purpose: str = "rights", actor: Actor | None = None) -> Permit:
        """A permit as a door would have got it; decisions are tested elsewhere."""
        now = clock.now()
        who = actor or Actor("user", ids.uuid7(), target.tenant, "office", name="O. Ffice", organisation="Hospital")
        until = now + timedelta(minutes=5)
        return Permit(who, action, target, purpose, ("4.4",), "", "imaging-cloud 1", ids.uuid7(), now, until)

    async def store(self, files: Sequence[bytes], house: Organisation | None = None) -> None:
        """Store files as a registered modality would."""
        place = house or self.first
        modality = Actor("peer", ids.uuid7(), place.id, "peer", name="MODALITY1", organisation=place.name)
        permit = self.permit("store", Target("organisation", place.id, place.id), "care", modality)
        received = []
        for content in files:
            receiver = self.rooms.archive.receiver(None)
            receiver.feed(content)
            received.append(receiver.finish())
        outcomes = await self.rooms.archive.store(permit, received)
        assert [each.state for each in outcomes] == ["stored"] * len(files), outcomes

    async def subject_of(self, study_uid: str, house: Organisation | None = None) -> Subject:
        """The subject of a study."""
        place = house or self.first
        target = await self.rooms.archive.target(self.actor("worker", place), study_uid)
        assert target.subject_id is not None
        return await self.rooms.people.subject(place, target.subject_id)

    async def link(self, subject: Subject, email: str, name: str, birth_date: Any) -> Actor:
        """Invite, register and match a patient; returns the signed-in patient."""
        target = Target("subject", subject.id, subject.tenant, subject.id)
        invitation = await self.rooms.people.invite_subject(self.permit("invite", target, "care"), subject.id, email)
        session = await self.rooms.people.register_subject(
            invitation.secret, name, birth_date, invitation.code, email, "127.0.0.1"
        )
        return session.actor

    async def patient_permit(self, patient: Actor, action: str, purpose: str = "rights") -> Permit:
        """A permit of a signed-in patient on themselves, decided by the notice."""
        target = Target("subject", patient.subject_id, patient.tenant, patient.subject_id)
        return await self.rooms.policy.require(patient, action, target, purpose)

    def on(self, subject: Subject, action: str) -> Permit:
        """A permit of the office on a subject."""
        return self.permit(action, Target("subject", subject.id, subject.tenant, subject.id))

    async def studies(self, subject: Subject) -> list[StudySummary]:
        """What is held of a subject."""
        return await self.rooms.archive.studies_of_subject(self.on(subject, "see_request"), subject.id)

    async def request(self, subject: Subject, request_id: UUID) -> RightsRequest:
        """A request as it stands."""
        return await self.rooms.rights.request(self.on(subject, "see_request"), request_id)

    async def events(self, subject: Subject, kind: str = "") -> list[Event]:
        """What the ledger holds about a subject, newest first."""
        async with self.rooms.database.transaction(subject) as connection:
            found = await self.rooms.ledger.of_subject(connection, subject.id, limit=1000)
        return [event for event in found if not kind or event.kind == kind]

    async def fulfil(self, engine: AtOnce | None = None) -> AtOnce:
        """Carry everything that waits to its answer, as the worker does."""
        engine = engine or AtOnce()
        work = Fulfilment(self.rooms.rights, engine)  # type: ignore[arg-type]
        stop = asyncio.Event()
        taking = asyncio.create_task(work.take(stop, 0.01))
        while await self.rooms.rights.waiting() and not taking.done():
            await asyncio.sleep(0.01)
        stop.set()
        await taking
        return engine

    async def mails(self) -> list[str]:
        """Messages in the outbox, oldest first."""
        outbox = self.rooms.settings.data_dir / "outbox"
        return [path.read_text() for path in sorted(outbox.glob("*.eml"))]


async def open_platform(database: ServedDatabase, folder: Path) -> Platform:
    """Wire the rooms as `main` does, publish the notice, found two hospitals.

    Args:
        database: A fresh one.
        folder: For keys, packs and mails.
    """
    settings = Settings(folder, (NOTICE,))
    Keyring.open(folder / "keys", create=True).close()
    notices = load_notices(settings)
    rooms = open_rooms(settings, OneDatabase(database), notices)
    publishing = await rooms.policy.require(operator(), "publish_notice", Target("notice"), "administration")
    for each in notices:
        await rooms.notices.put_in_force(publishing, each)
    permit = await rooms.policy.require(operator(), "administer", Target("platform"), "administration")
    first = await rooms.people.add_organisation(permit, f"First Hospital {ids.code()}")
    second = await rooms.people.add_organisation(permit, f"Second Hospital {ids.code()}")
    sequencer = Sequencer(rooms.dsn_sequencer, rooms.keyring, head=HeadFile(rooms.settings.data_dir), poll_seconds=0.05)
    return Platform(rooms, first, second, sequencer)
