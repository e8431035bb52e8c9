from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.common.arrivals import shown_in, take_second_step
from tests.unit.doors.web.conftest import CHEST, NEW, OLD, House, token_in, unmasked
from troth.kit import seccomp
from troth.main.first_start import permit_for
from troth.policy import Target
from troth.rights import WrongPermit, take_list


@pytest.fixture(scope="module")
async def session(house: House) -> str:
    return await house.session_of_patient()


async def test_home_shows_own_scans_and_no_others(house: House, session: str) -> None:
    async with house.client(session) as patient:
        page = (await patient.get("/scans")).text
    assert "CT head" in page
    assert "CT chest, old" in page
    assert "Chest, two views" not in page
    assert "because it is yours to see" in page
    assert "<title>Your scans · Example Imaging Cloud</title>" in page
    assert "Kept until 14 Nov 2034" in page
    assert "you may have it erased" in page


async def test_a_study_says_who_looked_why_and_by_which_clause_with_proof(house: House, session: str) -> None:
    rooms = house.rooms
    doctor = await rooms.people.actor_of_session(await house.session_of("Dr B. Specimen"))
    assert doctor is not None
    target = await rooms.archive.target(doctor, NEW)
    await rooms.archive.open_study(await rooms.policy.require(doctor, "retrieve", target, "diagnosis"), NEW)
    async with house.client(session) as patient:
        path = f"/scans/{house.studies[NEW]}"
        page = (await patient.get(path)).text
        assert "Dr B. Specimen" in page
        assert "to find out what is wrong with you" in page
        assert 'href="/notice#p4-1"' in page
        assert "Written down; sealed into the log within a second" in page
        await house.sequence()
        page = (await patient.get(path)).text
        assert "The entry is in the log, unchanged" in page
        assert "This list is complete" in page
        assert "CT1" in page
        treating = (await patient.get(f"{path}?show=care")).text
        assert "Dr B. Specimen" in treating
        refused = (await patient.get(f"{path}?show=refused")).text
        assert "Nothing of this kind is written" in refused


@pytest.mark.asvs("V8.2.3")
async def test_a_refused_colleague_appears_by_role_only(house: House, session: str) -> None:
    rooms = house.rooms
    office = await rooms.people.actor_of_session(await house.session_of("E. Fixture"))
    assert office is not None
    target = await rooms.archive.target(office, NEW)
    with pytest.raises(Exception, match="nothing here for you"):
        await rooms.policy.require(office, "retrieve", target, "diagnosis")
    async with house.client(session) as patient:
        page = (await patient.get("/looked?show=refused")).text.partition('<footer class="foot">')[0]
    assert "Someone with the role “privacy officer”" in page
    assert "E. Fixture" not in page, "whom the foot of each page names as the officer to write to"
    assert "They saw nothing" in page


async def test_the_whole_list_has_pages(house: House, session: str) -> None:
    doctor = await house.rooms.people.actor_of_session(await house.session_of("Dr B. Specimen"))
    assert doctor is not None
    target = await house.rooms.archive.target(doctor, NEW)
    await house.rooms.archive.open_study(await house.rooms.policy.require(doctor, "retrieve", target, "diagnosis"), NEW)
    async with house.client(session) as patient:
        for _ in range(50):
            await patient.get("/scans")
        home = (await patient.get("/scans")).text
        assert "One person has opened them in the last 30 days." in home, "whatever was written since"
        assert "Dr B. Specimen" in home
        assert "Opened your CT scan of 14 Nov 2026" in home, "there is another CT scan of theirs"
        nothing = (await patient.get("/looked?show=refused")).text
        assert "Nothing of this kind is written" not in nothing
        others = (await patient.get("/looked")).text
        assert "Saw your scans in a list" not in others, "one's own visits are in a list of their own"
        assert "Dr B. Specimen" in others
        page = (await patient.get("/looked?show=you")).text
        assert "Saw your scans in a list, 50 times" in page
        page = (await patient.get("/looked?show=all")).text
        further = re.search(r'href="(/looked\?show=all&amp;before=[^"]+)"', page)
        assert further is not None
        earlier = (await patient.get(further[1].replace("&amp;", "&"))).text
        assert "CT1" in earlier
        for query in ("before=abc", "show=nothing", "show=" + "a" * 5000):
            assert (await patient.get(f"/looked?{query}")).status_code == 404


