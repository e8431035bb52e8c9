from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import httpx
import pytest

from tests.unit.archive.rooms import instance
from tests.unit.doors.web.conftest import CHEST, NEW, OLD, House, token_in, unmasked
from troth.archive import Archive, Query
from troth.archive.advice import BY_EITHER
from troth.doors.web.clinic import studies
from troth.doors.web.desk import Desk
from troth.main.first_start import permit_for
from troth.people import PatientKey, RegistrationImpossible
from troth.policy import Actor, Permit, Target


async def address_of(client: httpx.AsyncClient, **fields: str) -> str:
    """Where a search leads to."""
    sent = await client.post("/studies", data={"token": token_in((await client.get("/studies")).text), **fields})
    assert sent.status_code == 303, sent.text
    return sent.headers["location"]


async def searched(client: httpx.AsyncClient, **fields: str) -> str:
    """The list after a search."""
    return (await client.get(await address_of(client, **fields))).text


def names_in(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a [^>]*>([^<]+)<', page)


async def test_the_list_shows_the_studies_of_ones_own_organisation(house: House) -> None:
    async with house.client(await house.session_of("Dr B. Specimen")) as own:
        page = (await own.get("/studies")).text
        for words in ("Miller, James", "P-1", "2 Jan 1970", "CT head", "Chest, two views", "ACC-99", "3 studies"):
            assert words in page
        assert "Purpose: <b>diagnosis</b>" in page
        assert "<b>Example Hospital</b>" in page
        assert 'href="/notice?for=users#p4-1"' in page
    async with house.client(await house.session_of("Dr D. Mock")) as other:
        assert "No study matches" in (await other.get("/studies")).text


@pytest.mark.parametrize(
    ("query", "found", "missing"),
    [
        ("q=mill", "Miller, James", "Sample, Anna"),
        ("q=Sample%2C+A", "Sample, Anna", "Miller"),
        ("q=Sample+Anna", "Sample, Anna", "Miller"),
        ("q=Anna+Sample", "Sample, Anna", "Miller"),
        ("q=ANNA+SAMP", "Sample, Anna", "Miller"),
        ("q=anna", "Sample, Anna", "Miller"),
        ("q=Sample+James", "No study matches", "Miller"),
        ("q=P-9", "Sample, Anna", "Miller"),
        ("q=ACC-9", "Sample, Anna", "Miller"),
        ("q=ACC-99", "Sample, Anna", "Miller"),
        ("modality=CR", "Sample, Anna", "Miller"),
        ("q=nobody", "No study matches", "Miller"),
    ],
)
async def test_filters_work(house: House, query: str, found: str, missing: str) -> None:
    async with house.client(await house.session_of("Dr B. Specimen")) as clinician:
        page = await searched(clinician, **dict(parse_qsl(query)))
        assert found in page
        assert missing not in page


@pytest.mark.parametrize(
    "query", ["modality=XX", "days=2", "page=0", "page=x", "study=abc", "page=" + "1" * 5000, "page=%C2%B2"]
)
async def test_a_filter_that_does_not_exist_is_refused_not_ignored(house: House, query: str) -> None:
    async with house.client(await house.session_of("Dr B. Specimen")) as clinician:
        assert (await clinician.get(f"/studies?{query}")).status_code == 404


async def test_a_search_names_nobody_in_its_address_and_only_its_session_can_read_it(house: House) -> None:
    async with house.client(await house.session_of("Dr B. Specimen")) as clinician:
        there = await address_of(clinician, q="mill", modality="CT")
        assert "mill" not in there.lower()
        assert there != await address_of(clinician, q="mill", modality="CT")
        page = (await clinician.get(there)).text
        assert 'value="mill"' in page
        links = re.findall(r'href="(/studies\?[^"]+)"', page)
        assert links
        assert all("mill" not in link.lower() for link in links)
        assert any("modality=MR" in link and "&amp;" in link for link in links), "a filter keeps the search"
    async with house.client(await house.session_of("Dr B. Specimen")) as later:
        assert 'value="mill"' not in (await later.get(there)).text, "the words ended with their session"
        for altered in ("/studies?s=nonsense", there, there.replace("s=", "s=0")):
            ended = await later.get(altered)
            assert (ended.status_code, "This search has ended. Type it again" in ended.text) == (422, True)
            assert "/studies/" not in ended.text, "not the whole list instead"
        assert (await later.post("/studies", data={"q": "mill"})).status_code == 403


async def test_the_list_is_put_in_order_and_counted(house: House) -> None:
    async with house.client(await house.session_of("Dr B. Specimen")) as clinician:
        pages = {
            order: (await clinician.get(f"/studies?order={order}")).text
            for order in ("patient", "-patient", "images", "-done", "done")
        }
        ascending = names_in(pages["patient"])
        assert len(ascending) == 3
        assert ascending == sorted(ascending)
        assert names_in(pages["-patient"]) == ascending[::-1]
        assert names_in(pages["-done"]) == names_in(pages["done"])[::-1]
        for order, page in pages.items():
            assert ">3 studies<" in page, "counted whatever the order"
            assert page.count('aria-sort="descending"' if order.startswith("-") else 'aria-sort="ascending"') == 1
        assert (await clinician.get("/studies?order=size")).status_code == 404


async def test_dates_from_and_to_are_both_in(house: House) -> None:
    async with house.client(await house.session_of("Dr B. Specimen")) as clinician:
        every = (await clinician.get("/studies?order=done")).text
        days = re.findall(r'<td data-l="Done">(\d+ \w{3} \d{4})</td></tr>', every)
        first = datetime.strptime(days[0], "%d %b %Y").date().isoformat()  # noqa: DTZ007 - a day
        page = await searched(clinician, **{"from": first, "to": first, "days": "7"})
        assert 1 <= len(names_in(page)) == days.count(days[0]) < 3
        assert f"{days.count(days[0])} stud" in page
        assert f'value="{first}"' in page
        for wrong in ("from=2026-11-02&to=2026-11-01", "from=1.11.2026", "to=x"):
            answer = await clinician.get(f"/studies?{wrong}")
            assert answer.status_code == 422
            assert "There is a problem" in answer.text
            assert names_in(answer.text) == []


async def test_pictures_are_shown_only_when_asked_for(house: House) -> None:
    async with house.client(await house.session_of("Dr B. Specimen")) as clinician:
        path = f"/studies?study={house.studies[NEW]}"
        plain, shown = (await clinician.get(path)).text, (await clinician.get(f"{path}&film=1")).text
        assert "/rendered" not in plain
        assert "Show pictures" in plain
        [src, *_] = re.findall(r'<img src="([^"]*/rendered[^"]*)"', shown)
        assert f"/studies/{NEW}/" in src
        assert "Hide pictures" in shown
        assert "film=1" in re.findall(r'href="(/studies\?[^"]*order=[^"]*)"', shown)[0], "the next pick shows its own"


async def test_the_preview_opens_nothing_and_says_what_opening_writes(house: House) -> None:
    async with house.client(await house.session_of("Dr B. Specimen")) as clinician:
        page = (await clinician.get(f"/studies?study={house.studies[NEW]}")).text
        assert "What opening this writes" in page
        assert "Invite the patient" in page
        assert "1 you may see" in page
        opened = await clinician.get(f"/studies/{house.studies[NEW]}/open")
        assert opened.headers["location"] == f"http://127.0.0.1:8081/viewer?StudyInstanceUIDs={NEW}"
    async with house.rooms.database.transaction(house.hospital) as connection:
        assert await house.rooms.ledger.latest(connection, kinds=["archive:study:opened"]) == []


@pytest.mark.asvs("V8.2.2")
async def test_not_yours_and_not_there_are_one_answer(house: House) -> None:
    async with house.client(await house.session_of("Dr D. Mock")) as stranger:
        pages = [
            (await stranger.get(f"/studies/{study_id}/{act}"))
            for act in ("open", "invite")
            for study_id in (house.studies[NEW], "0190a5b0-0000-7000-8000-000000000000", "no-id")
        ]
        assert {page.status_code for page in pages} == {404}
        assert len({unmasked(page.text) for page in pages}) == 1


async def test_inviting_mails_a_link_and_shows_the_code_once(house: House) -> None:
    path = f"/studies/{house.studies[CHEST]}/invite"
    async with house.client(await house.session_of("Dr B. Specimen")) as clinician:
        page = (await clinician.get(path)).text
        assert "Sample, Anna" in page
        assert (await clinician.post(path, data={"email": "a@x.example"})).status_code == 403
        wrong = await clinician.post(path, data={"email": "a", "token": token_in(page)})
        assert wrong.status_code == 422
        before = len(house.mails())
        made = await clinician.post(path, data={"email": "a@x.example", "token": token_in(page)})
        assert (made.status_code, made.headers["location"]) == (303, f"{path}?told=sent")
        codes = [re.findall(r'id="code">([0-9 ]+)<', (await clinician.get(f"{path}?told=sent")).text) for _ in range(3)]
        assert len(codes[0]) == 1
        assert codes == [codes[0]] * 3, "loading it again invites nobody again"
        assert len(house.mails()) == before + 1
        assert "/invitation/" in house.mails()[-1]
        assert 'id="code"' not in (await clinician.get(path)).text


async def test_who_has_no_whole_birth_date_is_not_invited_in_vain(house: House) -> None:
    path = f"/studies/{await unborn(house)}/invite"
    async with house.client(await house.session_of("Dr B. Specimen")) as clinician:
        page = (await clinician.get(path)).text
        assert "This patient cannot be invited yet" in page
        assert "<form" not in page.partition("<main")[2]
        before = len(house.mails())
        token = token_in((await clinician.get(f"/studies/{house.studies[CHEST]}/invite")).text)
        assert (
            "cannot be invited yet" in (await clinician.post(path, data={"email": "a@x.example", "token": token})).text
        )
        assert len(house.mails()) == before
    with pytest.raises(RegistrationImpossible):
        subject = await house.rooms.people.find_subject(house.hospital, PatientKey("P-YEAR"))
        assert subject is not None
        target = Target("subject", subject.id, house.hospital.id, subject.id)
        await house.rooms.people.invite_subject(
            await permit_for(house.rooms, "invite", target), subject.id, "a@x.example"
        )


async def unborn(house: House) -> UUID:
    """A study of a patient of whom the year of birth is held only, as old systems send it."""
    peer = await house.rooms.people.actor_of_peer("CT1", "TROTH", "127.0.0.1")
    assert peer is not None
    permit = await house.rooms.policy.require(
        peer, "store", Target("organisation", house.hospital.id, house.hospital.id), "care"
    )
    receiver = house.rooms.archive.receiver(None)
    made = instance(StudyInstanceUID="1.2.826.77", PatientID="P-YEAR", PatientName="Year^Ned", PatientBirthDate="")
    receiver.feed(made)
    await house.rooms.archive.store(permit, [receiver.finish()])
    target = await house.rooms.archive.target(peer, "1.2.826.77")
    assert target.id is not None
    return target.id


async def test_old_studies_are_found_by_no_recent_filter(house: House) -> None:
    async with house.client(await house.session_of("Dr B. Specimen")) as clinician:
        assert f"study={house.studies[OLD]}" not in (await clinician.get("/studies?days=7")).text
        assert f"study={house.studies[OLD]}" in (await clinician.get("/studies")).text


async def test_pages_about_one_patient_say_who_by_name_birth_date_and_number(house: House) -> None:
    study = house.studies[CHEST]
    who = '<b>Sample, Anna</b> · born 4 Mar 1980 · <span class="mono">P-9</span>'
    async with house.client(await house.session_of("Dr B. Specimen")) as doctor:
        for page in ("documents", "invite"):
            assert who in (await doctor.get(f"/studies/{study}/{page}")).text, page
        empty = (await doctor.get(f"/studies/{study}/documents")).text
        assert "No report or other file has arrived for this scan." in empty
    async with house.client(await house.session_of_patient()) as patient:
        own = (await patient.get(f"/scans/{house.studies[NEW]}/documents")).text
        assert "No report or other file" in own
        assert "· born" not in own, "who reads their own page knows who they are"


async def test_a_search_by_words_opens_no_more_than_its_page_needs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, really_ask = list[int](), Archive.query

    async def ask(archive: Archive, permit: Permit, query: Query) -> Any:
        limits.append(query.limit)
        return await really_ask(archive, permit, query)

    async with house.client(await house.session_of("Dr B. Specimen")) as clinician:
        first = await address_of(clinician, q="miller", days="")
        whole = (await clinician.get(first)).text
        assert ">2 studies<" in whole
        days = re.findall(r'data-l="Done">([^<]+)<', whole)
        monkeypatch.setattr(studies, "PAGE", 1)
        monkeypatch.setattr(Archive, "query", ask)
        pages = [(await clinician.get(f"{first}&page={number}")).text for number in (1, 2)]
        assert [re.findall(r'data-l="Done">([^<]+)<', page) for page in pages] == [[days[0]], [days[1]]]
        assert ("page=2" in pages[0], "page=3" in pages[1]) == (True, False)
        assert "more than 1 study" in pages[0]
        assert max(limits) == 2, "each search gives what can stand on the page, and no more"
        monkeypatch.setattr(studies, "MOST_SORTED", 1)
        assert names_in((await clinician.get(f"{first}&page=1")).text) == ["Miller, James"]
        refused = (await clinician.get(f"{first}&page=2")).text
        assert "More than 1 studies match" in refused, "of what was not looked through no page is made up"


async def test_what_programs_made_of_a_study_is_decided_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(house.rooms)
    actor = await house.rooms.people.actor_of_session(await house.session_of("Dr B. Specimen"))
    assert actor is not None
    study, _ = await desk.study(actor, house.studies[NEW], "query", "diagnosis")
    decided, really_decide = list[str](), desk.permit

    async def permit(who: Actor, action: str, target: Target, purpose: str) -> Permit:
        decided.append(action)
        return await really_decide(who, action, target, purpose)

    monkeypatch.setattr(desk, "permit", permit)
    assert await desk.advice_of(actor, replace(study, sop_classes=tuple(BY_EITHER)), "diagnosis") == ""
    assert decided == ["query"]
    assert await desk.advice_of(actor, replace(study, sop_classes=()), "diagnosis") == ""
    assert decided == ["query"], "where nothing can be advice nothing is asked"
