"""What a program may decide about somebody, and what an objection to advertising ends: through the pages."""

from __future__ import annotations

import asyncio
import re
from datetime import date, timedelta
from typing import Any

import pytest

from tests.common.deployment import Deployment, Held, OpenDeployment, Person, place_worker
from tests.common.objects import SEGMENTATION, Made
from troth.dicom import encode, specimens
from troth.kit import clock, ids
from troth.lifecycle import Overdues, UnusedAccounts
from troth.people import UserNotFound, message_to
from troth.policy import PermitDenied, Target

JSON = {"Accept": "application/dicom+json"}
XML = {"Accept": 'multipart/related; type="application/dicom+xml"'}


@pytest.fixture(scope="module")
async def maker(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("equipment-maker")


@pytest.fixture(scope="module")
async def host(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


async def look(place: Deployment) -> None:
    """What the worker does once a day: it looks who has not used an account."""
    worker, rooms = await place.worker(), place.rooms
    engine: Any = worker
    worker.made(
        UnusedAccounts, lambda: UnusedAccounts(rooms.choices, rooms.people, rooms.notices, rooms.policy, engine)
    )
    await worker.start("lifecycle.look_for_unused", f"unused:{ids.uuid7()}", str(place.first.id))
    await worker.rest()


async def is_member(place: Deployment, person: Person) -> bool:
    assert person.user is not None
    inside = place.set_up_permit("administer", Target("organisation", place.first.id, place.first.id))
    try:
        return (await place.rooms.people.user(inside, person.user.id)).is_active
    except UserNotFound:
        return False


async def waits(office: Person, name: str) -> str:
    """Where the form about somebody leads, in the queue of the office; empty where nothing waits."""
    page = (await office.web.get("/office/decisions")).text
    rows = [row for row in re.findall(r'<section class="slip.*?</section>', page, re.DOTALL) if name in row]
    found = re.findall(r'action="(/office/decisions/proposals/[^"]+)"', "".join(rows))
    return found[0] if found else ""


@pytest.mark.promise("EM-31", shows="closure")
async def test_an_account_that_nobody_used_is_closed_by_a_person_and_by_no_program(maker: Deployment) -> None:
    gone, kept = await maker.staff("clinician", name="G. Gone"), await maker.staff("clinician", name="K. Kept")
    office = await maker.staff("office")
    assert gone.user is not None
    await look(maker)
    assert not await waits(office, "G. Gone"), "two years have not passed"
    mailed = len(maker.mails())
    with clock.moved(timedelta(days=731)):
        await maker.sign_in_again(office)
        await maker.sign_in_again(kept)
        assert (await kept.web.get("/choices")).status_code == 200
        for _ in range(2):  # the same waits once
            await look(maker)
        assert await is_member(maker, gone), "nothing happens before a person decides"

        refused = await maker.ledgered(kind="policy:access:refused", actor=None)
        assert [event.clauses for event in refused if event.role == "worker"][-1] == ("44.8",)
        queued = await maker.ledgered(kind="people:proposal:queued", subject=gone.user.id)
        assert len(queued) == 1
        assert "two years (§ 8.7)" in (queued[0].payload or {})["ground"]
        assert clock.today() - timedelta(days=2) <= queued[0].clear.dates["due"] <= clock.today()
        assert not await maker.ledgered(kind="people:proposal:queued", subject=kept.user.id if kept.user else None)
        assert any("A program proposes to close your account" in text for text in maker.mails()[mailed:])

        path = await waits(office, "G. Gone")
        assert not await waits(office, "K. Kept")
        page = "/office/decisions"
        assert (await office.post(path, {"outcome": "yes", "reason": ""}, page=page)).status_code == 422
        assert await is_member(maker, gone)
        decided = {"outcome": "yes", "reason": "He left the hospital in spring"}
        first, second = await asyncio.gather(
            office.post(path, decided, page=page), office.post(path, decided, page=page)
        )
        assert sorted((first.status_code, second.status_code)) == [303, 422], "decided once"
        assert not await is_member(maker, gone)
        [closed] = await maker.ledgered(kind="people:account:closed", subject=gone.user.id)
        assert (closed.actor_id, closed.clauses[0]) == (office.actor.id, "4.1")
        [told] = await maker.ledgered(kind="people:proposal:decided", subject=gone.user.id)
        assert (told.payload or {})["reason"] == "He left the hospital in spring"
        assert "write to" in maker.mails()[-1]
        assert "a person looks at it again" in maker.mails()[-1]


@pytest.mark.promise("EM-31", shows="closure")
async def test_an_account_that_is_put_before_nobody_stands_past_its_day(maker: Deployment) -> None:
    gone, office, rooms = await maker.staff("clinician", name="P. Past"), await maker.staff("office"), maker.rooms
    overdues = Overdues(rooms.database, rooms.people, rooms.contacts, rooms.choices, rooms.notices, rooms.lifecycle)

    async def past() -> int:
        [rule] = [each for each in await overdues.found() if (each.clause, each.activity) == ("8.7", "")]
        return rule.past

    assert gone.user is not None
    assert await past() == 0
    with clock.moved(timedelta(days=733)):
        await maker.sign_in_again(office)
        before, queued = await past(), len(await maker.ledgered(kind="people:proposal:queued"))
        await look(maker)
        put = len(await maker.ledgered(kind="people:proposal:queued")) - queued
        assert before - await past() == put > 0
        path = await waits(office, "P. Past")
        dismissed = {"outcome": "no", "reason": "He is on leave"}
        assert (await office.post(path, dismissed, page="/office/decisions")).status_code == 303
        assert before - await past() == put, "a person has decided, and the next look asks again"
    with clock.moved(timedelta(days=735)):
        assert before - await past() == put - 1


@pytest.mark.promise("EM-31", shows="closure")
async def test_its_sessions_end_with_the_account(maker: Deployment) -> None:
    gone, office = await maker.staff("clinician", name="S. Session"), await maker.staff("office")
    assert gone.user is not None
    assert (await gone.web.get("/choices")).status_code == 200
    worker = place_worker(maker.first)
    named = (("decision", "account_closure"),)
    target = Target("account", gone.user.id, maker.first.id, gone.user.id, attributes=named)
    permit = await maker.rooms.policy.require(worker, "propose", target, "administration")
    await maker.rooms.choices.propose(permit, gone.user.id, "account_closure", "A test of the queue.")
    path = await waits(office, "S. Session")
    answer = await office.post(path, {"outcome": "yes", "reason": "It is a test"}, page="/office/decisions")
    assert answer.status_code == 303
    assert (await gone.web.get("/choices")).status_code == 303, "signed out, led to the sign-in"


@pytest.mark.promise("EM-31", shows="closure")
async def test_who_uses_the_account_keeps_it_and_a_person_may_say_no(maker: Deployment) -> None:
    back, spared = await maker.staff("clinician", name="B. Back"), await maker.staff("clinician", name="P. Spared")
    office = await maker.staff("office")
    with clock.moved(timedelta(days=735)):
        await maker.sign_in_again(office)
        await look(maker)
        assert await waits(office, "B. Back")
        await maker.sign_in_again(back)
        await look(maker)
        assert not await waits(office, "B. Back"), "the ground has gone"
        path = await waits(office, "P. Spared")
        fields = {"outcome": "no", "reason": "She is on leave"}
        assert (await office.post(path, fields, page="/office/decisions")).status_code == 303
        assert await is_member(maker, spared)
        assert "decided not to close your account" in maker.mails()[-1]


@pytest.mark.promise("EM-31", shows="closure")
async def test_no_program_and_no_other_house_decides(maker: Deployment) -> None:
    one = await maker.staff("clinician")
    assert one.user is not None
    named = (("decision", "account_closure"),)
    target = Target("account", one.user.id, maker.first.id, one.user.id, attributes=named)
    for who in (place_worker(maker.first), (await maker.bearer("office", "administration")).actor):
        with pytest.raises(PermitDenied):
            await maker.rooms.policy.require(who, "decide_about", target, "administration")
    elsewhere = await maker.staff("office", maker.second)
    with pytest.raises(PermitDenied):
        await maker.rooms.policy.require(elsewhere.actor, "decide_about", target, "administration")
    decides = await maker.rooms.policy.require(
        (await maker.staff("office")).actor, "decide_about", target, "administration"
    )
    assert decides.clauses[0] == "4.1"


def report(observer: str, *, is_verified: bool = False) -> Made:
    """A structured report that a device or a person wrote."""
    made = Made(sop_class="1.2.840.10008.5.1.4.1.1.88.22", has_pixels=False).text(0x00080060, "CS", "SR")
    made.raw(0x0040A078, encode.sequence(0x0040A078, [encode.text(0x0040A084, "CS", observer)]))
    if is_verified:
        made.text(0x0040A493, "CS", "VERIFIED")
        made.raw(0x0040A073, encode.sequence(0x0040A073, [encode.text(0x0040A030, "DT", "20240105101010")]))
    return made


def segmentation(algorithm: str) -> Made:
    made = Made(sop_class=SEGMENTATION).text(0x00080060, "CS", "SEG")
    return made.raw(0x00620002, encode.sequence(0x00620002, [encode.text(0x00620008, "CS", algorithm)]))


def capture(conversion: str, operator: str = "") -> Made:
    made = Made().text(0x00080064, "CS", conversion)
    return made.text(0x00081070, "PN", operator) if operator else made


FOUND = {
    "mammography CAD": lambda: Made(sop_class="1.2.840.10008.5.1.4.1.1.88.50", has_pixels=False).text(
        0x00080060, "CS", "SR"
    ),
    "structured report": lambda: report("DEV"),
    "segmentation": lambda: segmentation("AUTOMATIC"),
    "capture": lambda: capture("WSD"),
    "capture, drawn": lambda: capture("SYN"),
}
"""What a program makes, by what the pages call it."""

BY_PEOPLE = {
    "structured report": lambda: report("PSN"),
    "structured report, verified": lambda: report("DEV", is_verified=True),
    "segmentation": lambda: segmentation("MANUAL"),
    "segmentation, with help": lambda: segmentation("SEMIAUTOMATIC"),
    "capture": lambda: capture("SD"),
    "capture, named": lambda: capture("WSD", "Operator^Olive"),
}
"""The same kinds, for which a person stands."""


@pytest.mark.promise("EM-31", shows="finding")
@pytest.mark.parametrize("which", FOUND)
async def test_what_a_program_made_is_shown_as_advice_on_every_door(maker: Deployment, which: str) -> None:
    shown = await doors_of(maker, FOUND[which]().text(0x0008103E, "LO", "Lung nodules"))
    name = which.split(",")[0]
    assert f"{name}; no result, a person reports" in shown["clinic"]
    assert f"({name}). It is advice for your doctors" in shown["patient"]
    assert ("Advice of a program, no result: Lung nodules" in shown["pictures"]) is (name == "capture")
    for door in ("metadata", "metadata of an instance", "metadata at the viewer"):
        told = shown[door]
        assert told["0008103E"]["Value"] == ["Advice, no result: Lung nodules"], door
        assert told["00990010"]["Value"] == ["TROTH"], door
        assert told["00991001"]["Value"] == [f"{name}; no result, a person reports"], door
        assert list(told) == sorted(told)
    assert shown["search"]["00991001"]["Value"] == [name]
    assert f">{name}; no result, a person reports<" in shown["metadata in XML"]
    assert shown["bytes"], "what was sent is given back unchanged"


@pytest.mark.promise("EM-31", shows="finding")
@pytest.mark.parametrize("which", BY_PEOPLE)
async def test_what_a_person_stands_for_is_no_advice(maker: Deployment, which: str) -> None:
    shown = await doors_of(maker, BY_PEOPLE[which]().text(0x0008103E, "LO", "Lung nodules"))
    assert "Advice" not in shown["clinic"] + shown["pictures"]
    assert "It is advice" not in shown["patient"]
    for door in ("metadata", "metadata of an instance", "metadata at the viewer", "search"):
        assert "00991001" not in shown[door], door
    assert shown["metadata"]["0008103E"]["Value"] == ["Lung nodules"]
    assert shown["bytes"]


async def doors_of(maker: Deployment, made: Made) -> dict[str, Any]:
    """What each door tells of an instance."""
    made.text(0x00100010, "PN", "Specimen^Advised")
    answer = await maker.stow([made.file])
    assert answer.status_code == 200, answer.text
    target = await maker.rooms.archive.target(place_worker(maker.first), made.study)
    assert target.id is not None
    assert target.subject_id is not None
    study = specimens.Study(
        "", "Specimen^Advised", date(1970, 1, 2), "O", date(2024, 1, 5), "A1", "", study_uid=made.study
    )
    held = Held(target.id, made.study, target.subject_id, maker.first, study)
    doctor, patient = await maker.staff("clinician"), await maker.patient(held)
    of_study, of_one = f"/dicomweb/studies/{made.study}/metadata", f"/dicomweb{made.path}"
    pictures = await patient.web.get(f"/scans/{target.id}/images")
    given = await doctor.web.get(of_one)
    return {
        "clinic": (await doctor.web.get(f"/studies?study={target.id}")).text,
        "patient": (await patient.web.get(f"/scans/{target.id}")).text,
        "pictures": pictures.text if pictures.status_code == 200 else "",
        "metadata": (await doctor.web.get(of_study, headers=JSON)).json()[0],
        "metadata of an instance": (await doctor.web.get(f"{of_one}/metadata", headers=JSON)).json()[0],
        "metadata at the viewer": (await doctor.viewer.get(of_study, headers=JSON)).json()[0],
        "metadata in XML": (await doctor.web.get(of_study, headers=XML)).text,
        "search": (await doctor.web.get(f"/dicomweb/studies/{made.study}/instances", headers=JSON)).json()[0],
        "bytes": given.content.endswith(made.data_set) or made.data_set in given.content,
    }


async def test_an_objection_to_advertising_ends_it_whatever_it_rests_on(host: Deployment) -> None:
    """GDPR Art. 21(2) and (3): what rests on a consent too, and nobody weighs it."""
    doctor, office = await host.staff("clinician"), await host.staff("office")
    assert doctor.user is not None
    to = message_to(host.first.id, doctor.user.id)
    await doctor.post("/choices", {"act": "yes", "about": "news"})
    permit = await host.rooms.policy.require(office.actor, "send_message", to, "newsletter")
    assert await host.rooms.choices.send_message(permit, doctor.user.id, "News", "Something new.") == 1
    assert (await doctor.post("/choices", {"act": "object", "about": "newsletter"})).status_code == 303
    shown = (await doctor.web.get("/choices")).text
    assert "nobody weighs it" in shown
    assert "Stopped for you" in shown
    fields = {"person": doctor.user.id, "purpose": "newsletter", "title": "News", "text": "Once more."}
    assert (await office.post("/office/messages", fields)).status_code in (403, 404)
    refused = await host.ledgered(kind="policy:access:refused", subject=None, actor=office.actor.id)
    assert "10.4" in refused[-1].clauses
    await doctor.post("/choices", {"act": "stand_back", "about": "newsletter"})
    assert (await office.post("/office/messages", fields)).status_code == 303
