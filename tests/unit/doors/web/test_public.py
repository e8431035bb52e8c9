from __future__ import annotations

import re
from datetime import date

import pytest

from tests.common.arrivals import shown_in, take_second_step
from tests.unit.doors.web.conftest import ORIGIN, House, token_in
from troth.doors.web import assets
from troth.doors.web.public import doors

LINK = re.compile(r"http://\S+/sign-in/(\S+)")


async def test_the_notice_is_the_first_page(house: House) -> None:
    async with house.client() as anybody:
        start = await anybody.get("/")
        assert (start.status_code, start.headers["location"]) == (303, "/notice")
        page = (await anybody.get("/notice")).text
        assert "What we do with the images of your body" in page
        assert 'id="p4-1"' in page
        assert "Everything stored about you is sealed" in page
        assert "<title>Privacy notice · Example Imaging Cloud</title>" in page


@pytest.mark.parametrize(("audience", "words"), [("users", "people who work with us"), ("visitors", "when you visit")])
async def test_each_audience_has_its_own_part(house: House, audience: str, words: str) -> None:
    async with house.client() as anybody:
        assert words in (await anybody.get(f"/notice?for={audience}")).text
        assert (await anybody.get("/notice?for=advertisers")).status_code == 404


async def test_versions_stay_to_be_read(house: House) -> None:
    async with house.client() as anybody:
        assert "version 1" in (await anybody.get("/notice/versions")).text
        assert "Not checked yet" in (await anybody.get("/notice/versions/1")).text
        assert (await anybody.get("/notice/versions/9")).status_code == 404


async def test_promises_say_what_they_rest_on(house: House) -> None:
    async with house.client() as anybody:
        page = (await anybody.get("/promises")).text
        assert "Nothing was checked yet" in page
        await house.looked()
        page = (await anybody.get("/promises")).text
    assert re.search(r"\d+ promises and \d+ statements</h1>", page)
    assert "computed again, and every one fits" in page
    assert "Not possible yet" in page
    assert "We promise this and cannot do it yet: " in page


async def test_sign_in_answers_alike_for_known_and_unknown(house: House) -> None:
    async with house.client() as anybody:
        answers = [
            await anybody.post("/sign-in", data={"email": email})
            for email in ("drb.specimen@x.example", "no@x.example")
        ]
        assert {(each.status_code, each.headers["location"]) for each in answers} == {(303, "/sign-in/sent")}
        assert "Check your e-mail" in (await anybody.get("/sign-in/sent")).text
        wrong = await anybody.post("/sign-in", data={"email": "nobody"})
        assert wrong.status_code == 422
        assert 'aria-invalid="true"' in wrong.text


@pytest.mark.asvs("V3.3.2", "V3.3.4")
async def test_a_link_from_the_mail_signs_in_once(house: House) -> None:
    async with house.client() as clinician:
        await clinician.post("/sign-in", data={"email": "drb.specimen@x.example"})
        await house.rooms.people.settled()
        links = [match[1] for mail in house.mails() if (match := LINK.search(mail))]
        path = f"/sign-in/{links[-1]}"
        looked_at = await clinician.get(path)
        assert "Sign in now" in looked_at.text
        unshown = await clinician.post(path)
        assert (unshown.status_code, "set-cookie" in unshown.headers) == (422, False), (
            "nobody accepts what was not shown"
        )
        entered = await clinician.post(path, data=shown_in(looked_at.text))
        assert (entered.status_code, entered.headers["location"]) == (303, "/second-step")
        assert (await clinician.get("/studies")).headers["location"] == "/second-step", "a link alone opens nothing"
        entered = await take_second_step(clinician)
        assert (entered.status_code, "Save your recovery codes" in entered.text) == (200, True)
        cookie = entered.headers["set-cookie"]
        for part in ("troth_session=", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age="):
            assert part in cookie
        assert "Dr B. Specimen" in (await clinician.get("/studies")).text
        for again in (await clinician.post(path, data=shown_in(looked_at.text)), await clinician.get(path)):
            assert again.status_code == 401, "a used link says so before the press"
            assert "This link has expired or was already used" in again.text
            assert '<a class="btn" href="/sign-in">Send a new link</a>' in again.text


@pytest.mark.asvs("V7.4.1")
async def test_signing_out_ends_the_session_at_once(house: House) -> None:
    session = await house.session_of("E. Fixture")
    async with house.client(session) as office:
        page = (await office.get("/office/requests")).text
        forged = await office.post("/sign-out", data={"token": "0" * 40})
        assert forged.status_code == 403
        assert (await office.get("/office/requests")).status_code == 200
        assert (await office.post("/sign-out", data={"token": token_in(page)})).status_code == 303
    async with house.client(session) as stolen:
        gone = await stolen.get("/office/requests")
        assert (gone.status_code, gone.headers["location"]) == (303, "/sign-in?over=1")
        assert "You are not signed in any more" in (await stolen.get(gone.headers["location"])).text
    async with house.client() as stranger:
        assert (await stranger.get("/office/requests")).headers["location"] == "/sign-in"
        assert "any more" not in (await stranger.get("/sign-in")).text


@pytest.mark.asvs("V3.5.1")
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": ORIGIN}, 303),
        ({"Origin": "null"}, 303),
        ({}, 303),
    ],
)
async def test_a_form_from_elsewhere_changes_nothing(house: House, headers: dict[str, str], status: int) -> None:
    async with house.client(**headers) as somebody:
        email = f"{len(headers)}{status}@elsewhere.example"
        assert (await somebody.post("/sign-in", data={"email": email})).status_code == status


