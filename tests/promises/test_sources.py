"""Where data came from: lists of people name their source, who is on them is told, and each activity keeps its time."""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from tests.common.deployment import Deployment, OpenDeployment, Person
from tests.common.engine import Worker
from tests.promises.test_changes import Mailbox, mailbox
from troth.kit import clock
from troth.lifecycle import ContactDisposal
from troth.main.first_start import operator
from troth.outreach import Introductions
from troth.policy import PermitDenied, Target
from troth.proofs import Proven, Result, Standing

BREAKS = ("terminology-vendor 3.2",)
"""Some letters go out forty days late, on purpose."""

__all__ = ["mailbox"]

LIST = """email,name,company,counts_from
ada@x.example,Ada Example,Sample Press,2026-11-01
ADA@x.example,Ada E.,Sample Press,2026-11-01
not an address,Bad Line,Sample Press,2026-11-01
cara@x.example,Cara Example,Sample Press,2027-11-01
dan@x.example,"Dan, Example",Sample Press
eve@x.example,Eve Example,Sample Press,
"""


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment, mailbox: Mailbox) -> Deployment:
    return await open_deployment("terminology-vendor", smtp=f"127.0.0.1:{mailbox.port}")


async def work(place: Deployment) -> Worker:
    """What the worker does with lists and disposals, until nothing waits."""
    worker, rooms = await place.worker(), place.rooms
    engine: Any = worker
    lists = worker.made(
        Introductions,
        lambda: Introductions(rooms.contacts, rooms.notices, rooms.policy, rooms.mail, rooms.settings.http_url, engine),
    )
    disposal = worker.made(ContactDisposal, lambda: ContactDisposal(rooms.contacts, rooms.policy, engine))

    async def waits() -> bool:
        contacts = rooms.contacts
        return bool(await contacts.waiting() or await contacts.untold() or await contacts.open_disposals())

    await worker.carry(lists, disposal, until=waits)
    return worker


async def offer(person: Person, content: str, **fields: str) -> httpx.Response:
    """Import a list, as the page does."""
    told = {"source": "partner", "activity": "promotion", "supplier": "Sample Press", "list": content}
    return await person.post("/lists", {**told, **fields})


async def take_in(place: Deployment, person: Person, content: str, **fields: str) -> str:
    """Import a list, agree to it, and have it taken in; the path of its page."""
    answer = await offer(person, content, **fields)
    assert answer.status_code == 303, re.findall(r'role="alert".*?</div>', answer.text, re.S)
    path = str(answer.headers["location"])
    assert (await person.post(path, {"act": "agree"})).status_code == 303
    await work(place)
    return path


@pytest.mark.promise("TV-04")
async def test_a_list_names_its_source_and_everybody_on_it_is_told_once_in_time(
    place: Deployment, mailbox: Mailbox
) -> None:
    office = await place.staff("office")
    for source in ("a_friend", "license_holder", "person", "browsers", "other_sources", ""):
        refused = await offer(office, LIST, source=source)
        assert refused.status_code == 422, source
    unlisted = await offer(office, LIST, source="a_friend")
    assert unlisted.status_code == 422
    assert "The notice lists no such source" in unlisted.text
    assert "data vendor" in unlisted.text.replace("_", " ")
    assert (await offer(office, LIST, activity="stray_records")).status_code == 422

    answer = await offer(office, LIST)
    assert answer.status_code == 303
    path = answer.headers["location"]
    page = (await office.web.get(path)).text
    assert "<b>2</b> not known yet" in page
    assert "<b>0</b> known already" in page
    assert "<b>1</b> named twice" in page
    assert "<b>3</b> lines refused" in page
    for number, why in ((4, "mail cannot be sent"), (5, "still to come"), (6, "it has 3 fields")):
        assert re.search(rf'<th scope="row">{number}</th><td>[^<]*{why}', page), (number, why)
    assert await place.ledgered(kind="people:list:taken") == []
    assert "There are no contacts" in (await office.web.get("/lists/contacts")).text, "a preview takes nothing in"
    assert mailbox.envelopes == []

    began = clock.now()
    assert (await office.post(path, {"act": "agree"})).status_code == 303
    mailbox.refuse = 1  # the mail server is away for a moment
    worker = await work(place)
    assert any("failed" in step for step in worker.steps)
    await work(place)
    contacts = (await office.web.get("/lists/contacts")).text
    assert contacts.count("partner: Sample Press") == 2
    assert contacts.count("Told on") == 2
    for name in ("Ada Example", "Eve Example"):
        assert name in contacts
    due = re.findall(r"due by (\d+ \w+ \d{4})", contacts)
    last = place.rooms.notices and (await place.rooms.contacts.origins())["partner"].tell_by(began)
    assert last is not None
    local = last.astimezone((await place.rooms.notices.in_force("visitors")).notice.zone)
    assert due == [f"{local.day} {local:%b} {local.year}"] * 2
    assert began + timedelta(days=28) < last <= began + timedelta(days=34), "a month, and on to a working day"

    told = await place.ledgered(kind="people:contact:told")
    assert len(told) == 2
    assert all(each.clauses == ("3.2",) and each.counts["in_time"] == 1 and each.index is not None for each in told)
    letters = [(whom, text) for whom, title, text, _ in mailbox.envelopes if "address from" in title]
    assert sorted(whom for whom, _ in letters) == ["ada@x.example", "eve@x.example"]
    for _, text in letters:
        assert "Sample Press (partner)" in text
        assert "/notice?for=visitors#p3-2" in text
        assert "§ 4.7" in text
        assert "§ 9.1" in text
        assert "Ada" not in text
    again = await take_in(place, office, "email,name\nada@x.example,Ada Example\nfay@x.example,Fay\n")
    assert "1 new, 1 known before" in (await office.web.get(again)).text
    assert len([1 for whom, title, *_ in mailbox.envelopes if whom == "ada@x.example" and "address" in title]) == 1
    [law] = [each for each in (await place.rooms.notices.in_force("visitors")).notice.all("source") if each.id == "3.2"]
    assert {row.term: row.words for row in law.kept((await place.rooms.notices.in_force("visitors")).notice)}["Law"]


