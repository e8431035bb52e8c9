"""The six figures of the mail beside its link: in the browser that asked, five times, for ten minutes, once."""

from __future__ import annotations

import re
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.common.deployment import Deployment, OpenDeployment, Person
from troth.kit import clock
from troth.people import asks_store
from troth.people.model import digest_of

SENT = "/sign-in/sent"


@pytest.fixture
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


async def asked(place: Deployment, email: str) -> Person:
    """A browser that asked for a link to a mailbox."""
    browser = place.anybody()
    answer = await browser.web.post("/sign-in", data={"email": email})
    assert (answer.status_code, answer.headers["location"]) == (303, SENT)
    await place.rooms.people.settled()
    return browser


def mailed(place: Deployment) -> tuple[str, str]:
    """The code and the link of the newest mail."""
    text = place.mails()[-1]
    [code], [link] = re.findall(r"\b\d{3} \d{3}\b", text), re.findall(r"\S+(/sign-in/\S+)", text)
    return code, link


async def typed(browser: Person, code: str, **more: str) -> httpx.Response:
    page = (await browser.web.get(SENT)).text
    fields = dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)">', page))
    fields.pop("back", None)
    return await browser.web.post(SENT, data={**fields, "code": code, **more})


def wrong(code: str) -> str:
    return f"{(int(code.replace(' ', '')) + 1) % 1_000_000:06d}"


async def test_the_code_lets_in_what_the_link_would(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    browser = await asked(place, doctor.email)
    code, link = mailed(place)
    assert (await typed(browser, wrong(code))).status_code == 422
    let_in = await typed(browser, code)
    assert (let_in.status_code, let_in.headers["location"]) == (303, "/second-step"), "staff still owe the factor"
    assert (await place.anybody().web.get(link)).status_code == 401, "the link of the same mail is used up"
    assert (await typed(await asked(place, doctor.email), code)).status_code == 422, "each mail has its own"


async def test_opening_the_link_spends_nothing_and_using_it_spends_the_code(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    browser = await asked(place, doctor.email)
    code, link = mailed(place)
    scanner = place.anybody()
    for method in ("HEAD", "GET", "GET"):
        assert (await scanner.web.request(method, link)).status_code == 200
    page = (await scanner.web.get(link)).text
    shown = re.findall(r'name="shown" value="([^"]*)"', page)
    used = await scanner.web.post(link, data={"shown": shown[0]} if shown else {})
    assert used.headers["location"] == "/second-step"
    over = await typed(browser, code)
    assert (over.status_code, "expired or was already used" in over.text) == (401, True)


async def test_a_code_counts_in_the_browser_that_asked(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    browser = await asked(place, doctor.email)
    code, _ = mailed(place)
    other = await asked(place, "nobody-of-ours@x.example")
    assert (await typed(other, code)).status_code == 422
    bare = place.anybody()
    assert 'name="code"' not in (await bare.web.get(SENT)).text
    assert (await bare.web.post(SENT, data={"code": code})).status_code == 403
    assert (await typed(browser, code)).headers["location"] == "/second-step"


async def test_five_wrong_ones_end_the_code_and_not_the_link(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    browser = await asked(place, doctor.email)
    code, link = mailed(place)
    assert [(await typed(browser, wrong(code))).status_code for _ in range(5)] == [422] * 4 + [401]
    assert (await typed(browser, code)).status_code == 401
    assert (await place.anybody().web.get(link)).status_code == 200


async def test_a_code_lives_for_ten_minutes(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    browser = await asked(place, doctor.email)
    code, link = mailed(place)
    with clock.moved(timedelta(minutes=10)):
        assert (await typed(browser, code)).status_code == 401
        assert (await place.anybody().web.get(link)).status_code == 200, "the link lives for fifteen"


async def test_wrong_codes_from_anywhere_close_the_codes_of_a_mailbox_and_not_its_links(place: Deployment) -> None:
    """A hundred browsers have no more tries at one mailbox in a day than twenty; who lives there opens the link."""
    doctor = await place.staff("clinician")
    people = place.rooms.people
    for number in range(4):
        guessing = await people.start_sign_in(doctor.email, f"198.51.100.{number}")
        await people.settled()
        code, _ = mailed(place)
        for _ in range(5):
            with pytest.raises(Exception, match="code"):
                await people.people_by_code(guessing.token, wrong(code))
    browser = await asked(place, doctor.email)
    code, link = mailed(place)
    for any_code in (code, wrong(code)):
        closed = await typed(browser, any_code)
        assert (closed.status_code, "Open the link in the e-mail instead" in closed.text) == (401, True)
    assert (await place.anybody().web.get(link)).status_code == 200
    with clock.moved(timedelta(days=1)):
        browser = await asked(place, doctor.email)
        code, _ = mailed(place)
        assert (await typed(browser, code)).headers["location"] == "/second-step"


async def test_a_stranger_reads_alike_whether_the_mailbox_is_known(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    pages = []
    for email in (doctor.email, "nobody-of-ours@x.example"):
        browser = await asked(place, email)
        page = (await browser.web.get(SENT)).text
        answers = [await typed(browser, "000 000" if mailed(place)[0] != "000 000" else "000 001") for _ in range(6)]
        told = [re.sub(r'value="[0-9a-f]{80}"', "", each.text) for each in answers]
        pages.append((re.sub(r'value="[0-9a-f]{80}"', "", page), [each.status_code for each in answers], told))
    assert pages[0][1] == [422] * 4 + [401] * 2
    assert re.sub(r"\d{2}:\d{2}", "", str(pages[0])) == re.sub(r"\d{2}:\d{2}", "", str(pages[1]))


async def test_who_asks_without_end_keeps_nobody_behind_the_same_proxy_out(place: Deployment) -> None:
    """Four hundred times, from the address that a whole house has: a colleague is mailed a link all the same."""
    people, house = place.rooms.people, "192.0.2.77"
    one, other = await place.staff("clinician"), await place.staff("clinician")
    for number in range(400):
        await people.start_sign_in(one.email if number % 2 else f"nobody-{number}@x.example", house)
    await people.settled()
    before = len(place.mails())
    await people.start_sign_in(other.email, house)
    await people.settled()
    assert len(place.mails()) == before + 1
    await people.start_sign_in(other.email, house)
    await people.settled()
    assert len(place.mails()) == before + 1, "and one is enough, while it lives"


async def test_a_late_code_never_fills_what_the_browser_asked_since(
    place: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong ones are counted for the mailbox of the question, so no other mailbox's code may be tried at it."""
    doctor, people = await place.staff("clinician"), place.rooms.people
    late: list[Coroutine[Any, Any, None]] = []
    monkeypatch.setattr(people, "_do_later", late.append)
    asked_first = await people.start_sign_in(doctor.email, "198.51.100.1")
    asked_next = await people.start_sign_in("nobody-of-ours@x.example", "198.51.100.1", asked_first.token)
    for mail in late:
        await mail
    assert asked_next.token == asked_first.token
    text = place.mails()[-1]
    assert re.search(r"/sign-in/\S+", text)
    assert not re.search(r"\b\d{3} \d{3}\b", text), "no code that would not work"
    async with place.rooms.database.transaction(None) as connection:
        row = await asks_store.held(connection, digest_of(asked_next.token), clock.now())
    assert row is not None
    assert row["code_digest"] is None
