"""Who may see a patient's scans: role, organisation, purpose and assignment; and what a court has to show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import pytest

from tests.common.deployment import Deployment, Held, OpenDeployment, Person
from tests.common.outside import office_of
from tests.common.receiver import Receiver, receiving
from troth.kit import clock
from troth.policy import PermitDenied, Target

JSON = {"Accept": "application/dicom+json"}


@pytest.fixture(scope="module")
async def host(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


@pytest.fixture(scope="module")
async def admin(host: Deployment) -> Person:
    return await host.staff("admin")


def day(days: int) -> str:
    return (clock.today() + timedelta(days=days)).isoformat()


async def assigned(admin: Person, doctor: Person, held: Held | None, *, days: int = 30) -> None:
    """By the page of the administrator."""
    assert doctor.user is not None
    fields = {"person": str(doctor.user.id), "until": day(days), "reason": "On the ward that treats her", "issuer": ""}
    number = held.made.patient_id if held is not None else ""
    answer = await admin.post("/admin/care", {**fields, "patient": number})
    assert answer.status_code == 303, answer.text


async def ended(admin: Person, doctor: Person) -> None:
    """Every assignment of one doctor, by the page of the administrator."""
    assert doctor.user is not None
    page = (await admin.web.get("/admin/care")).text
    for row in re.findall(r"<tr.*?</tr>", page, re.DOTALL):
        if doctor.user.name in row:
            [path] = re.findall(r'action="(/admin/care/[^"]+/end)"', row)
            answer = await admin.post(path, {"reason": "Moved to another ward"}, page="/admin/care")
            assert answer.status_code == 303


async def listed(doctor: Person) -> set[str]:
    """What the doctor finds, by QIDO-RS and by the pages: the same."""
    answer = await doctor.web.get("/dicomweb/studies", params={"limit": "200"}, headers=JSON)
    assert answer.status_code in (200, 204)
    found = {study["0020000D"]["Value"][0] for study in answer.json()} if answer.content else set()
    page = (await doctor.web.get("/studies")).text
    assert page.count('<th scope="row">') == len(found)
    return found


async def opened(doctor: Person, held: Held) -> int:
    return (await doctor.viewer.get(f"/dicomweb/studies/{held.uid}/metadata", headers=JSON)).status_code


@pytest.mark.promise("IH-06", shows="assignment")
async def test_role_alone_opens_and_finds_nothing_and_an_assignment_does(host: Deployment, admin: Person) -> None:
    hers, others = await host.study(), await host.study()
    doctor, colleague = await host.staff("clinician"), await host.staff("clinician")

    assert await listed(doctor) == set()
    assert await opened(doctor, hers) == 404
    assert (await doctor.web.get(f"/studies/{hers.id}/open")).status_code == 404
    assert (await doctor.web.get(f"/studies?study={hers.id}")).status_code == 404
    number = await doctor.web.get("/dicomweb/studies", params={"PatientID": hers.made.patient_id}, headers=JSON)
    assert number.status_code == 204
    refused = await host.ledgered(kind="policy:access:refused", subject=hers.subject_id)
    assert {event.outcome for event in refused} == {"refused"}

    await assigned(admin, doctor, hers)
    assert await listed(doctor) == {hers.uid}
    assert await opened(doctor, hers) == 200
    assert await opened(doctor, others) == 404
    assert await opened(colleague, hers) == 404
    [told] = await host.ledgered(kind="people:assignment:made", subject=hers.subject_id)
    assert told.actor_id == admin.actor.id
    assert told.clauses[0] == "4.4"
    assert (told.payload or {})["reason"] == "On the ward that treats her"
    [seen] = await host.ledgered(kind="archive:study:opened", subject=hers.subject_id)
    assert seen.clauses[0] == "4.1"


@pytest.mark.promise("IH-06", shows="each")
@pytest.mark.parametrize(
    ("role", "treats"), [("clinician", True), ("referrer", True), ("office", False), ("admin", False)]
)
async def test_no_role_opens_or_finds_a_scan_without_an_assignment(
    host: Deployment, admin: Person, role: str, treats: bool
) -> None:
    held, person = await host.study(), await host.staff(role)

    async def reached() -> tuple[bool, bool, bool]:
        led_on = (await person.web.get(f"/studies/{held.id}/open")).status_code == 303
        return held.uid in await found_by(person), await opened(person, held) == 200, led_on

    assert await reached() == (False, False, False)
    if treats:
        await assigned(admin, person, held)
    else:
        assert person.user is not None
        fields = {"person": str(person.user.id), "patient": held.made.patient_id, "issuer": "", "until": day(30)}
        refused = await admin.post("/admin/care", {**fields, "reason": "On the ward that treats her"})
        assert refused.status_code == 422, "only who treats is assigned"
    assert await reached() == (treats, treats, treats)


async def found_by(person: Person) -> set[str]:
    """What somebody finds by QIDO-RS, whether or not their role may search."""
    answer = await person.web.get("/dicomweb/studies", params={"limit": "200"}, headers=JSON)
    return {study["0020000D"]["Value"][0] for study in answer.json()} if answer.status_code == 200 else set()


@pytest.mark.promise("IH-06", shows="ended")
async def test_an_assignment_that_ends_is_felt_within_a_second_in_an_open_viewing_too(
    host: Deployment, admin: Person
) -> None:
    held, doctor = await host.study(slices=2), await host.staff("clinician")
    await assigned(admin, doctor, held)
    assert await opened(doctor, held) == 200
    await ended(admin, doctor)
    with clock.moved(timedelta(seconds=1.1)):
        assert await opened(doctor, held) == 404
    assert await listed(doctor) == set()
    assert [event.outcome for event in await host.ledgered(kind="people:assignment:ended", subject=held.subject_id)]

    await assigned(admin, doctor, held, days=1)
    assert await opened(doctor, held) == 200
    with clock.moved(timedelta(days=2)):
        await host.sign_in_again(doctor)
        assert await opened(doctor, held) == 404
        assert await listed(doctor) == set()


@pytest.mark.promise("IH-06", shows="assignment")
async def test_duty_reaches_the_whole_house_and_no_other(host: Deployment, admin: Person) -> None:
    here, there = await host.study(), await host.study(host.second)
    doctor = await host.staff("clinician")
    await assigned(admin, doctor, None, days=3)
    assert here.uid in await listed(doctor)
    assert there.uid not in await listed(doctor)
    assert await opened(doctor, here) == 200
    assert await opened(doctor, there) == 404
    await ended(admin, doctor)
    assert await listed(doctor) == set()


@pytest.mark.promise("IH-06", shows="assignment")
async def test_the_care_team_takes_a_colleague_in_and_nobody_lets_themselves_in(
    host: Deployment, admin: Person
) -> None:
    held, lead, colleague = await host.study(), await host.staff("clinician"), await host.staff("clinician")
    assert lead.user is not None
    assert colleague.user is not None
    asked = {"person": str(colleague.user.id), "until": day(7), "reason": "Second opinion on the scan"}
    page = f"/studies/{held.id}/care"
    assert (await lead.web.get(page)).status_code == 404
    await assigned(admin, lead, held)
    assert (await lead.post(page, {**asked, "person": str(lead.user.id)})).status_code == 422
    assert (await lead.post(page, {**asked, "reason": "x"})).status_code == 422
    assert (await lead.post(page, {**asked, "until": day(-1)})).status_code == 422
    assert (await lead.post(page, {**asked, "until": "soon"})).status_code == 422
    assert (await lead.post(page, {**asked, "person": "nobody"})).status_code == 422
    assert await opened(colleague, held) == 404
    assert (await lead.post(page, asked)).status_code == 303
    assert (await lead.post(page, asked)).status_code == 422  # twice is once
    assert await opened(colleague, held) == 200
    [_, told] = await host.ledgered(kind="people:assignment:made", subject=held.subject_id)
    assert told.actor_id == lead.actor.id


@pytest.mark.promise("IH-06", shows="ended")
async def test_somebody_who_left_and_came_back_has_to_be_assigned_again(host: Deployment, admin: Person) -> None:
    held, doctor = await host.study(), await host.staff("clinician")
    assert doctor.user is not None
    await assigned(admin, doctor, held)
    assert await opened(doctor, held) == 200
    inside = host.set_up_permit("administer", Target("organisation", host.first.id, host.first.id))
    ending = host.set_up_permit("end_access", Target("organisation", host.first.id, host.first.id))
    await host.rooms.people.end_user(ending, doctor.user.id)
    await host.rooms.people.add_user(inside, host.first.id, doctor.email, doctor.user.name, "clinician")
    await host.sign_in_again(doctor)
    assert await listed(doctor) == set()
    assert await opened(doctor, held) == 404


async def test_a_token_with_the_role_is_nobody_in_particular(host: Deployment) -> None:
    held = await host.study()
    program = await host.bearer("clinician", "diagnosis")
    answer = await program.web.get("/dicomweb/studies", headers=JSON)
    assert answer.status_code == 204
    assert (await program.web.get(f"/dicomweb/studies/{held.uid}/metadata", headers=JSON)).status_code == 404


async def test_an_emergency_opens_one_patient_for_some_hours_and_is_checked(host: Deployment, admin: Person) -> None:
    held, other = await host.study(), await host.study()
    patient, doctor, office = await host.patient(held), await host.staff("clinician"), await host.staff("office")
    asked = {"patient": held.made.patient_id, "issuer": "", "reason": "Unconscious after a fall, no team on call"}
    assert (await doctor.post("/emergency", {**asked, "reason": "now"})).status_code == 422
    assert (await doctor.post("/emergency", {**asked, "patient": "P-nobody"})).status_code == 422
    assert await opened(doctor, held) == 404
    answer = await doctor.post("/emergency", asked)
    assert answer.status_code == 303
    shown = (await doctor.web.get(answer.headers["location"])).text
    assert f"/emergency/{held.id}/open" in shown
    assert (await doctor.web.get(f"/emergency/{held.id}/open")).status_code == 303
    assert await opened(doctor, held) == 200
    assert await opened(doctor, other) == 404
    assert await listed(doctor) == set()  # the usual list stays that of those in their care

    [claimed] = await host.ledgered(kind="people:emergency:claimed", subject=held.subject_id)
    assert claimed.clauses[0] == "4.20"
    [seen] = await host.ledgered(kind="archive:study:opened", subject=held.subject_id)
    assert (seen.purpose, seen.clauses[0]) == ("emergency", "4.20")
    looked = (await patient.web.get("/looked")).text
    assert "Unconscious after a fall" in looked
    assert "in an emergency" in looked

    waiting = (await office.web.get("/office/emergencies")).text
    assert "Unconscious after a fall" in waiting
    [path] = re.findall(r'action="(/office/emergencies/[^"]+)"', waiting)
    assert (await office.post(path, {"outcome": "no", "finding": ""}, page="/office/emergencies")).status_code == 422
    answer = await office.post(
        path, {"outcome": "no", "finding": "The team was on call after all"}, page="/office/emergencies"
    )
    assert answer.status_code == 303
    with clock.moved(timedelta(seconds=1.1)):
        assert await opened(doctor, held) == 404
    [checked] = await host.ledgered(kind="people:emergency:reviewed", subject=held.subject_id)
    assert checked.actor_id == office.actor.id

    assert (await doctor.post("/emergency", asked)).status_code == 303
    assert await opened(doctor, held) == 200
    with clock.moved(timedelta(hours=8, seconds=1)):
        await host.sign_in_again(doctor)
        assert await opened(doctor, held) == 404


async def test_only_who_may_assign_finds_the_page(host: Deployment) -> None:
    for role, path in (("office", "/admin/care"), ("clinician", "/admin/care"), ("admin", "/emergency")):
        assert (await (await host.staff(role)).web.get(path)).status_code == 404
    elsewhere = await host.staff("admin", host.second)
    held, doctor = await host.study(), await host.staff("clinician", host.second)
    assert doctor.user is not None
    fields = {"person": str(doctor.user.id), "patient": held.made.patient_id, "issuer": "", "until": day(3)}
    answer = await elsewhere.post("/admin/care", {**fields, "reason": "A patient of another house"})
    assert answer.status_code == 422
    assert await opened(doctor, held) == 404


@pytest.fixture(scope="module")
def court() -> Iterator[Receiver]:
    with receiving("COURT") as receiver:
        yield receiver


@pytest.mark.promise("IH-06", shows="order")
async def test_a_court_gets_nothing_without_the_document_of_its_order(host: Deployment, court: Receiver) -> None:
    house = next(each for each in host.organisations if each.region == "GB")
    held, office = await host.study(house), await office_of(host, house)
    associations, received = court.associations, len(court.uids)
    await office.recipient(
        "high_court", court, kind="authority", country="GB", stands_under="state_offices", categories="images",
        purposes="legal_orders",
    )  # fmt: skip

    async def ordered(authority: str, **typed: str) -> str:
        given = {"kind": "legal_order", "authority": authority, "country": "GB", "valid_from": "2026-11-01"}
        await office.filed("orders", **given, scope="One scan.", studies=str(held.id), **typed)
        return str(next(each.id for each in await office.orders() if each.authority == authority))

    bare = await ordered("Court without paper")
    for order, reason in (("", "order"), (bare, "document")):
        before = len(await host.ledgered(kind="exchange:disclosure:refused", subject=held.subject_id))
        answer = await office.disclose(held, "high_court", "legal_orders", "law", order=order)
        assert answer.status_code == 409
        refusals = await host.ledgered(kind="exchange:disclosure:refused", subject=held.subject_id)
        assert (refusals[-1].payload or {})["reason"] == reason
        assert len(refusals) == before + 1
    assert court.associations == associations

    whole = await ordered("High Court of Samples", document="Order 7 of 2026, in full.")
    alone = await office.disclose(held, "high_court", "legal_orders", "law", order=whole)
    assert alone.status_code == 409
    assert "The notice forbids it (§ 5.12)" in unescape(alone.text)
    assert (await office.reviewed(whole, office.person)).status_code == 422  # whoever filed it has read it already
    assert (await office.disclose(held, "high_court", "legal_orders", "law", order=whole)).status_code == 409
    assert court.associations == associations
    assert (await office.reviewed(whole)).status_code == 303
    assert (await office.reviewed(whole)).status_code == 404  # once
    sent = await office.disclose(held, "high_court", "legal_orders", "law", order=whole)
    assert sent.status_code == 200, sent.text
    assert len(court.uids) == received + 1
    [recorded] = await host.ledgered(kind="exchange:disclosure:recorded", subject=held.subject_id)
    assert f"legal_order:{whole}" in recorded.clauses
    assert "4.18" in recorded.clauses
    await office.end("orders", whole, "Carried out.")
    assert (await office.disclose(held, "high_court", "legal_orders", "law", order=whole)).status_code == 409
    assert len(court.uids) == received + 1


@pytest.mark.promise("IH-06", shows="each")
async def test_an_order_hands_out_each_study_that_it_names_and_no_other(host: Deployment, court: Receiver) -> None:
    house = next(each for each in host.organisations if each.region == "GB")
    office = await office_of(host, house)
    named, beyond = [await host.study(house) for _ in range(3)], await host.study(house)
    await office.recipient(
        "county_court", court, kind="authority", country="GB", stands_under="state_offices", categories="images",
        purposes="legal_orders",
    )  # fmt: skip
    await office.filed(
        "orders", kind="legal_order", authority="County Court of Samples", country="GB", valid_from="2026-11-01",
        scope="Three scans.", studies=" ".join(str(each.id) for each in named), document="Order 8 of 2026, in full.",
    )  # fmt: skip
    order = next(each.id for each in await office.orders() if each.authority == "County Court of Samples")
    assert (await office.reviewed(order)).status_code == 303
    before = len(court.uids)
    refused = await office.disclose(beyond, "county_court", "legal_orders", "law", order=str(order))
    assert refused.status_code == 409
    assert len(court.uids) == before
    for number, each in enumerate(named, 1):
        sent = await office.disclose(each, "county_court", "legal_orders", "law", order=str(order))
        assert sent.status_code == 200, sent.text
        assert len(court.uids) == before + number
        [recorded] = await host.ledgered(kind="exchange:disclosure:recorded", subject=each.subject_id)
        assert f"legal_order:{order}" in recorded.clauses


@pytest.mark.promise("IH-06", shows="order")
async def test_the_decision_itself_asks_for_the_document_and_for_a_person_who_read_it(host: Deployment) -> None:
    held, office = await host.study(), await office_of(host)
    given = {"kind": "legal_order", "authority": "Court of nothing", "country": "GB", "valid_from": "2026-11-01"}
    await office.filed("orders", **given, scope="One scan.", studies=str(held.id))
    [bare] = [each for each in await office.orders() if each.authority == "Court of nothing"]
    named = (("recipient", "state_offices"), ("category", "images"), ("order", str(bare.id)))
    target = Target("study", held.id, held.house.id, held.subject_id, attributes=named)
    with pytest.raises(PermitDenied):
        await host.rooms.policy.require(office.person.actor, "disclose", target, "legal_orders")
    refused = await host.ledgered(kind="policy:access:refused", subject=held.subject_id)
    assert "5.12" in refused[-1].clauses
