"""Everything that can be given is listed, can be ended, is written both times, and its end is felt at each door."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tests.common.deployment import COOKIE, Deployment, Held, OpenDeployment, Person
from troth.doors import dimse
from troth.kit import clock
from troth.ledger import Event, kinds
from troth.main.acts import ACTS, Act
from troth.main.admin import app as commands
from troth.people import Organisation

A_SECOND = timedelta(seconds=1.1)
JSON = "application/dicom+json"


@dataclass
class Given:
    """Something that was given, and how a test looks at it.

    Attributes:
        key: What stands in the payload of both entries.
        is_listed: Whether its page lists it.
        end: Ends it, as its page does.
        doors: For each door whether what was given still opens it.
    """

    key: tuple[str, str]
    is_listed: Callable[[], Awaitable[bool]]
    end: Callable[[], Awaitable[httpx.Response]]
    doors: dict[str, Callable[[], Awaitable[bool]]] = field(default_factory=dict)


@dataclass
class Scene:
    """A house with two administrators, a study, and a listener for machines."""

    place: Deployment
    house: Organisation
    admin: Person
    second: Person
    held: Held
    port: int

    def image_doors(self, person: Person) -> dict[str, Callable[[], Awaitable[bool]]]:
        """What a clinician opens."""
        path = f"/dicomweb/studies/{self.held.uid}/metadata"
        return {
            "pages": lambda: _is(person.web.get(f"/studies/{self.held.id}/open"), 303, "viewer"),
            "viewer": lambda: _is(person.viewer.get(path, headers={"Accept": JSON}), 200),
            "dicomweb": lambda: _is(person.web.get(path, headers={"Accept": JSON}), 200),
        }

    async def opens(self, person: Person) -> None:
        """Somebody whose first look opens the study."""
        await self.place.assign(person, self.held)


async def _is(answering: Awaitable[httpx.Response], status: int, leads: str = "") -> bool:
    answer = await answering
    return answer.status_code == status and leads in answer.headers.get("location", "")


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture(scope="module")
async def host(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


@pytest.fixture
async def scene(request: pytest.FixtureRequest, cloud: Deployment, host: Deployment) -> AsyncIterator[Scene]:
    place = host if request.node.callspec.params["act"].name == "assignment" else cloud
    house = await place.organisation()
    admin, second = await place.staff("admin", house), await place.staff("admin", house)
    listener = dimse.create(place.rooms)
    await listener.start("127.0.0.1", 0)
    yield Scene(place, house, admin, second, await place.study(house, slices=40, size=256), listener.port)
    await listener.stop()


async def member(scene: Scene) -> Given:
    person = await scene.place.staff("clinician", scene.house)
    await scene.opens(person)
    assert person.user is not None
    page = f"/admin/people/{person.user.id}"
    return Given(
        ("user", str(person.user.id)),
        lambda: _shows(scene.admin, "/admin", page),
        lambda: scene.admin.post(page, {"act": "end"}),
        {**scene.image_doors(person), "stream": await streaming(scene, {"cookie": _cookie(person)})},
    )


async def role(scene: Scene) -> Given:
    person = await scene.place.staff("clinician", scene.house)
    await scene.opens(person)
    assert person.user is not None
    page = f"/admin/people/{person.user.id}"

    async def end() -> httpx.Response:
        """Another role that sees less is given by one alone."""
        seen = await scene.admin.post(page, {"act": "preview", "role": "admin"})
        assert "Loses" in seen.text
        return await scene.admin.post(page, {"act": "change", "role": "admin"})

    # Back again takes two: the same act, given.
    assert (await end()).headers["location"].startswith(page)
    assert not await scene.image_doors(person)["dicomweb"]()
    asked = await scene.admin.post(page, {"act": "change", "role": "clinician"})
    assert asked.headers["location"] == "/admin?told=proposed"
    await approved(scene)
    return Given(("user", str(person.user.id)), lambda: _shows(scene.admin, page, "clinician"), end,
                 scene.image_doors(person))  # fmt: skip


async def approved(scene: Scene) -> None:
    """The second administrator agrees to what waits; who asked cannot."""
    page = (await scene.second.web.get("/admin")).text
    [waits] = re.findall(r"/admissions/[0-9a-f-]{36}", page)
    assert (await scene.admin.post(waits, {"act": "approve"}, page="/admin")).status_code == 404
    assert (await scene.second.post(waits, {"act": "approve"}, page="/admin")).status_code == 303


async def invitation(scene: Scene) -> Given:
    fields = {"name": "N. Testcase", "email": "n.testcase@x.example", "role": "clinician"}
    assert (await scene.admin.post("/admin", fields)).headers["location"] == "/admin?told=proposed"
    await approved(scene)
    [path] = re.findall(r"/admin/invitations/[0-9a-f-]{36}", (await scene.admin.web.get("/admin")).text)
    [link] = re.findall(r"http://\S+(/invitation/\S+)", scene.place.mails()[-1])
    return Given(
        ("invitation", path.rpartition("/")[2]),
        lambda: _shows(scene.admin, "/admin", "n.testcase@x.example"),
        lambda: scene.admin.post(path, {"act": "withdraw"}, page="/admin"),
        {"invitation": lambda: _is(scene.place.anybody().web.get(link), 200)},
    )


async def invitation_of_patient(scene: Scene) -> Given:
    doctor = await scene.place.staff("clinician", scene.house)
    await scene.opens(doctor)
    page = f"/studies/{scene.held.id}/invite"
    assert (await doctor.post(page, {"email": "p.atient@x.example"})).status_code == 303
    [link] = re.findall(r"http://\S+(/invitation/\S+)", scene.place.mails()[-1])
    return Given(
        ("subject", str(scene.held.subject_id)),
        lambda: _shows(doctor, page, "An invitation is open"),
        lambda: doctor.post(page, {"act": "withdraw"}),
        {"invitation": lambda: _is(scene.place.anybody().web.get(link), 200)},
    )


async def proposal(scene: Scene) -> Given:
    fields = {"name": "R. Replica", "email": "r.replica@x.example", "role": "office"}
    assert (await scene.admin.post("/admin", fields)).headers["location"] == "/admin?told=proposed"
    [path] = re.findall(r"/admissions/[0-9a-f-]{36}", (await scene.admin.web.get("/admin")).text)

    async def can_be_agreed_to() -> bool:
        page = (await scene.second.web.get("/admin")).text
        return path in page and 'value="approve"' in page

    return Given(
        ("admission", path.rpartition("/")[2]),
        lambda: _shows(scene.admin, "/admin", "R. Replica"),
        lambda: scene.second.post(path, {"act": "refuse"}, page="/admin"),
        {"invitation": can_be_agreed_to},
    )


async def session(scene: Scene) -> Given:
    person = await scene.place.staff("clinician", scene.house)
    await scene.opens(person)
    assert person.user is not None
    page, secret = f"/admin/people/{person.user.id}", str(person.actor.session_id)
    return Given(
        ("session", secret),
        lambda: _shows(scene.admin, page, secret),
        lambda: scene.admin.post(page, {"act": "session", "session": secret}),
        {**scene.image_doors(person), "stream": await streaming(scene, {"cookie": _cookie(person)})},
    )


async def own_session(scene: Scene) -> Given:
    person = await scene.place.staff("clinician", scene.house)
    await scene.opens(person)
    lost = Person(person.web, person.viewer, person.actor)
    here = await scene.place.sign_in_again(scene.place._person(person.actor, user=person.user, email=person.email))
    secret = str(lost.actor.session_id)
    return Given(
        ("session", secret),
        lambda: _shows(here, "/account", secret),
        lambda: here.post("/account/sessions", {"session": secret}, page="/account"),
        scene.image_doors(lost),
    )


async def token(scene: Scene) -> Given:
    unknown = await scene.admin.post(
        "/admin/tokens", {"role": "peer", "purpose": "curiosity", "days": "1"}, page="/admin/systems"
    )
    assert (unknown.status_code, "lets it do anything for this purpose" in unknown.text) == (422, True)
    issued = await scene.admin.post(
        "/admin/tokens", {"role": "peer", "purpose": "care", "days": "1"}, page="/admin/systems"
    )
    [secret] = re.findall(r'once">([^<\s]+)<', issued.text)
    bearer = {"Authorization": f"Bearer {secret}"}
    actor = await scene.place.rooms.people.actor_of_token(secret)
    assert actor is not None
    program = scene.place._person(actor, bearer)
    path = f"/admin/tokens/{actor.id}"
    return Given(
        ("token", str(actor.id)),
        lambda: _shows(scene.admin, "/admin/systems", path),
        lambda: scene.admin.post(path, page="/admin/systems"),
        {
            "dicomweb": lambda: _is(
                program.web.get(f"/dicomweb/studies/{scene.held.uid}/metadata", headers={"Accept": JSON}), 200
            ),
            "rest": lambda: _is(program.web.get("/api/changes"), 200),
            "stream": await streaming(scene, {"authorization": bearer["Authorization"]}),
        },
    )


async def machine(scene: Scene) -> Given:
    fields = {"ae": "ACT_CT", "host": "127.0.0.1", "port": "11113", "purpose": "care"}
    assert (await scene.admin.post("/admin/systems", fields)).status_code == 303
    return await _registered(scene, lambda page: scene.admin.post(page, {"act": "end"}))


async def certificate(scene: Scene) -> Given:
    fields = {"ae": "ACT_CT", "host": "127.0.0.1", "port": "11113", "purpose": "care"}
    assert (await scene.admin.post("/admin/systems", fields)).status_code == 303
    other = {"act": "change", "host": "127.0.0.1", "port": "11113", "certificate": "ab" * 32}
    return await _registered(scene, lambda page: scene.admin.post(page, other))


async def _registered(scene: Scene, end: Callable[[str], Awaitable[httpx.Response]]) -> Given:
    [page] = re.findall(r"/admin/systems/[0-9a-f-]{36}", (await scene.admin.web.get("/admin/systems")).text)
    entity = AE(ae_title="ACT_CT")
    entity.add_requested_context(Verification, ExplicitVRLittleEndian)

    def associate() -> Any:
        return entity.associate("127.0.0.1", scene.port, ae_title=scene.place.rooms.settings.ae)

    before = await asyncio.to_thread(associate)
    assert before.is_established

    async def answers() -> bool:
        """Both what is connected already and who connects anew."""
        old = await asyncio.to_thread(before.send_c_echo) if before.is_established else None
        anew = await asyncio.to_thread(associate)
        fresh = anew.is_established
        if fresh:
            await asyncio.to_thread(anew.release)
        goes_on = old is not None and getattr(old, "Status", 1) == 0
        assert goes_on is fresh, "what was open ends as what comes anew does"
        return fresh

    return Given(("ae", "ACT_CT"), lambda: _shows(scene.admin, "/admin/systems", "ACT_CT"), lambda: end(page),
                 {"dimse": answers})  # fmt: skip


async def account(scene: Scene) -> Given:
    patient = await scene.place.patient(scene.held)
    path = f"/dicomweb/studies/{scene.held.uid}/metadata"
    email, people = patient.email, scene.place.rooms.people

    async def end() -> httpx.Response:
        """It can be used to sign in until then, and not after."""
        assert patient.actor.id is not None
        answer = await patient.post("/account/close", page="/account")
        before = len(scene.place.mails())
        await people.start_sign_in(email, "127.0.0.1")
        await people.settled()
        assert len(scene.place.mails()) == before
        return answer

    return Given(
        ("subject", str(scene.held.subject_id)),
        lambda: _shows(patient, "/account", "Close my account"),
        end,
        {
            "pages": lambda: _is(patient.web.get(f"/scans/{scene.held.id}"), 200),
            "viewer": lambda: _is(patient.viewer.get(path, headers={"Accept": JSON}), 200),
            "dicomweb": lambda: _is(patient.web.get(path, headers={"Accept": JSON}), 200),
        },
    )


async def assignment(scene: Scene) -> Given:
    lead = await scene.place.staff("clinician", scene.house)
    await scene.opens(lead)
    person = await scene.place.staff("clinician", scene.house)
    assert person.user is not None
    page = f"/studies/{scene.held.id}/care"
    until = (clock.now() + timedelta(days=7)).date().isoformat()
    fields = {"person": str(person.user.id), "until": until, "reason": "Second opinion on the scan"}
    assert (await lead.post(page, fields)).status_code == 303

    async def end() -> httpx.Response:
        row = next(each for each in (await lead.web.get(page)).text.split("<tr") if person.user.name in each)  # type: ignore[union-attr]
        [ended] = re.findall(r'name="ended" value="([0-9a-f-]{36})"', row)
        return await lead.post(page, {"ended": ended, "reason": "The question is answered"})

    return Given(("", ""), lambda: _shows(lead, page, person.actor.name), end, scene.image_doors(person))


GIVING: dict[str, Callable[[Scene], Awaitable[Given]]] = {
    "member": member, "role": role, "invitation": invitation,
    "patient's invitation": invitation_of_patient, "proposal": proposal, "session": session,
    "own session": own_session, "token": token, "machine": machine, "certificate": certificate, "account": account,
    "assignment": assignment,
}  # fmt: skip


@pytest.mark.asvs("V7.4.5")
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
async def test_what_is_given_is_listed_ended_and_felt(act: Act, scene: Scene) -> None:
    given = await GIVING[act.name](scene)
    assert await given.is_listed()
    with clock.moved(A_SECOND):
        assert {name: await opens() for name, opens in given.doors.items() if name != "stream"} == {
            name: True for name in act.felt if name != "stream"
        }
    ended = await given.end()
    assert ended.status_code == 303, ended.text
    with clock.moved(2 * A_SECOND):
        assert {name: await opens() for name, opens in given.doors.items()} == dict.fromkeys(act.felt, False)
        if act.name not in ("role", "certificate", "assignment", "machine"):
            assert not await given.is_listed()
    written = await about(scene, given)
    for kind in (act.given, act.ended):
        entries = [each for each in written if each.kind == kind and each.outcome == "done"]
        assert entries, f"nothing of the kind {kind}"
        assert all(each.actor_id is not None for each in entries)
        if kind != "people:session:started":  # signing in rests on no clause
            by_them = (scene.admin.actor.id, scene.second.actor.id)
            assert all(each.clauses for each in entries if each.actor_id in by_them)
    assert written[-1].kind == act.ended


async def about(scene: Scene, given: Given) -> list[Event]:
    """What the ledger of the house says about what was given."""
    found = await scene.place.ledgered(house=scene.house)
    name, value = given.key
    if not name:
        return [each for each in found if each.kind.startswith("people:assignment:")]
    if name == "subject":
        return [each for each in found if str(each.subject_id) == value and each.kind.split(":")[0] == "people"]
    if name == "session":  # where one begins, its id is the session's of who began it
        started = [each for each in found if each.kind == "people:session:started"]
        return started + [each for each in found if (each.payload or {}).get(name) == value]
    return [each for each in found if (each.payload or {}).get(name) == value]


def test_each_row_has_its_walk_its_kinds_its_routes_and_its_command() -> None:
    assert [act.name for act in ACTS] == list(GIVING)
    routes = _routes()
    known = {(group.name, each.name) for group in commands.registered_groups if group.typer_instance is not None
             for each in group.typer_instance.registered_commands}  # fmt: skip
    for act in ACTS:
        assert {act.given, act.ended} <= kinds.KINDS.keys()
        assert {act.listed, act.ends} <= routes
        assert not act.command or tuple(act.command.split(" ")) in known, act.command


def test_no_kind_says_that_something_was_given_that_no_row_ends() -> None:
    told = {act.given for act in ACTS} | {act.ended for act in ACTS}
    mine = {kind for kind in kinds.KINDS if re.match(r"people:(member|token|peer|invitation|admission|session):", kind)}
    used = {"people:invitation:used"}  # by whom it was for
    assert mine - used == told & mine


def _routes() -> set[str]:
    from types import SimpleNamespace

    from starlette.routing import Route

    from troth.doors.web.app import routes

    desk: Any = SimpleNamespace(rooms=None)
    return {route.path for route in routes(desk) if isinstance(route, Route)}


def _cookie(person: Person) -> str:
    return f"{COOKIE}={person.web.cookies[COOKIE]}"


async def _shows(person: Person, page: str, words: str) -> bool:
    return words in (await person.web.get(page)).text


async def streaming(scene: Scene, headers: dict[str, str]) -> Callable[[], Awaitable[bool]]:
    """Begin to read a study and stop in the middle; what is returned reads on, and says whether it came whole."""
    began, go_on, size = asyncio.Event(), asyncio.Event(), 0
    whole = asyncio.get_running_loop().create_future()

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: dict[str, Any]) -> None:
        nonlocal size
        if message["type"] == "http.response.start":
            assert message["status"] == 200
        elif message["type"] == "http.response.body":
            size += len(message.get("body", b""))
            if size:
                began.set()
                await go_on.wait()
            if not message.get("more_body"):
                whole.set_result(True)

    scope = {
        "type": "http", "method": "GET", "http_version": "1.1", "scheme": "http", "query_string": b"", "root_path": "",
        "path": f"/dicomweb/studies/{scene.held.uid}", "raw_path": f"/dicomweb/studies/{scene.held.uid}".encode(),
        "headers": [
            (b"host", scene.place.rooms.settings.http_url.split("//")[1].encode()),
            (b"accept", b'multipart/related; type="application/dicom"'), (b"sec-fetch-site", b"same-origin"),
            *((name.encode(), value.encode()) for name, value in headers.items()),
        ],
        "client": ("127.0.0.1", 40001), "server": ("127.0.0.1", 8080), "state": {},
    }  # fmt: skip
    task = asyncio.create_task(scene.place.pages(scope, receive, send))
    await asyncio.wait([asyncio.ensure_future(began.wait()), task], return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task

    async def goes_on() -> bool:
        go_on.set()
        await asyncio.wait([task])
        task.exception()
        return bool(whole.done())

    return goes_on