async def test_the_list_is_taken_home_and_checked_there(house: House, session: str, tmp_path: Path) -> None:
    subject = (await house.rooms.people.actor_of_session(session)).subject_id  # type: ignore[union-attr]
    await house.sequence()

    async def run(name: str, *known: str) -> str:
        async with house.client(session) as patient:
            page = (await patient.get("/looked")).text
            for href in ("/looked/list.json", "/ledger/check_my_list.py"):
                assert f'href="{href}"' in page
                answer = await patient.get(href)
                assert answer.status_code == 200
                assert "attachment" in answer.headers["content-disposition"]
                (tmp_path / (name if href.endswith("json") else "check_my_list.py")).write_bytes(answer.content)
        command = [sys.executable, "-I", "-S", "check_my_list.py", name, *known]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    first = await run("first.json")
    await house.sequence()
    again = await run("second.json", "--known", "first.json")
    entries = [re.search(r"Right: all (\d+) entries", said) for said in (first, again)]
    assert entries[0]
    assert entries[1]
    assert int(entries[1][1]) == int(entries[0][1]) + 1, "that the first was taken is in the second"
    listed = json.loads((tmp_path / "second.json").read_text())["lists"]
    assert {each["list"] for each in listed} == {str(subject)}
    assert "rights:list:collected" in listed[0]["entries"][-1]["leaf"]
    patient = await house.rooms.people.actor_of_session(session)
    assert patient is not None
    mine = Target("subject", patient.subject_id, patient.tenant, patient.subject_id)
    seeing = await house.rooms.policy.require(patient, "see_log", mine, "own_access")
    asking = await house.rooms.policy.require(patient, "see_request", mine, "own_access")
    for permit, whose in ((asking, mine.subject_id), (seeing, house.studies[OLD])):
        with pytest.raises(WrongPermit):
            await take_list(house.rooms.rights, permit, whose)  # type: ignore[arg-type]
    for other in ("", await house.session_of("Dr B. Specimen")):
        async with house.client(other) as stranger:
            refused = await stranger.get("/looked/list.json", follow_redirects=False)
            page = await stranger.get("/looked", follow_redirects=False)
            assert (refused.status_code, refused.status_code == 200) == (page.status_code, False)


async def test_the_viewer_opens_own_studies_only(house: House, session: str) -> None:
    async with house.client(session) as patient:
        own = await patient.get(f"/scans/{house.studies[NEW]}/open")
        assert own.headers["location"] == f"http://127.0.0.1:8081/viewer?StudyInstanceUIDs={NEW}"
        absent = "0190a5b0-0000-7000-8000-000000000000"
        answers = [
            await patient.get(f"/scans/{each}{end}") for each in (house.studies[CHEST], absent) for end in ("", "/open")
        ]
        assert {each.status_code for each in answers} == {404}
        assert len({unmasked(each.text) for each in answers}) == 1


async def test_asking_for_a_copy_starts_a_clock(house: House, session: str) -> None:
    async with house.client(session) as patient:
        page = (await patient.get("/requests/new?right=access")).text
        assert "You have our answer by" in page
        sent = await patient.post("/requests", data={"right": "access", "token": token_in(page)})
        assert sent.status_code == 303
        request = (await patient.get(sent.headers["location"])).text
        for words in ("You asked for a copy of everything", "R-20", "Received", "days left", "Identity proved"):
            assert words in request
        assert "You asked for a copy of everything" in (await patient.get("/scans")).text
        assert "a copy of everything" in (await patient.get("/requests")).text
        early = await patient.get(sent.headers["location"] + "/copy")
        assert early.status_code == 409
        assert (await patient.get(sent.headers["location"] + "/certificate")).status_code == 404
    async with house.client(await house.session_of("E. Fixture")) as office:
        console = (await office.get("/office/requests")).text
        assert "Miller" in console
        href = re.search(r'href="(/office/requests/[0-9a-f-]+)"', console)
        assert href is not None
        page = (await office.get(href[1])).text
        assert "asks for a copy of everything" in page
        assert "about you" not in page.partition('<footer class="foot">')[0]  # the office is not who asked
        assert (await office.get("/office/requests?queue=lost")).status_code == 404


async def test_erasure_shows_the_harm_before_it_happens(house: House, session: str) -> None:
    new, old = house.studies[NEW], house.studies[OLD]
    async with house.client(session) as patient:
        choose = (await patient.get("/requests/new?right=erase")).text
        assert "No law keeps it any more" in choose
        assert "checked" not in choose
        nothing = await patient.get("/requests/new?right=erase&look=1")
        assert nothing.status_code == 422
        look = (await patient.get(f"/requests/new?right=erase&look=1&study={old}&study={new}")).text
        assert "Erase 1 scan?" in look
        goes, _, stays = look.partition("<b>Stays</b>")
        assert "CT chest, old" in goes
        assert "CT head" in stays
        fields = {"right": "erase", "study-1": str(old), "study-2": str(new), "token": token_in(look)}
        unsure = await patient.post("/requests", data=fields)
        assert unsure.status_code == 422
        foreign = await patient.post(
            "/requests", data={**fields, "sure": "erase", "study-2": str(house.studies[CHEST])}
        )
        assert foreign.status_code == 422
        sent = await patient.post("/requests", data={**fields, "sure": "“Erase”"})
        assert sent.status_code == 303
        assert "You asked us to erase something" in (await patient.get(sent.headers["location"])).text
        assert (await patient.get("/requests/new?right=fly")).status_code == 404
        assert (await patient.post("/requests", data={**fields, "right": "fly"})).status_code == 422


