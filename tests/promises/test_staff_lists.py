"""Lists that hospitals give of their staff, and how we know what we hold: given, observed, or concluded."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import timedelta

import pytest

from tests.common.deployment import Deployment, OpenDeployment, Person
from tests.promises.test_changes import Mailbox, mailbox
from tests.promises.test_sources import offer, take_in
from troth.kit import clock

__all__ = ["mailbox"]
STAFF = {"source": "staff_list", "activity": "service", "supplier": "Clinique Factice"}


@pytest.fixture(scope="module")
async def maker(open_deployment: OpenDeployment, mailbox: Mailbox) -> Deployment:
    return await open_deployment("equipment-maker", smtp=f"127.0.0.1:{mailbox.port}")


async def ask(person: Person, text: str = "The printer eats film.") -> int:
    """Ask for support; the HTTP status."""
    token = re.search(r'name="token" value="([0-9a-f]+)"', (await person.web.get("/account")).text)
    assert token is not None
    return (await person.web.post("/account/support", data={"token": token[1], "text": text})).status_code


@pytest.mark.promise("EM-04")
async def test_a_staff_list_links_people_and_grants_support_while_they_stand_on_it(
    maker: Deployment, mailbox: Mailbox
) -> None:
    admin, doctor, other = [await maker.staff(role) for role in ("admin", "clinician", "clinician")]
    elsewhere = await maker.staff("clinician", maker.second)
    assert [await ask(each) for each in (doctor, other)] == [404, 404]
    assert "has not listed you for support" in (await doctor.web.get("/account")).text
    assert (await offer(admin, "email\na@x.example\n", **{**STAFF, "activity": "offers"})).status_code in (303, 422)

    everybody = [doctor.email, "later@x.example", "gone@x.example", elsewhere.email]
    path = await take_in(maker, admin, "email,name\n" + "".join(f"{each},N\n" for each in everybody), **STAFF)
    assert "Taken in" in (await admin.web.get(path)).text
    assert await ask(doctor) == 303
    assert await ask(other) == 404, "who is not on the list has no support"
    assert await ask(elsewhere) == 404, "a list speaks for the hospital that gave it, and for no other"
    account = (await doctor.web.get("/account")).text
    assert "a list of people (staff list), line 2" in account
    assert "Clinique Factice" in account
    linked = await maker.ledgered(kind="people:staff:linked", house=maker.first)
    assert len(linked) == 1
    assert (linked[0].payload or {})["source"] == "staff_list"
    [asked] = await maker.ledgered(kind="people:support:asked", actor=doctor.actor.id)
    assert "4.2" in asked.clauses
    refused = await maker.ledgered(kind="policy:access:refused", actor=other.actor.id)
    assert refused[-1].purpose == "service"
    [question] = [text for _, title, text, _ in mailbox.envelopes if title == "A question to support"]
    assert "The printer eats film." in question
    assert not [1 for whom, title, *_ in mailbox.envelopes if "address from" in title], "an employer told, § 3.2"

    permit = maker.set_up_permit("administer", doctor_target(maker))
    user = await maker.rooms.people.add_user(permit, maker.first.id, "later@x.example", "L. Ater", "clinician")
    late = maker._person(doctor.actor, user=user, email=user.email)
    await maker.sign_in_again(late)
    assert await ask(late) == 303, "who joins later and stands on the list is linked when they join"

    again = await offer(admin, "email\nlater@x.example\n", **STAFF)
    page = (await admin.web.get(again.headers["location"])).text
    assert "<b>3</b> on the list before and not on this one" in page
    assert await ask(doctor) == 303, "a preview ends nothing"
    await take_in(maker, admin, "email\nlater@x.example\n", **STAFF)
    assert await ask(doctor) == 404
    assert await ask(late) == 303
    last = (await maker.ledgered(kind="people:list:taken", house=maker.first))[-1]
    assert last.counts["ended"] == 3
    ended = await maker.ledgered(kind="people:staff:ended", house=maker.first)
    assert len(ended) == 3, "who drops off a list leaves an entry each"
    assert all(each.clauses and each.actor_kind == "system" for each in ended)


def doctor_target(maker: Deployment):  # type: ignore[no-untyped-def]
    from troth.policy import Target

    return Target("organisation", maker.first.id, maker.first.id)


@pytest.mark.promise("EM-05")
async def test_the_copy_of_a_professional_keeps_apart_what_was_given_observed_and_concluded(maker: Deployment) -> None:
    admin, doctor = await maker.staff("admin"), await maker.staff("clinician", name="Dr D. Octor")
    before = (await doctor.web.get("/account/copy.json")).json()
    assert before["inferred"] == [], "nothing is concluded of somebody on no list"
    assert {each["what"] for each in before["provided"]} >= {"Name", "E-mail", "Role"}
    assert before["observed"]

    await take_in(maker, admin, f"email,title\n{doctor.email},Radiographer\n", **STAFF)
    copy = (await doctor.web.get("/account/copy.json")).json()
    given = {(each["what"], each["value"]): each["source"] for each in copy["provided"]}
    assert given[("Title", "Radiographer")]["who"] == "Clinique Factice"
    assert given[("Title", "Radiographer")]["clause"] == "3.2"
    concluded = {each["what"]: each for each in copy["inferred"]}
    assert set(concluded) == {"Who you are", "What you may have"}
    for each in concluded.values():
        assert each["is_inferred"] is True
        assert "the address on the list" in each["concluded_from"]
        assert each["source"]["origin"] == "device"
    assert not any(each.get("is_inferred") for each in (*copy["provided"], *copy["observed"]))
    assert "You signed in" in {each["what"] for each in copy["observed"]}
    assert all(each["source"]["how"] for group in ("provided", "observed", "inferred") for each in copy[group])
    page = (await doctor.web.get("/account")).text
    for heading in ("What was given to us", "What was observed", "What was concluded from the rest"):
        assert heading in page
    assert "Concluded, because the address on the list" in page
    opened = await maker.ledgered(kind="people:account:opened", actor=doctor.actor.id)
    assert len(opened) == 3


@pytest.mark.promise("EM-05")
async def test_the_copy_of_a_patient_marks_what_was_concluded(maker: Deployment) -> None:
    held = await maker.study()
    patient = await maker.patient(held)
    content, page = await copied(maker, patient)
    groups = content["how_we_know"]
    assert {each["what"] for each in groups["provided"]} >= {"Name", "Patient number", "Birth date", "Scan"}
    assert any("who looked" in each["what"].lower() for each in groups["observed"])
    concluded = {each["what"]: each for each in groups["inferred"]}
    assert any("kept until" in what for what in concluded)
    assert any("that it is of you" in what for what in concluded)
    account = concluded["That the account is yours"]
    assert "birth date" in account["concluded_from"]
    assert all(each["is_inferred"] and each["concluded_from"] for each in concluded.values())
    assert "What was concluded from the rest" in page


class TestImagingHost:
    """IH-05: an access copy names each item's source."""

    @pytest.fixture(scope="class")
    async def host(self, open_deployment: OpenDeployment) -> Deployment:
        return await open_deployment("imaging-host")

    @pytest.mark.promise("IH-05")
    async def test_an_access_copy_names_each_items_source_and_how_it_came(self, host: Deployment) -> None:
        held = await host.study()
        patient = await host.patient(held)
        content, page = await copied(host, patient)
        [study] = content["studies"]
        assert study["source"]["origin"] == "controller"
        assert study["source"]["how"].startswith("DICOMweb (STOW-RS)")
        assert host.first.name in study["source"]["who"]
        assert study["source"]["clause"] == "3.1"
        assert content["you"]["source"]["clause"] == "3.1"
        [account] = content["your_accounts"]
        assert (account["source"]["origin"], account["source"]["clause"]) == ("subject", "3.2")
        assert all(each["source"]["origin"] == "subject" for each in content["your_requests"])
        assert len(content["accepted"]) == 2
        assert all(each["source"]["how"] == "the form of the invitation" for each in content["accepted"])
        assert content["access_list"]["source"]["clause"] == "3.3"
        for group in content["how_we_know"].values():
            for each in group:
                assert each["source"]["origin"] in ("subject", "controller", "device", "third_party")
                assert each["source"]["who"]
                assert each["source"]["how"]
        assert "by DICOMweb (STOW-RS), with a token that the organisation issued (§ 3.1)" in page
        stored = await host.ledgered(kind="archive:instances:stored", subject=held.subject_id)
        assert {(each.payload or {})["came_by"] for each in stored} == {"STOW-RS"}


async def copied(place: Deployment, patient: Person) -> tuple[dict, str]:  # type: ignore[type-arg]
    """Ask for a copy through the pages, and open it: HELD.JSON and INDEX.HTM."""
    answer = await patient.post("/requests", {"right": "access", "sure": "yes"}, page="/requests/new?right=access")
    assert answer.status_code == 303, answer.text
    path = answer.headers["location"]
    await place.fulfil()
    with clock.moved(timedelta(seconds=1)):
        content = (await patient.web.get(f"{path}/copy")).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return json.loads(archive.read("HELD.JSON")), archive.read("INDEX.HTM").decode()
