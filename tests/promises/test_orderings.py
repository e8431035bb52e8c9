"""What comes first: the entry before the first byte, the question before the erasure, the end of a sign-in at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.common.deployment import Deployment, OpenDeployment, Person
from tests.promises.test_holds import OLD, form, releases
from troth.kit import clock
from troth.kit.postgres import SUPERUSER, EmbeddedServer

JSON = {"Accept": "application/dicom+json"}
WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


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


@pytest.mark.promise("IH-06", shows="first")
@pytest.mark.parametrize("door", ["metadata", "frames", "instance", "study", "search", "copy"])
async def test_with_the_ledger_held_still_no_door_gives_the_first_byte(
    host: Deployment, postgres: EmbeddedServer, door: str
) -> None:
    held = await host.study(slices=1)
    doctor, patient = await host.staff("clinician"), await host.patient(held)
    await host.assign(doctor, held)
    base = f"/dicomweb/studies/{held.uid}"
    shown = (await doctor.viewer.get(f"{base}/metadata", headers=JSON)).json()[0]
    image = f"{base}/series/{shown['0020000E']['Value'][0]}/instances/{shown['00080018']['Value'][0]}"
    request = await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    await host.fulfil()
    person, path = {
        "metadata": (doctor.viewer, f"{base}/metadata"),
        "frames": (doctor.viewer, f"{image}/frames/1"),
        "instance": (doctor.viewer, image),
        "study": (doctor.viewer, base),
        "search": (doctor.viewer, "/dicomweb/studies"),
        "copy": (patient.web, f"{request.headers['location']}/copy"),
    }[door]
    name = str(psycopg.conninfo.conninfo_to_dict(host.rooms.dsn_sequencer)["dbname"])
    with clock.moved(timedelta(minutes=20)):  # what was opened a while ago is opened anew, with an entry of its own
        for each in (doctor, patient):
            await host.sign_in_again(each)
        with psycopg.connect(postgres.dsn(SUPERUSER, name)) as superuser, tapped(person) as tap:
            superuser.execute("lock table ledger_entry in share mode")
            asked = asyncio.create_task(person.get(path))
            watching = psycopg.connect(postgres.dsn(SUPERUSER, name), autocommit=True)
            while not watching.execute(WAITING).fetchone()[0] and not asked.done():  # type: ignore[index]
                await asyncio.sleep(0.01)
            assert not asked.done()
            assert tap.bodies == []
            superuser.rollback()
            answer = await asked
            watching.close()
        assert answer.status_code == 200
        assert tap.bodies


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