@pytest.mark.promise("TV-04", on="terminology-vendor")
async def test_who_is_told_after_their_day_is_told_late_and_the_promise_is_broken(
    open_deployment: OpenDeployment,
) -> None:
    """In time is computed: of the same list, told on two days, one is in time and the other one is not."""
    place = await open_deployment("terminology-vendor")
    office = await place.staff("office")
    await take_in(place, office, "email,name\nsoon@x.example,Soon Enough\n")
    assert [each.counts["in_time"] for each in await place.ledgered(kind="people:contact:told")] == [1]
    assert standing_of(await place.looked(), "3.2") == "kept"

    answer = await offer(office, "email,name\nlate@x.example,Too Late\n")
    path = str(answer.headers["location"])
    assert (await office.post(path, {"act": "agree"})).status_code == 303
    worker = await place.worker()
    clock_was_moved: list[str] = []
    with ExitStack() as late:

        def away(step: str) -> None:
            """A worker that was away for forty days when somebody had to be told."""
            if step.startswith("mail") and not clock_was_moved:
                clock_was_moved.append(step)
                late.enter_context(clock.moved(timedelta(days=40)))

        with worker.before_each(away):
            await work(place)
    assert [each.counts["in_time"] for each in await place.ledgered(kind="people:contact:told")] == [1, 0]
    assert standing_of(await place.looked(), "3.2") == "broken"


def standing_of(found: Result, clause: str) -> str:
    [promise] = [each for report in found.reports for each in report.promises if each.clause_id == clause]
    return promise.standing.value


async def test_strangers_and_broken_lists_get_nowhere(place: Deployment) -> None:
    office, stranger = await place.staff("office"), await place.staff("office", place.second)
    doctor = await place.staff("clinician")
    made = await offer(office, "email\ngus@x.example\n")
    path = made.headers["location"]
    assert (await stranger.web.get(path)).status_code == 404
    assert (await stranger.post(path, {"act": "agree"}, page="/lists")).status_code == 404
    assert (await doctor.web.get("/lists")).status_code == 404
    assert (await office.post(path, {"act": "drop"})).status_code == 303
    assert (await office.post(path, {"act": "agree"}, page="/lists")).status_code == 404, "what was dropped is gone"
    await work(place)
    assert "gus@x.example" not in (await office.web.get("/lists/contacts")).text
    for content, why in (
        ("name\nNobody\n", "names no column email"),
        ("email,birthday\na@x.example,1970-01-01\n", "none that we take"),
        ("email,email\na@x.example,b@x.example\n", "stands twice"),
        ("email\n" + "a@x.example\n" * 10_001, "more than 10,000 lines"),
        ("", "names no column email"),
        ("email\n", "names nobody"),
        ('email,name\na@x.example,"unclosed\n', ""),
        ("email\n\0\n", "is not text"),
    ):
        answer = await offer(office, content)
        assert answer.status_code == (422 if why else 303), content[:40]
        assert why in answer.text
    assert (await offer(office, "email\n" + "a" * 1_100_000)).status_code == 413
    token = await office.token("/lists")
    upload = await office.web.post(
        "/lists",
        data={"token": token, "source": "data_vendor", "activity": "promotion", "supplier": "V", "list": ""},
        files={"file": ("list.csv", "email\nzoë@x.example\nhal@x.example\n".encode("latin-1"), "text/csv")},
    )
    assert upload.status_code == 422
    assert "Line 2 is not UTF-8 text" in upload.text
    upload = await office.web.post(
        "/lists",
        data={"token": token, "source": "data_vendor", "activity": "promotion", "supplier": "V", "list": ""},
        files={"file": ("list.csv", b"\xef\xbb\xbfE-Mail;Name\r\nhal@x.example;Hal\r\n", "text/csv")},
    )
    assert upload.status_code == 303
    assert "<b>1</b> not known yet" in (await office.web.get(upload.headers["location"])).text
    raced = (await offer(office, "email\nivy@x.example\n")).headers["location"]
    token = await office.token(raced)
    answers = await asyncio.gather(
        *(office.web.post(raced, data={"token": token, "act": "agree"}) for _ in range(4)), return_exceptions=True
    )
    assert sorted(each.status_code for each in answers if isinstance(each, httpx.Response)) == [303, 404, 404, 404]
    await asyncio.gather(work(place), work(place))
    assert (await office.web.get("/lists/contacts")).text.count("ivy@x.example") == 1


