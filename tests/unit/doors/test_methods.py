"""Acting is by POST only (RFC 9110 9.2.1): every route of every origin, by every other method, changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from starlette.routing import Mount, Route

from tests.common.arrivals import shown_in, take_second_step
from tests.common.deployment import Deployment, Held, OpenDeployment, Person
from tests.common.forms import Forms
from tests.common.receiver import receiving
from tests.journeys.scene import FULL, PAGES, full
from troth.doors import viewer, web
from troth.doors.web.forms import token_of
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.people import Invitation
from troth.policy import Target

ODD = ("OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "POSTS", "QUERY")
READS = {
    "archive:study:opened",
    "archive:viewing:closed",
    "archive:studies:queried",
    "archive:changes:followed",
    "people:account:opened",
    "people:accounts:listed",
    "people:contacts:listed",
    "people:subjects:compared",
    "archive:quarantine:compared",
    "policy:access:refused",
}
"""Entries that reading writes. Everything else in the ledger means that something was done."""
ASIDE = re.compile(r"^(ledger_|leaf|checkpoint|series_metadata$)")
"""The ledger, whose kinds are looked at instead; and what is prepared of a study when it is read first."""
TABLES = "select c.relname from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace"
TOLD = "select count(*) || ':' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '') from {} t"


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


class Watch:
    """What the database holds, as its superuser sees it."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def rows(self) -> dict[str, str]:
        """Number and digest of the rows of each table but the ledger's; when a session was seen last is no change."""
        with psycopg.connect(self._dsn) as connection:
            names = [str(name) for (name,) in connection.execute(TABLES).fetchall() if not ASIDE.match(str(name))]
            found = {
                name: str(connection.execute(sql.SQL(TOLD).format(sql.Identifier(name))).fetchone()) for name in names
            }
            sessions = connection.execute("select count(*), count(ended_at) from session").fetchone()
        return {**found, "session": str(sessions)}

    def kinds(self) -> dict[str, int]:
        """How many entries of each kind the ledger holds, sequenced or not."""
        with psycopg.connect(self._dsn) as connection:
            return dict(connection.execute("select kind, count(*) from ledger_entry group by kind").fetchall())


@pytest.fixture
def watch(place: Deployment, postgres: EmbeddedServer) -> Watch:
    name = conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"]
    return Watch(postgres.dsn(SUPERUSER, str(name)))


def paths(routes: Any, values: dict[str, str], before: str = "") -> Iterator[tuple[str, str]]:
    """Every route as it is declared, and with its parameters filled."""
    for route in routes:
        if isinstance(route, Mount):
            yield from paths(getattr(route.app, "routes", []), values, before + route.path)
        elif isinstance(route, Route):
            whole = before + route.path
            secret = "staff" if whole.startswith("/invitation") else "link"
            known = {**values, "secret": values[secret]}
            yield whole, re.sub(r"\{(\w+)(?::\w+)?\}", lambda name, known=known: known.get(name[1], "1"), whole)


async def invite(place: Deployment) -> Invitation:
    inside = place.set_up_permit("administer", Target("organisation", place.first.id, place.first.id))
    return await place.rooms.people.invite_user(inside, place.first.id, "walk@x.example", "W. Alker", "clinician")


async def link_of(place: Deployment, person: Person) -> str:
    assert person.user is not None
    inside = place.set_up_permit("administer", Target("organisation", place.first.id, place.first.id))
    return (await place.rooms.people.issue_sign_in_link(inside, person.user.id)).rpartition("/")[2]


async def newcomer(place: Deployment) -> Person:
    """A member who never signed in."""
    inside = place.set_up_permit("administer", Target("organisation", place.first.id, place.first.id))
    user = await place.rooms.people.add_user(inside, place.first.id, "newcomer@x.example", "N. Comer", "clinician")
    person = place.anybody()
    person.user = user
    return person


async def cast(place: Deployment, held: Held) -> dict[str, Person]:
    people = {role: await place.staff(role) for role in ("clinician", "office", "admin")}
    halfway = place.anybody()
    link = await link_of(place, people["clinician"])
    halfway.web.cookies.set("troth_session", (await place.rooms.people.sign_in(link, "127.0.0.1")).token)
    return {**people, "patient": await place.patient(held), "halfway": halfway, "anybody": place.anybody()}


