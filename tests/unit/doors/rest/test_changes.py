"""The change feed through its door: order, waiting, who may, what is withheld, and strangers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import uvicorn

from tests.common.deployment import Deployment, Held, OpenDeployment, Person, place_worker
from tests.promises.test_choices import choose
from troth.archive import CHANGES
from troth.doors.rest import changes, gate
from troth.kit import clock, threads
from troth.ledger import HeadFile, Sequencer
from troth.people import Organisation
from troth.policy import Target

ROOT = Path(__file__).parents[4]
FOLLOWED = "archive:changes:followed"


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> AsyncIterator[Deployment]:
    place = await open_deployment("imaging-cloud")
    stop = asyncio.Event()
    sequencing = asyncio.create_task(
        Sequencer(place.rooms.dsn_sequencer, place.rooms.keyring, head=HeadFile(place.rooms.settings.data_dir)).run(
            stop
        )
    )
    yield place
    stop.set()
    await sequencing


@pytest.fixture
async def house(place: Deployment) -> Organisation:
    return await place.organisation()


@pytest.fixture
async def follower(place: Deployment, house: Organisation) -> Person:
    return await place.bearer("peer", "care", house)


async def asked(follower: Person, **parameters: Any) -> dict[str, Any]:
    answer = await follower.web.get("/api/changes", params=parameters, timeout=90)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def settled(follower: Person, count: int, **parameters: Any) -> list[dict[str, Any]]:
    """The first changes, once there are so many."""
    for _ in range(60):
        told = (await asked(follower, **parameters))["changes"]
        if len(told) >= count:
            return told
        await asyncio.sleep(0.05)
    raise AssertionError(f"{len(told)} of {count} changes came")


async def erase(place: Deployment, held: Held) -> None:
    await place.rooms.archive.erase_study(place.set_up_permit("erase", held.target), held.id)


async def timed(work: Awaitable[Any]) -> tuple[Any, float]:
    began = time.monotonic()
    return await work, time.monotonic() - began


async def test_whoever_asks_takes_the_threads_of_their_organisation(
    follower: Person, house: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    whose, really_follow = list[object](), gate.Gate.following

    async def following(self: gate.Gate, caller: Any) -> Any:
        whose.append(threads._whose.get())
        return await really_follow(self, caller)

    monkeypatch.setattr(gate.Gate, "following", following)
    await asked(follower)
    assert whose == [house.id]


def test_the_kinds_are_those_of_the_room() -> None:
    assert get_args(changes.Kind) == CHANGES


async def test_each_change_comes_once_and_in_order(place: Deployment, house: Organisation, follower: Person) -> None:
    held = [await place.study(house, slices=2) for _ in range(3)]
    await erase(place, held[0])
    told = await settled(follower, 4)
    assert [one["kind"] for one in told] == ["archive:instances:stored"] * 3 + ["archive:study:erased"]
    assert [one["study_id"] for one in told] == [str(one.id) for one in (*held, held[0])]
    offsets = [one["offset"] for one in told]
    assert offsets == sorted(set(offsets))
    first, second, third, gone = told
    assert (second["study_uid"], second["counts"]["instances"]) == (held[1].uid, 2)
    assert second["subject_id"] == str(held[1].subject_id)
    assert first["study_uid"] is None, "what is erased has no name any more, in no event"
    assert gone["study_uid"] is None
    assert third["at"].endswith(("Z", "+00:00"))

    pages, after = [], -1
    while True:
        page = await asked(follower, after=after, limit=1)
        pages += page["changes"]
        after = page["next"]
        if page["is_at_end"]:
            break
    assert pages == told
    assert (await asked(follower, after=after))["changes"] == []
    assert await settled(follower, 1, kind="archive:study:erased") == [gone]
    assert (await asked(follower, after=offsets[1]))["changes"] == told[2:]


@pytest.mark.asvs("V15.3.1")
async def test_nothing_personal_and_nothing_of_others(place: Deployment, house: Organisation, follower: Person) -> None:
    held = await place.study(house)
    other = await place.organisation()
    await place.study(other)
    stranger = await place.bearer("peer", "care", other)
    mine = await settled(follower, 1)
    theirs = await settled(stranger, 1)
    assert {one["study_id"] for one in mine}.isdisjoint(one["study_id"] for one in theirs)
    said = str(mine)
    for word in (held.made.name, held.made.patient_id, held.made.accession, "CT head", "1970", "2026-11-01T00"):
        assert word not in said
    assert set(mine[0]) == {"offset", "id", "kind", "at", "study_id", "study_uid", "subject_id", "counts"}


async def test_a_change_wakes_within_a_second_and_its_own_reading_does_not(
    place: Deployment, house: Organisation, follower: Person
) -> None:
    await place.study(house)
    [first] = await settled(follower, 1)
    waiting = asyncio.create_task(timed(asked(follower, after=first["offset"], wait=30)))
    await asyncio.sleep(1.5)
    assert not waiting.done(), "reading the feed is in the ledger, and is no change"
    began = time.monotonic()
    held = await place.study(house)
    page, _ = await waiting
    assert time.monotonic() - began < 1.5
    assert [one["study_id"] for one in page["changes"]] == [str(held.id)]

    page, seconds = await timed(asked(follower, after=page["next"], wait=1))
    assert page["changes"] == []
    assert 0.9 < seconds < 2.5


async def test_a_change_of_another_organisation_or_kind_wakes_nobody(
    place: Deployment, house: Organisation, follower: Person
) -> None:
    await place.study(house)
    [first] = await settled(follower, 1)
    waiting = asyncio.create_task(asked(follower, after=first["offset"], wait=3))
    await asyncio.sleep(0.3)
    await place.study(await place.organisation())
    doctor = await place.staff("clinician", house)
    await doctor.web.get("/dicomweb/studies")
    page = await waiting
    assert page["changes"] == []


async def test_one_entry_for_each_token_and_session_of_reading(
    place: Deployment, house: Organisation, follower: Person
) -> None:
    for _ in range(5):
        await asked(follower)
    [told] = await place.ledgered(kind=FOLLOWED, house=house)
    assert told.actor_id == follower.actor.id
    assert {"4.2", "5.8"} <= set(told.clauses)
    assert told.purpose == "care"
    with clock.moved(timedelta(minutes=5)):
        await asked(follower)
    await asked(await place.bearer("peer", "care", house))
    assert len(await place.ledgered(kind=FOLLOWED, house=house)) == 3


@pytest.mark.asvs("V16.5.3")
async def test_without_the_ledger_nothing_is_given(
    place: Deployment, house: Organisation, follower: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.study(house)

    async def broken(*_arguments: object) -> None:
        raise RuntimeError("no ledger")

    with monkeypatch.context() as patch:
        patch.setattr(place.rooms.ledger, "write", broken)
        assert (await follower.web.get("/api/changes")).status_code == 500
    assert len(await settled(follower, 1)) == 1


async def test_who_may_follow(place: Deployment, house: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    async def under_another_notice(_: str) -> list[str]:
        return ["care", "diagnosis", "administration"]

    monkeypatch.setattr(place.rooms.people, "purposes", under_another_notice)  # a token stays when the notice changes
    assert (await place.anybody().web.get("/api/changes")).status_code == 401
    doctor = await place.staff("clinician", house)
    cookie = await doctor.web.get("/api/changes")
    assert cookie.status_code == 401, "a session of a browser is no token"
    assert cookie.headers["www-authenticate"] == "Bearer"
    for role, purpose in (
        ("clinician", "care"),
        ("peer", "diagnosis"),
        ("admin", "administration"),
        ("peer", "administration"),
    ):
        answer = await (await place.bearer(role, purpose, house)).web.get("/api/changes")
        assert answer.status_code == 404, (role, purpose)
        assert answer.headers["content-type"] == "application/problem+json"
    refusals = await place.ledgered(kind="policy:access:refused", house=house)
    assert len(refusals) == 4


async def test_a_token_that_is_revoked_while_it_waits_ends_the_wait(
    place: Deployment, house: Organisation, follower: Person
) -> None:
    waiting = asyncio.create_task(follower.web.get("/api/changes", params={"wait": 60}, timeout=90))
    await asyncio.sleep(0.7)
    assert not waiting.done()
    permit = place.set_up_permit("end_access", Target("organisation", house.id, house.id))
    assert follower.actor.session_id is not None
    began = time.monotonic()
    assert await place.rooms.people.end_session_by_id(permit, follower.actor.session_id)
    answer = await waiting
    assert time.monotonic() - began < 1.5
    assert answer.status_code == 401


async def test_a_restricted_study_is_told_of_when_it_stops_and_not_when_it_grows(
    place: Deployment, house: Organisation, follower: Person
) -> None:
    held, other = await place.study(house), await place.study(house)
    patient = await place.patient(held)
    assert len(await settled(follower, 2)) == 2
    await choose(patient, "stop", str(held.id))
    told = await settled(follower, 2)
    assert [(one["kind"], one["study_id"]) for one in told if one["study_id"] == str(held.id)] == [
        ("people:restriction:set", str(held.id)),
        ("archive:study:restricted", str(held.id)),
    ]
    assert [one["study_id"] for one in told if one["kind"] == "archive:instances:stored"] == [str(other.id)]
    stopped = next(one for one in told if one["kind"] == "archive:study:restricted")
    assert (stopped["counts"], stopped["study_uid"]) == ({"is_restricted": 1}, held.uid)

    page = (await patient.web.get("/choices")).text
    restriction = page.split('name="act" value="allow"')[1].split('name="about" value="')[1].split('"')[0]
    await choose(patient, "allow", restriction)
    told = await settled(follower, 6)
    assert [one["counts"] for one in told if one["kind"] == "archive:study:restricted"][-1] == {"is_restricted": 0}
    assert str(held.id) in [one["study_id"] for one in told if one["kind"] == "archive:instances:stored"]


async def test_what_somebody_objected_to_is_not_followed(
    place: Deployment, house: Organisation, follower: Person
) -> None:
    held = await place.study(house)
    patient = await place.patient(held)
    assert len(await settled(follower, 1)) == 1
    await choose(patient, "object", "care")
    await asyncio.sleep(0.6)
    assert (await asked(follower))["changes"] == []


async def test_a_shredded_audit_key_leaves_the_clear_part(
    place: Deployment, house: Organisation, follower: Person
) -> None:
    held = await place.study(house)
    subject = await place.rooms.people.subject(place_worker(house), held.subject_id)
    await erase(place, held)
    place.rooms.keyring.destroy([subject.audit_key])
    stored, erased = await settled(follower, 2)
    assert (stored["study_id"], erased["study_id"]) == (str(held.id), str(held.id))
    assert stored["study_uid"] is None


@pytest.mark.parametrize(
    "query",
    [
        "after=x", "after=-2", "after=1&after=2", "after=99999999999999999999", "limit=0", "limit=501", "wait=61",
        "wait=-1",
        "kind=archive:study:opened", "kind=", "since=1", "After=1", "wait=1.5", "after=%00", "limit=", "tenant=x",
        "Specimen=Specimen", "kind=Specimen",
    ],
)  # fmt: skip
async def test_what_cannot_be_understood_is_refused(follower: Person, query: str) -> None:
    answer = await follower.web.get(f"/api/changes?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:troth:parameter-invalid"
    assert "Specimen" not in answer.text, "what anybody writes into a query is not repeated"


async def test_an_offset_of_another_ledger_is_refused(follower: Person) -> None:
    answer = await follower.web.get("/api/changes", params={"after": 10**9})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:troth:offset-beyond"


@pytest.mark.asvs("V13.4.5")
async def test_what_is_not_there(follower: Person) -> None:
    for path in ("/api", "/api/", "/api/change", "/api/changes/", "/api/docs", "/api/redoc"):
        answer = await follower.web.get(path, follow_redirects=False)
        assert answer.status_code in (404, 307), path
        if path != "/api":
            assert answer.headers["content-type"] == "application/problem+json", path
    answer = await follower.web.post("/api/changes")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_the_description_says_what_the_door_does(place: Deployment) -> None:
    said = (await place.anybody().web.get("/api/openapi.json")).json()
    assert said["openapi"].startswith("3.1")
    assert said["servers"] == [{"url": "/api"}]
    operation = said["paths"]["/changes"]["get"]
    assert {one["name"] for one in operation["parameters"]} == {"after", "limit", "wait", "kind"}
    assert set(operation["responses"]) == {"200", "400", "401", "404", "429", "503"}
    assert "HTTPValidationError" not in str(said)
    assert said["security"] == [{"token": []}]


async def test_the_page_of_the_docs_says_the_same(place: Deployment) -> None:
    said = (await place.anybody().web.get("/api/openapi.json")).json()
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    operation, fields = said["paths"]["/changes"]["get"], said["components"]["schemas"]["Change"]["properties"]
    words = [*(one["name"] for one in operation["parameters"]), *fields, *CHANGES]
    assert [word for word in words if f"`{word}`" not in page] == []
    assert [status for status in operation["responses"] if status != "200" and f"{status} " not in page] == []
    for number in (gate.MOST_OF_TOKEN, gate.MOST_OF_ORGANISATION, gate.MOST_WAITING, changes.MOST):
        assert str(number) in page


@asynccontextmanager
async def served(place: Deployment) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(place.pages, port=0, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.mark.asvs("V2.4.1")
async def test_so_many_wait_and_no_more_and_a_client_that_goes_makes_room(
    place: Deployment, house: Organisation, follower: Person
) -> None:
    header = {"Authorization": follower.web.headers["Authorization"]}
    async with served(place) as origin, httpx.AsyncClient(base_url=origin, headers=header, timeout=90) as client:
        await client.get("/api/changes")
        waiting = [asyncio.create_task(client.get("/api/changes?wait=60")) for _ in range(gate.MOST_OF_TOKEN)]
        await asyncio.sleep(0.5)
        answer, seconds = await timed(client.get("/api/changes?wait=60"))
        assert (answer.status_code, answer.json()["type"]) == (429, "urn:troth:too-many-waiting")
        assert seconds < 1
        assert (await client.get("/api/changes")).status_code == 200, "who does not wait is answered"
        for one in waiting:
            one.cancel()
        await asyncio.sleep(0.5)
        again = asyncio.create_task(client.get("/api/changes?wait=60"))
        await asyncio.sleep(0.5)
        assert not again.done()
        await place.study(house)
        assert len((await again).json()["changes"]) == 1


async def status_of(place: Deployment, person: Person, query: bytes) -> int:
    """The status of one request, without a client that would cost more than the door."""
    told: list[int] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        told.append(message.get("status", 0))

    headers = [(b"host", b"127.0.0.1"), (b"authorization", person.web.headers["Authorization"].encode())]
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/api/changes",
        "raw_path": b"/api/changes", "root_path": "", "query_string": query, "headers": headers,
    }  # fmt: skip
    await place.pages(scope, receive, send)
    return told[0]


async def test_ten_thousand_that_want_to_wait_do_not_stop_the_service(place: Deployment) -> None:
    houses = [await place.organisation() for _ in range(5)]
    tokens = [await place.bearer("peer", "care", one) for one in houses for _ in range(10)]
    doctor = await place.staff("clinician")
    _, usual = await timed(doctor.web.get("/studies"))
    many: list[asyncio.Task[int]] = []
    try:
        for _ in range(10_000 // len(tokens)):
            many += [asyncio.create_task(status_of(place, token, b"wait=60")) for token in tokens]
            while sum(not one.done() for one in many) > gate.MOST_WAITING:
                await asyncio.sleep(0.01)
        assert {one.result() for one in many if one.done()} <= {429, 503}
        assert sum(not one.done() for one in many) == gate.MOST_WAITING
        page, seconds = await timed(doctor.web.get("/studies"))
        assert page.status_code == 200
        assert seconds < 1 + 5 * usual
    finally:
        for one in many:
            one.cancel()
        await asyncio.gather(*many, return_exceptions=True)


async def test_a_lost_connection_to_the_database_is_made_again(
    place: Deployment, house: Organisation, follower: Person
) -> None:
    await place.study(house)
    [first] = await settled(follower, 1)
    waiting = asyncio.create_task(asked(follower, after=first["offset"], wait=30))
    await asyncio.sleep(0.5)
    async with place.rooms.database.transaction(None) as connection:
        cursor = await connection.execute("select pid from pg_stat_activity where query = 'listen troth_ledger'")
        [row] = await cursor.fetchall()
        await connection.execute("select pg_terminate_backend(%s)", (row["pid"],))
    await asyncio.sleep(1.2)
    held = await place.study(house)
    page, seconds = await timed(waiting)
    assert [one["study_id"] for one in page["changes"]] == [str(held.id)]
    assert seconds < 1.5