async def standing(place: Deployment, clause: str) -> Proven:
    """How a promise of the notice stands now."""
    [report] = (await place.looked()).reports
    return next(each for each in report.promises if each.clause_id == clause)


@pytest.mark.promise("TV-01")
async def test_what_was_taken_under_a_contract_is_not_touched_by_the_sites_retention(place: Deployment) -> None:
    office = await place.staff("office", place.second)
    old = date(2010, 1, 4)
    rows = f"email,counts_from\nsite@x.example,{old}\nboth@x.example,{old}\nnew@x.example,2026-11-01\n"
    await take_in(place, office, rows)
    contract = "email,name\nboth@x.example,Both\nrunning@x.example,Running\n"
    path = await take_in(
        place, office, contract, source="license_holder", activity="licensed_products", supplier="Lakeside"
    )
    assert "the periods of the site do not touch it" in (await office.web.get(path)).text
    page = (await office.web.get("/lists/due")).text
    assert re.search(r"promotion</th><td>the notice of the site.*?</td><td>3</td><td>2</td><td>0</td>", page)
    assert re.search(r"licensed products</th><td>its contract.*?</td><td>2</td><td>0</td><td>2</td>", page)

    assert (await office.post("/lists/due", {})).status_code == 303
    await work(place)
    page, contacts = (await office.web.get("/lists/due")).text, (await office.web.get("/lists/contacts")).text
    assert "Nothing is over today" in page
    assert "site@x.example" not in contacts
    assert contacts.count("both@x.example") == 1, "the contract's record stays, the site's went"
    assert "license holder: Lakeside" in contacts
    assert "running@x.example" in contacts
    assert "new@x.example" in contacts
    gone = await place.ledgered(kind="lifecycle:contact:disposed", house=place.second)
    assert len(gone) == 2
    assert all(each.purpose == "administration" and "4.1" in each.clauses for each in gone)
    [done] = await place.ledgered(kind="lifecycle:disposal:done", house=place.second)
    assert (done.counts["records"], done.counts["kept"]) == (2, 0)

    permit = place.set_up_permit("bring_people", Target("organisation", place.second.id, place.second.id))
    records = {each.activity: each for each in await place.rooms.contacts.records(permit)}
    worker = type(operator())("system", None, place.second.id, "worker")
    own = Target("contact", records["licensed_products"].id, place.second.id)
    with pytest.raises(PermitDenied) as refused:
        await place.rooms.policy.require(worker, "dispose", own, "administration")
    assert refused.value.clauses == ("1.2",)
    assert await place.rooms.policy.require(worker, "dispose", own, "licensed_products")
    assert await place.rooms.policy.require(
        worker, "dispose", Target("contact", records["promotion"].id, place.second.id), "administration"
    )

    ended = await take_in(
        place, office, "email,counts_from\nold@x.example,2018-03-01\n", source="license_holder",
        activity="licensed_products", supplier="Lakeside",
    )  # fmt: skip
    assert ended
    page = (await office.web.get("/lists/due")).text
    assert re.search(r"licensed products</th><td>its contract.*?</td><td>3</td><td>1</td><td>2</td>", page)
    late = await standing(place, "8.4")
    assert (late.standing, late.against) == (Standing.BROKEN, 0), "it stands past its day, and no words mend that"
    assert "kept past its day" in late.reason
    hold = place.set_up_permit("hold", Target("organisation", place.second.id, place.second.id), "legal")
    held = await place.rooms.lifecycle.place_hold(hold, "A claim", review_on=clock.today() + timedelta(days=9))
    assert (await standing(place, "8.4")).standing is not Standing.BROKEN, "what is held may stay"
    await place.rooms.lifecycle.release_hold(hold, held.id, "It is settled")
    await office.post("/lists/due", {})
    await work(place)
    kept = await standing(place, "8.4")
    assert (kept.standing, kept.reason.split("; it was")[0]) == (
        Standing.KEPT, "nothing was disposed of before its day; nothing is kept past its day",
    )  # fmt: skip
    assert "old@x.example" not in (await office.web.get("/lists/contacts")).text
    last = (await place.ledgered(kind="lifecycle:contact:disposed", house=place.second))[-1]
    assert last.purpose == "licensed_products"
    assert "4.23" in last.clauses