async def test_it_answers_to_its_own_name_only(house: House) -> None:
    async with house.client(Host="evil.example") as rebound:
        assert (await rebound.get("/notice")).status_code == 421


@pytest.mark.asvs("V3.2.1", "V3.4.3", "V3.4.4", "V3.4.5", "V3.4.6", "V14.2.3", "V14.3.2")
async def test_every_page_carries_the_headers(house: House) -> None:
    async with house.client() as anybody:
        for path in ("/notice", "/sign-in", "/nothing-here", assets.address("troth.css")):
            headers = (await anybody.get(path)).headers
            assert headers["content-security-policy"].startswith(
                "default-src 'none'; style-src 'self'; script-src 'self'"
            )
            assert "unsafe" not in headers["content-security-policy"]
            assert "base-uri 'none'; frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "set-cookie" not in headers
        assert (await anybody.get("/notice")).headers["cache-control"] == "no-store"
        assert "max-age" in (await anybody.get(assets.address("troth.css"))).headers["cache-control"]


async def test_no_cookie_that_the_notice_does_not_name(house: House) -> None:
    async with house.client() as anybody:
        page = (await anybody.get("/notice")).text
        assert "/theme" not in page
        assert (await anybody.post("/theme", data={"theme": "dark", "back": "/"})).status_code == 404


async def test_an_invitation_that_is_over_says_what_to_do(house: House) -> None:
    async with house.client() as anybody:
        over = await anybody.get("/invitation/" + "0" * 75)
        assert over.status_code == 410
        assert "This invitation is over" in over.text
        assert (await anybody.post("/invitation", data={"link": "no link!"})).status_code == 422
        opened = await anybody.post("/invitation", data={"link": "http://127.0.0.1:8080/invitation/abc"})
        assert opened.headers["location"] == "/invitation/abc"


async def test_pages_of_others_are_not_there(house: House) -> None:
    async with house.client() as nobody, house.client(await house.session_of("Dr B. Specimen")) as clinician:
        for path in ("/scans", "/looked", "/requests", "/studies", "/office/requests", "/admin"):
            answer = await nobody.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        for path in ("/scans", "/looked", "/requests", "/office/requests", "/admin", "/nothing-at-all"):
            answer = await clinician.get(path)
            assert answer.status_code == 404
            assert "There is nothing here that you may see" in answer.text


@pytest.mark.parametrize("number", ["1" * 5_000, "1" * 10, "%C2%B2", "1_0", "-1", "0"])
async def test_a_number_that_no_page_has_is_no_page(house: House, number: str) -> None:
    async with house.client() as anybody:
        for path in (f"/notice/versions/{number}", f"/notice/versions/{number}/changes"):
            assert (await anybody.get(path)).status_code == 404
    async with house.client(await house.session_of("Dr B. Specimen")) as clinician:
        for query in (f"page={number}", f"days={number}", f"study={number}"):
            assert (await clinician.get(f"/studies?{query}")).status_code == 404


@pytest.mark.asvs("V2.2.2")
@pytest.mark.parametrize("text", ["1" * 5_000, "\u00b2", "\u0663", "1_0", "-1"])
def test_a_day_that_is_none_is_said_at_its_field(text: str) -> None:
    typed = {"name": "A", "code": "1", "email": "a@b", "day": "1", "month": "1", "year": "1980"}
    for name in ("day", "month", "year"):
        assert [fault.field for fault in doors._faults(typed | {name: text})] == [name]
    assert doors._birth_date(typed) == date(1980, 1, 1)
    assert doors._birth_date(typed | {"day": "31", "month": "2"}) is None