@pytest.mark.asvs("V8.2.2")
async def test_a_request_of_somebody_else_is_not_there(house: House, session: str) -> None:
    async with house.client(session) as patient:
        for end in ("", "/copy", "/certificate"):
            assert (await patient.get(f"/requests/0190a5b0-0000-7000-8000-000000000000{end}")).status_code == 404
        assert (await patient.get("/requests/no-id")).status_code == 404


async def test_registering_matches_all_or_nothing(house: House) -> None:
    people, subject_id = house.rooms.people, house.subject_id
    target = Target("subject", subject_id, house.hospital.id, subject_id)
    made = await people.invite_subject(await permit_for(house.rooms, "invite", target), subject_id, "j@x.example")
    path = f"/invitation/{made.secret}"
    told = {"name": "Miller James", "day": "2", "month": "1", "year": "1970", "code": made.code, "email": "j@x.example"}
    async with house.client() as stranger:
        page = (await stranger.get(path)).text
        assert (await stranger.post(path, data=told)).status_code == 422, "it did not say what it showed"
        told |= shown_in(page)
        assert "Example Hospital invites you" in page
        assert "Miller" not in page
        for wrong in ({"year": "70"}, {"day": "32"}, {"month": "x"}, {"code": ""}, {"email": "j"}, {"name": ""}):
            assert (await stranger.post(path, data=told | wrong)).status_code == 422
        answers = [
            await stranger.post(path, data=told | wrong)
            for wrong in ({"name": "Miller Jane"}, {"day": "3"}, {"code": "000000" if made.code != "000000" else "1"})
        ]
        assert {each.status_code for each in answers} == {422}
        assert all("is not what Example Hospital holds" in each.text for each in answers)
        assert all("set-cookie" not in each.headers for each in answers)
        matched = await stranger.post(path, data=told)
        assert (matched.status_code, matched.headers["location"]) == (303, "/scans")
        assert (await stranger.get(path)).status_code == 410


async def test_the_page_of_systems_says_what_the_computer_lacks(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house.client(await house.session_of("D. Admin")) as admin:
        assert "cannot be filtered" not in (await admin.get("/admin/systems")).text
        monkeypatch.setattr(seccomp, "is_available", lambda: False)
        assert "System calls cannot be filtered on this processor" in (await admin.get("/admin/systems")).text


async def test_a_colleague_is_invited_by_two_and_joins_by_a_press(house: House) -> None:
    async with house.client(await house.session_of("D. Admin")) as admin:
        assert "CT1" in (await admin.get("/admin/systems")).text
        page = (await admin.get("/admin")).text
        assert "Dr B. Specimen" in page
        fields = {"name": "Dr N. Testcase", "email": "n@x.example", "role": "clinician", "token": token_in(page)}
        assert (await admin.post("/admin", data=fields | {"role": "king"})).status_code == 422
        sent = await admin.post("/admin", data=fields)
        assert (sent.status_code, sent.headers["location"]) == (303, "/admin?told=proposed")
        page = (await admin.get(sent.headers["location"])).text
        assert "It waits for a second person" in page
        assert "S. Econd can." in page, "and who can be it"
        [waits] = re.findall(r"/admissions/[0-9a-f-]{36}", page)
        assert (await admin.post(waits, data={"token": token_in(page), "act": "approve"})).status_code == 404
        twice = await admin.post("/admin", data=fields | {"email": "Drb.Specimen@x.example"})
        assert (twice.status_code, "works here already" in twice.text) == (422, True)
    async with house.client(await house.session_of("S. Econd")) as second:
        page = (await second.get("/admin")).text
        assert "An invitation needs your approval" in page
        agreed = await second.post(waits, data={"token": token_in(page), "act": "approve"})
        assert (agreed.status_code, agreed.headers["location"]) == (303, "/admin?told=approved")
        assert "n@x.example" in (await second.get("/admin")).text
    link = re.findall(r"http://\S+(/invitation/\S+)", house.mails()[-1])[0]
    async with house.client() as colleague:
        page = (await colleague.get(link)).text
        assert "Accept" in page
        joined = await colleague.post(link, data=shown_in(page))
        assert joined.headers["location"] == "/second-step"
        assert (await take_second_step(colleague)).status_code == 200
        assert "Dr N. Testcase" in (await colleague.get("/studies")).text
