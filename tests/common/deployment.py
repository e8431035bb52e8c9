"""A whole deployment in this process: the notices of a folder, every room wired as `main` wires it, its web doors.

Use it in a test module (set-up takes about a second; one per module is best):

    @pytest.fixture(scope="module")
    async def place(open_deployment: OpenDeployment) -> Deployment:
        return await open_deployment("imaging-cloud")      # a folder of notices/, or any path to a notice

    @pytest.mark.promise("IC-08")
    async def test_something(place: Deployment) -> None:
        doctor = await place.staff("clinician")            # a user of the first organisation, signed in
        study = await place.study()                        # a small phantom CT of a new patient, through STOW
        patient = await place.patient(study)               # invited, matched, signed in
        assert (await doctor.web.get(f"/studies/{study.id}/open")).status_code == 303
        assert (await patient.web.get("/scans")).status_code == 200
        [event] = await place.ledgered(kind="archive:study:opened", subject=study.subject_id)

What there is:
    place.rooms, place.first, place.second       the rooms; two organisations (of organisations.yaml, or made here)
    place.organisation(name, capacity, region)   one more organisation
    place.staff(role, house)                     -> Person, by a one-time link;  `.actor`, `.user`
    place.study(house, **of dicom.specimens.Study, slices=1)   -> Held (id, uid, subject_id, house, made)
    place.stow(files, house)                     the STOW answer, with the bearer token of a machine
    place.patient(held, email)                   -> Person: the patient of that study
    place.assign(person, held)                   they take part in the care of that patient from now on
    place.bearer(role, purpose, house)           -> Person with a bearer token instead of a cookie
    place.peer(ae, house)                        a registered DICOM machine, as Actor
    place.anybody()                              -> Person without a session
    person.web, person.viewer                    httpx clients of the two origins (cookies kept); `/dicomweb` on both
    person.post(path, fields, page=...)          a form as the browser would send it: the page is fetched for its token
    place.sign_in_again(person)                  a new session, when the clock was moved past the old one
    place.ledgered(kind=, subject=, house=, actor=, outcome=)   drained ledger, oldest first, payloads unsealed
    place.operator_permit(action, target)        a permit of the operator, decided by the notice
    place.set_up_permit(action, target)          a permit nobody decided: only to build the scene of a test
    place.fulfil()                               carries waiting requests to their answer, as the worker does
    place.mails()                                texts of the mails sent so far, oldest first
    clock.moved(timedelta(...))                  of troth.kit: a context manager; sessions idle out after 15 minutes
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from tests.common import afterwards
from tests.common.afterwards import SET_UP
from tests.common.arrivals import come_in
from tests.common.engine import Engine, Worker
from tests.common.platform import OneDatabase
from tests.common.servers import ServedDatabase, copy_of_template
from troth.dicom import specimens
from troth.doors import dicomweb, rest, viewer, web
from troth.kit import clock, ids
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.ledger import Event, HeadFile, Sequencer
from troth.main.first_start import operator, permit_for, prepare
from troth.main.settings import Settings
from troth.main.wiring import Rooms, load_notices, open_rooms
from troth.people import Assignment, Organisation, User
from troth.policy import Actor, Permit, Target
from troth.proofs import Result
from troth.rights import Fulfilment

NOTICES = Path(__file__).parents[2] / "notices"
COOKIE = "troth_session"
ADDRESS = "127.0.0.1"
BOUNDARY = "troth-test"

_LINK = re.compile(r'name="token" value="([0-9a-f]+)"')


@dataclass
class Person:
    """Somebody (or a machine) at the doors.

    Attributes:
        web: Client of the pages' origin.
        viewer: Client of the viewer's origin.
        actor: Who the session or token stands for.
        user: The member of staff, if it is one.
    """

    web: httpx.AsyncClient
    viewer: httpx.AsyncClient
    actor: Actor
    user: User | None = None
    email: str = ""

    async def token(self, page: str) -> str:
        """The proof that the form of a page carries."""
        found = _LINK.search((await self.web.get(page)).text)
        assert found is not None, f"no form on {page}"
        return found[1]

    async def post(self, path: str, fields: Mapping[str, Any] | None = None, *, page: str = "") -> httpx.Response:
        """Send a form.

        Args:
            path: Where to.
            fields: Without the token.
            page: Where the form stands; the same path when empty.
        """
        return await self.web.post(path, data={"token": await self.token(page or path), **(fields or {})})

    async def searched(self, words: str) -> str:
        """The study list after a search."""
        sent = await self.post("/studies", {"q": words})
        assert sent.status_code == 303, sent.text
        return (await self.web.get(sent.headers["location"])).text


@dataclass(frozen=True)
class Held:
    """A study that was stored."""

    id: UUID
    uid: str
    subject_id: UUID
    house: Organisation
    made: specimens.Study

    @property
    def target(self) -> Target:
        """As a decision sees it."""
        return Target("study", self.id, self.house.id, self.subject_id)

    @property
    def subject(self) -> Target:
        """Its subject as a decision sees it."""
        return Target("subject", self.subject_id, self.house.id, self.subject_id)


@dataclass
class Deployment:
    """The platform under the notices of one folder; see the top of this file."""

    rooms: Rooms
    pages: Any
    images: Any
    organisations: list[Organisation]
    sequencer: Sequencer
    engine: Engine | None = None
    _worker: Worker | None = None
    _open: list[httpx.AsyncClient] = field(default_factory=list)
    _senders: dict[UUID, Person] = field(default_factory=dict)
    _patients: int = 0

    @property
    def first(self) -> Organisation:
        """The organisation that helpers mean when they are told none."""
        return self.organisations[0]

    @property
    def second(self) -> Organisation:
        """Another one."""
        return self.organisations[1]

    # Permits of the set-up

    async def operator_permit(self, action: str, target: Target, purpose: str = "administration") -> Permit:
        """A permit of whoever runs the platform, decided by the notice."""
        return await self.rooms.policy.require(operator(target.tenant), action, target, purpose)

    def set_up_permit(self, action: str, target: Target, purpose: str = "administration") -> Permit:
        """A permit that nobody decided: for building a scene, never for what a test is about."""
        now = clock.now()
        who = operator(target.tenant)
        return Permit(who, action, target, purpose, (), "", SET_UP, ids.uuid7(), now, now + timedelta(minutes=5))

    async def _inside(self, house: Organisation, action: str = "administer") -> Permit:
        """The operator's own, decided: members, machines and tokens stand in the ledger as they would."""
        return await permit_for(self.rooms, action, Target("organisation", house.id, house.id))

    # Who there is

    async def organisation(self, name: str = "", capacity: str = "controller", region: str = "GB") -> Organisation:
        """One more organisation."""
        permit = self.set_up_permit("administer", Target("platform"))
        made = await self.rooms.people.add_organisation(permit, name or f"House {ids.code()}", capacity, region)
        self.organisations.append(made)
        return made

    async def staff(self, role: str, house: Organisation | None = None, name: str = "") -> Person:
        """A new user, signed in by a one-time link."""
        place = house or self.first
        email = f"{role}-{ids.code().lower()}@x.example"
        called = name or f"{role.title()} {ids.code()}"
        user = await self.rooms.people.add_user(await self._inside(place), place.id, email, called, role)
        async with self.rooms.database.transaction(place) as connection:  # as if they had been there at the founding
            await connection.execute("delete from way_in where account_id = %s", (user.id,))
        person = self._person(Actor("anonymous"), user=user, email=email)
        return await self.sign_in_again(person)

    async def patient(self, held: Held, email: str = "") -> Person:
        """The patient of a study: invited, matched and signed in."""
        people = self.rooms.people
        address = email or f"patient-{ids.code().lower()}@x.example"
        invited = await people.invite_subject(self.set_up_permit("invite", held.subject), held.subject_id, address)
        given = " ".join(reversed(held.made.name.split("^")))
        session = await people.register_subject(
            invited.secret, given, held.made.birth_date, invited.code, address, ADDRESS
        )
        person = self._person(session.actor, email=address)
        await self._take_session(person, session.token)
        return person

    async def sign_in_again(self, person: Person) -> Person:
        """Give somebody a new session; staff by a link of the set-up, patients by a link that is mailed."""
        people = self.rooms.people
        if person.user is not None:
            house = await people.organisation(person.user.tenant)
            link = await people.issue_sign_in_link(await self._inside(house), person.user.id)
        else:
            await people.start_sign_in(person.email, ADDRESS)
            await people.settled()
            link = re.findall(r"\S+/sign-in/\S+", self.mails()[-1])[-1]
        session = await come_in(people, link.rpartition("/")[2], ADDRESS)
        person.actor = session.actor
        await self._take_session(person, session.token)
        return person

    async def bearer(self, role: str, purpose: str, house: Organisation | None = None) -> Person:
        """A bearer token for DICOMweb."""
        place = house or self.first
        permit = await self._inside(place)
        token = await self.rooms.people.issue_token(permit, place.id, role, purpose, timedelta(days=30))
        actor = await self.rooms.people.actor_of_token(token)
        assert actor is not None
        return self._person(actor, {"Authorization": f"Bearer {token}"})

    async def peer(self, ae: str, house: Organisation | None = None, port: int = 11113) -> Actor:
        """A registered DICOM machine at the loopback address."""
        place = house or self.first
        await self.rooms.people.add_peer(await self._inside(place), place.id, ae, ADDRESS, port)
        actor = await self.rooms.people.actor_of_peer(ae, "TROTH", ADDRESS)
        assert actor is not None
        return actor

    async def assign(self, person: Person, held: Held, days: int = 30) -> Assignment:
        """Let a member of staff take part in the care of the patient of a study: what some notices ask for first."""
        assert person.user is not None
        until = clock.now() + timedelta(days=days)
        permit = self.set_up_permit("assign", held.subject)
        return await self.rooms.assignments.assign(permit, person.user.id, until, "Part of the scene of this test")

    def anybody(self) -> Person:
        """Somebody who is not signed in."""
        return self._person(Actor("anonymous"))

    # What there is

    async def study(
        self, house: Organisation | None = None, *, slices: int = 1, size: int = 16, purpose: str = "care", **of: Any
    ) -> Held:
        """Store a drawn CT through STOW; of a new patient where `patient_id` is not given.

        Args:
            house: Where.
            slices: Number of instances.
            size: Rows and columns.
            purpose: What the machine says it stores for.
            **of: Fields of `dicom.specimens.Study`.
        """
        place = house or self.first
        self._patients += 1
        number = self._patients
        given = {
            "patient_id": f"P-{number}", "name": f"Specimen^Patient{number}", "birth_date": date(1970, 1, 1),
            "sex": "O", "study_date": date(2026, 11, 1), "accession": f"A-{number}", "description": "CT head",
        }  # fmt: skip
        made = specimens.Study(**{**given, **of})  # type: ignore[arg-type]
        answer = await self.stow(specimens.phantom_ct(made, slices=slices, size=size), place, purpose=purpose)
        assert answer.status_code == 200, answer.text
        target = await self.rooms.archive.target(place_worker(place), made.uid())
        assert target.id is not None
        assert target.subject_id is not None
        return Held(target.id, made.uid(), target.subject_id, place, made)

    async def stow(
        self,
        files: Sequence[bytes],
        house: Organisation | None = None,
        *,
        purpose: str = "care",
        by: Person | None = None,
    ) -> httpx.Response:
        """Send files by STOW-RS, as a machine of the organisation unless told otherwise."""
        place = house or self.first
        if by is None:
            by = self._senders.get(place.id) or await self.bearer("peer", purpose, place)
            self._senders[place.id] = by
        parts = [b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (BOUNDARY.encode(), one) for one in files]
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        return await by.web.post(
            "/dicomweb/studies",
            content=b"".join(parts) + b"--%s--\r\n" % BOUNDARY.encode(),
            headers={"Content-Type": kind, "Accept": "application/dicom+json"},
        )

    # What happened

    async def looked(self) -> Result:
        """What our own programs find of the promises now: pages only read it."""
        await self.sequencer.drain()
        return await self.rooms.runs.run()

    async def ledgered(
        self,
        *,
        kind: str = "",
        subject: UUID | None = None,
        house: Organisation | None = None,
        actor: UUID | None = None,
        outcome: str = "",
    ) -> list[Event]:
        """What the ledger holds, sequenced, oldest first; of every organisation and the platform unless told."""
        await self.sequencer.drain()
        spaces: list[Organisation | None] = [house] if house else [None, *self.organisations]
        found: list[Event] = []
        for space in spaces:
            async with self.rooms.database.transaction(space) as connection:
                found += await self.rooms.ledger.latest(connection, kinds=[kind] if kind else None, limit=1000)
        kept = [
            event
            for event in {event.id: event for event in found}.values()
            if (subject is None or event.subject_id == subject)
            and (actor is None or event.actor_id == actor)
            and (not outcome or event.outcome == outcome)
        ]
        return sorted(kept, key=lambda event: (event.at, event.id))

    async def fulfil(self) -> None:
        """Carry every rights request that waits to its answer, as the worker does, on its engine."""
        worker = await self.worker()
        work = worker.made(Fulfilment, lambda: Fulfilment(self.rooms.rights, worker))  # type: ignore[arg-type]
        await worker.carry(work, until=self.rooms.rights.waiting)

    async def worker(self) -> Worker:
        """The engine of durable work, started where nobody asked before."""
        assert self.engine is not None, "a deployment that `open_deployment` opened has one"
        if self._worker is None:
            self._worker = await self.engine.worker()
        return self._worker

    def mails(self) -> list[str]:
        """Texts of the mails sent so far, oldest first."""
        files = sorted((self.rooms.settings.data_dir / "outbox").glob("**/*.eml"))
        return [message_from_bytes(file.read_bytes(), policy=policy.default).get_content() for file in files]

    async def close(self) -> None:
        """Give everything back."""
        for client in self._open:
            await client.aclose()
        await self.images.state.gate.close()
        await self.rooms.archive.close()
        await self.rooms.people.settled()
        await self.sequencer.close()
        await self.rooms.close()

    def _person(
        self, actor: Actor, headers: Mapping[str, str] | None = None, *, user: User | None = None, email: str = ""
    ) -> Person:
        settings = self.rooms.settings
        web_client, viewer_client = (
            httpx.AsyncClient(
                transport=httpx.ASGITransport(application, raise_app_exceptions=False, client=(ADDRESS, 40000)),
                base_url=origin,
                headers={"Sec-Fetch-Site": "same-origin", **(headers or {})},
            )
            for application, origin in (
                (self.pages, settings.http_url),
                (viewer.create(self.rooms, self.images), settings.viewer_origin),
            )
        )
        self._open += [web_client, viewer_client]
        return Person(web_client, viewer_client, actor, user, email)

    async def _take_session(self, person: Person, token: str) -> None:
        entered = await self.rooms.people.enter_viewer(await self.rooms.people.hand_over(person.actor))
        assert entered is not None
        for client, cookie in ((person.web, token), (person.viewer, entered.token)):
            client.cookies.clear()
            client.cookies.set(COOKIE, cookie)