@pytest.mark.asvs("V3.5.3", "V7.6.2", "V13.4.4")
async def test_no_method_but_post_does_anything_on_any_route(place: Deployment, watch: Watch) -> None:
    held = await place.study()
    people, invited = await cast(place, held), await invite(place)
    link = await link_of(place, await newcomer(place))
    values = {"link": link, "staff": invited.secret, "id": str(held.id), "other": str(held.subject_id)}
    values |= {"study": held.uid, "number": "1", "path": "index.html"}
    origins = {
        "web": place.pages,
        "viewer": viewer.create(place.rooms, place.images),
    }
    walked = 0
    for name, person in people.items():
        rows, kinds = watch.rows(), watch.kinds()
        cookie = person.web.cookies.get("troth_session") or ""
        for origin, application in origins.items():
            client = getattr(person, origin)
            for route, path in paths(application.routes, values):
                for method in ("HEAD", *(ODD if name in ("admin", "anybody") else ())):
                    # With everything a form of this session would carry: the method alone has to be enough.
                    sent = {"token": token_of(cookie), "sure": "yes", "act": "agree", "email": "walk2@x.example"}
                    answer = await client.request(method, path, data=sent)
                    assert answer.status_code < 500, f"{method} {route}"
                    assert "set-cookie" not in answer.headers, f"{method} {route} set a cookie"
                    assert method != "HEAD" or not answer.content, f"{method} {route} has a body"
                    walked += 1
        await place.rooms.people.settled()
        found = watch.rows()
        changed = {table: told for table, told in found.items() if told != rows[table]}
        assert changed == {}, f"as {name}, rows changed: {changed}"
        written = {kind for kind, count in watch.kinds().items() if count != kinds.get(kind, 0)}
        assert written <= READS, f"as {name}"
    assert walked > 1_000

    # The counterpart on the same set-up: the press does it.
    for path in (f"/sign-in/{link}", f"/invitation/{invited.secret}"):
        somebody = place.anybody()
        page = await somebody.web.get(path)
        assert page.status_code == 200, "neither is used up"
        entered = await somebody.web.post(path, data=shown_in(page.text))
        assert (entered.status_code, "set-cookie" in entered.headers) == (303, True)
        assert (await take_second_step(somebody.web)).status_code == 200
    assert watch.rows()["session"] != rows["session"]


async def test_no_filled_form_is_done_by_another_method(
    open_deployment: OpenDeployment, postgres: EmbeddedServer
) -> None:
    """What a page would send by POST, token and all, by whoever it is for: by any other method it changes nothing."""
    place = await open_deployment(FULL)
    with receiving("ELSEWHERE") as outside:
        scene = await full(place, outside.port)
    watch = Watch(postgres.dsn(SUPERUSER, str(conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"])))
    sent: dict[tuple[str, str, str], tuple[Person, dict[str, str]]] = {}
    for spot in PAGES:
        if spot.is_on(FULL) and spot.who in scene.people:
            person, path = scene.people[spot.who], spot.path(scene)
            for form in Forms((await person.web.get(path)).text).found:
                filled = form.filled()
                sent[spot.who, urljoin(path, form.action or path), str(form.presses)] = (person, filled)
    await place.rooms.people.settled()
    rows, kinds = watch.rows(), watch.kinds()
    for (_, path, _), (person, filled) in sent.items():
        for method in ("HEAD", "PUT", "PATCH", "DELETE", "POSTS"):
            answer = await person.web.request(method, path, data=filled)
            assert (answer.status_code < 500, "set-cookie" in answer.headers) == (True, False), (method, path)
    await place.rooms.people.settled()
    found = watch.rows()
    assert {table for table, told in found.items() if told != rows[table]} == set()
    assert {kind for kind, count in watch.kinds().items() if count != kinds.get(kind, 0)} <= READS
    assert len({path for _, path, _ in sent}) > 50

    # The counterpart: the same form, by POST, is done.
    [(person, filled)] = [told for (who, path, _), told in sent.items() if (who, path) == ("patient", "/choices")][:1]
    assert (await person.web.post("/choices", data=filled)).status_code == 303
    assert watch.rows() != found


async def test_head_answers_as_get_without_the_body(place: Deployment) -> None:
    somebody = place.anybody()
    for path in ("/notice", "/sign-in", "/nothing", "/robots.txt"):
        seen, head = await somebody.web.get(path), await somebody.web.head(path)
        assert (head.status_code, head.content) == (seen.status_code, b"")
        assert head.headers["content-type"] == seen.headers["content-type"]


@pytest.mark.asvs("V3.5.3")
def test_one_place_looks_at_the_method() -> None:
    """So that no handler takes for a form what is none."""
    files = Path(web.__path__[0]).rglob("*.py")
    looking = [file.name for file in files if re.search(r"request\.method\b", file.read_text("utf-8"))]
    assert looking == ["forms.py"]
