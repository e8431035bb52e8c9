"""What comes first: the entry before the first byte, the question before the erasure, the end of a sign-in at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest

from tests.common.deployment import Deployment, OpenDeployment, Person
from tests.promises.test_holds import OLD, form, releases
from troth.kit import clock
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer

JSON = {"Accept": "application/dicom+json"}
HELD_UP = "select count(*) from pg_stat_activity where %s = any(pg_blocking_pids(pid))"
Tried = Callable[[asyncio.Task[Any]], Awaitable[None]]


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture(scope="module")
async def host(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


class Tap:
    """Sits between a door and its client: sees each message that the door sends, and can hold one back.

    Attributes:
        bodies: Chunks that came so far.
        after_first: Is awaited after the first chunk, before the door may go on.
    """

    def __init__(self, application: Any, after_first: Callable[[], Awaitable[None]] | None = None) -> None:
        self._application = application
        self.after_first = after_first
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def seen(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                self.bodies.append(message["body"])
                if len(self.bodies) == 1 and self.after_first is not None:
                    await self.after_first()
            await send(message)

        await self._application(scope, receive, seen)


@contextmanager
def tapped(client: Any, after_first: Callable[[], Awaitable[None]] | None = None) -> Iterator[Tap]:
    transport = client._transport
    tap = Tap(transport.app, after_first)
    transport.app = tap
    try:
        yield tap
    finally:
        transport.app = tap._application


@asynccontextmanager
async def held_still(place: Deployment, postgres: EmbeddedServer, table: str) -> AsyncIterator[Tried]:
    """Nobody writes a table meanwhile.

    Gives what waits until somebody is held up by that, or until a task has ended. Who is held up may be another: the
    task has as long as it takes to serve others ten times.
    """
    dsn, anybody = postgres.dsn(SUPERUSER, database_of(place)), place.anybody().web
    with psycopg.connect(dsn) as superuser, psycopg.connect(dsn, autocommit=True) as watching:
        superuser.execute(f"lock table {table} in share mode".encode())
        holder = superuser.info.backend_pid

        async def tried(task: asyncio.Task[Any]) -> None:
            while not watching.execute(HELD_UP, (holder,)).fetchone()[0] and not task.done():  # type: ignore[index]
                await asyncio.sleep(0.01)
            for _ in range(10):
                assert (await anybody.get("/notice")).status_code == 200

        yield tried


async def after_its_entry(
    place: Deployment, postgres: EmbeddedServer, client: httpx.AsyncClient, path: str, kind: str
) -> None:
    """Ask a door for something: it gives nothing while the ledger is held still, and the first byte after its entry.

    Args:
        place: Where.
        postgres: Its server.
        client: Who asks.
        path: For what.
        kind: Of the entry, which has to be in the ledger when the first byte leaves.
    """
    with (
        psycopg.connect(postgres.dsn(SUPERUSER, database_of(place)), autocommit=True) as reading,
        tapped(client) as tap,
    ):

        def entries() -> int:
            row = reading.execute("select count(*) from ledger_entry where kind = %s", (kind,)).fetchone()
            return int(row[0]) if row else 0

        before, at_first = entries(), list[int]()

        async def note() -> None:
            at_first.append(entries())

        tap.after_first = note
        async with held_still(place, postgres, "ledger_entry") as tried:
            asked = asyncio.create_task(client.get(path))
            await tried(asked)
            assert not asked.done()
            assert tap.bodies == []
        assert (await asked).status_code == 200
    assert at_first, "it gave something"
    assert at_first[0] > before, f"nothing says {kind} when the first byte leaves"


def database_of(place: Deployment) -> str:
    """The name of its database."""
    return str(psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"])


@pytest.mark.promise("IH-06", shows="first")
@pytest.mark.parametrize("door", ["metadata", "frames", "instance", "study", "search"])
async def test_with_the_ledger_held_still_no_door_gives_the_first_byte(
    host: Deployment, postgres: EmbeddedServer, door: str
) -> None:
    held = await host.study(slices=1)
    doctor, other = await host.staff("clinician"), await host.staff("clinician")
    for each in (doctor, other):
        await host.assign(each, held)
    base = f"/dicomweb/studies/{held.uid}"
    shown = (await other.viewer.get(f"{base}/metadata", headers=JSON)).json()[0]  # the doctor opened nothing so far
    image = f"{base}/series/{shown['0020000E']['Value'][0]}/instances/{shown['00080018']['Value'][0]}"
    path = {
        "metadata": f"{base}/metadata",
        "frames": f"{image}/frames/1",
        "instance": image,
        "study": base,
        "search": "/dicomweb/studies",
    }[door]
    kind = "archive:studies:queried" if door == "search" else "archive:study:opened"
    await after_its_entry(host, postgres, doctor.viewer, path, kind)


@pytest.mark.promise("IC-18", shows="held")
async def test_a_hold_that_comes_after_the_decision_still_stops_the_erasure(cloud: Deployment) -> None:
    held = await cloud.study(study_date=OLD)
    patient, office = await cloud.patient(held), await cloud.staff("office")

    async def hold() -> None:
        assert (await office.post("/office/holds", form(held))).status_code == 303

    fields = {"right": "erase", "study-1": str(held.id), "sure": "erase"}
    asked = await patient.post("/requests", fields, page="/requests/new?right=erase")
    assert asked.status_code == 303, asked.text
    loop, worker, happens = asyncio.get_running_loop(), await cloud.worker(), [hold]

    def between(step: str) -> None:
        """Before the first erasure of the request, after everything was decided."""
        if step.startswith("erase ") and step != "erase copies" and happens:
            asyncio.run_coroutine_threadsafe(happens.pop()(), loop).result()

    with worker.before_each(between):
        await cloud.fulfil()
    assert not happens
    assert not await cloud.ledgered(kind="archive:study:erased", subject=held.subject_id)
    assert (await patient.web.get(f"/scans/{held.id}")).status_code == 200, "it is still there"

    page = (await office.web.get("/office/holds")).text
    for path in releases(page):
        await office.post(path, {"reason": "The claim was settled"}, page="/office/holds")
    again = await patient.post("/requests", fields, page="/requests/new?right=erase")
    assert again.status_code == 303, again.text
    await cloud.fulfil()
    assert len(await cloud.ledgered(kind="archive:study:erased", subject=held.subject_id)) == 1


@pytest.mark.promise("IC-03", shows="ended")
async def test_what_streams_ends_with_the_sign_in(cloud: Deployment) -> None:
    held = await cloud.study(slices=24)
    doctor = await cloud.staff("clinician")
    whole = (await doctor.viewer.get(f"/dicomweb/studies/{held.uid}")).content

    async def sign_out() -> None:
        assert (await doctor.post("/sign-out", {}, page="/studies")).status_code == 303

    async def nothing() -> None:
        return None

    for after, is_whole in ((nothing, True), (sign_out, False)):
        await cloud.sign_in_again(doctor)
        got = await streamed(doctor, f"/dicomweb/studies/{held.uid}", after)
        assert (len(got) == len(whole)) is is_whole, after.__name__


async def streamed(person: Person, path: str, after_first: Callable[[], Awaitable[None]]) -> bytes:
    """What comes of a stream when something happens after its first chunk, and a second passes."""
    moved = clock.moved(timedelta(seconds=1.5))

    async def then() -> None:
        await after_first()
        moved.__enter__()

    with tapped(person.viewer, then) as tap:
        try:
            await person.viewer.get(path)
        except Exception:
            pass
        finally:
            moved.__exit__(None, None, None)
    return b"".join(tap.bodies)