OpenDeployment = Callable[..., Awaitable[Deployment]]


def place_worker(house: Organisation) -> Actor:
    """One of our own programs, inside an organisation."""
    return Actor("system", None, house.id, "worker", name="Troth", organisation=house.name)


async def start(served: ServedDatabase, folder: Path, notice: str | Path, **chosen: Any) -> Deployment:
    """Do a first start over a fresh database, and open the doors.

    Args:
        served: The database.
        folder: For keys, packs and mails.
        notice: A folder of `notices/` by name, or the path of a notice or a folder.
        **chosen: Other settings, such as `smtp`.
    """
    path = NOTICES / notice if isinstance(notice, str) else notice
    settings = replace(Settings(folder, (path,)), **chosen)
    server: Any = OneDatabase(served)
    await asyncio.to_thread(prepare, settings, server)
    rooms = open_rooms(settings, server, load_notices(settings))
    images = dicomweb.create(rooms)
    sequencer = Sequencer(rooms.dsn_sequencer, rooms.keyring, head=HeadFile(rooms.settings.data_dir))
    place = Deployment(
        rooms, web.create(rooms, images, rest.create(rooms)), images, await rooms.people.organisations(), sequencer
    )
    while len(place.organisations) < 2:
        await place.organisation()
    return place


@pytest.fixture(scope="module")
async def open_deployment(
    request: pytest.FixtureRequest, postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OpenDeployment]:
    """Opens deployments, each over a database of its own; all are closed when the module is done."""
    opened: list[tuple[Deployment, ServedDatabase]] = []
    engine = Engine(postgres.dsn("troth_flow", "troth_flow"))

    async def open_one(notice: str | Path = "imaging-cloud", **chosen: Any) -> Deployment:
        served = ServedDatabase(postgres, copy_of_template(postgres))
        place = await start(served, tmp_path_factory.mktemp("deployment"), notice, **chosen)
        place.engine = engine
        opened.append((place, served))
        return place

    yield open_one
    await engine.stop()
    apart = afterwards.breaks(request.module, request.path.parent.name)
    broken = [] if apart is None else [
        each
        for place, _ in opened for each in await afterwards.broken(place.rooms, place.sequencer)
        if each.clause not in apart
    ]  # fmt: skip
    for place, served in opened:
        await place.close()
        await served.close()
        with psycopg.connect(postgres.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
            connection.execute(f"drop database {served.name} with (force)")  # type: ignore[arg-type]
    if broken:
        raise afterwards.PromiseBroken(broken)
