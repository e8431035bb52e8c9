"""Two numbers of one patient, at the doors: merged by a person or a stated rule, read as one, and taken apart again."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tests.common.deployment import Deployment, Held, OpenDeployment, Person
from troth.kit import clock
from troth.policy import PermitDenied

REASON = "She showed both cards at the desk"
JSON = {"Accept": "application/dicom+json"}
OLD = clock.today().replace(year=1995)


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture(scope="module")
async def host(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


async def two(place: Deployment, **of) -> tuple[Held, Held]:
    """Two numbers of one patient."""
    name = f"Specimen^{''.join(chr(ord(each) % 20 + 97) for each in uuid4().hex[:8])}"
    return await place.study(name=name, **of), await place.study(name=name, **of)


async def merge(office: Person, merged: Held, surviving: Held, **changed: str):
    path = f"/office/patients/{merged.subject_id}/{surviving.subject_id}"
    return await office.post(path, {"act": "merge", "stays": "second", "reason": REASON, **changed})


async def undo(office: Person) -> None:
    """Take the newest merge apart."""
    path = re.findall(r'href="(/office/merges/[^"]+)"', (await office.web.get("/office/patients")).text)[0]
    assert "What follows" in (await office.web.get(path)).text
    assert (await office.post(path, {"reason": ""})).status_code == 422
    long = await office.post(path, {"reason": "sisters " * 80})
    assert "at most 500 characters" in long.text
    assert 'value="sisters sisters ' in long.text  # what was typed is kept
    answer = await office.post(path, {"reason": "Two sisters with one card"})
    assert answer.status_code == 303, answer.text


async def may(
    place: Deployment, person: Person, held: Held, action: str = "retrieve", purpose: str = "diagnosis"
) -> bool:
    """Whether somebody may, decided now and with the rows of a list in agreement."""
    policy, target = place.rooms.policy, await place.rooms.archive.target_of(person.actor, held.id)
    try:
        await policy.require(person.actor, action, target, purpose)
    except PermitDenied:
        return False
    return True


async def test_found_compared_merged_and_read_as_one(cloud: Deployment) -> None:
    first, second = await two(cloud)
    patient, office = await cloud.patient(second), await cloud.staff("office")
    doctor = await cloud.staff("clinician", name="Dr A. Earlier")
    answer = await doctor.viewer.get(f"/dicomweb/studies/{first.uid}/metadata", headers=JSON)
    assert answer.status_code == 200
    listed = (await office.web.get("/office/patients")).text
    path = f"/office/patients/{first.subject_id}/{second.subject_id}"
    assert path in listed
    assert first.made.patient_id in listed
    pair = (await office.web.get(path)).text
    assert pair.count("the same") == 3, "name, birth date and sex"
    assert (await patient.web.get(f"/scans/{first.id}")).status_code == 404
    for lacking in ({"stays": ""}, {"reason": ""}):
        assert (await merge(office, first, second, **lacking)).status_code == 422
    assert (await merge(office, first, second)).status_code == 303
    assert "They are one patient from now on" in (await office.web.get("/office/patients?told=merged")).text
    assert path not in (await office.web.get("/office/patients")).text

    await cloud.sequencer.drain()
    home = (await patient.web.get("/scans")).text
    assert str(first.id) in home
    assert str(second.id) in home
    assert (await patient.web.get(f"/scans/{first.id}")).status_code == 200
    looked = (await patient.web.get("/looked")).text
    assert "Dr A. Earlier" in looked, "who looked before is there too"
    assert REASON in looked
    for made in (first.made, second.made):
        found = await doctor.viewer.get("/dicomweb/studies", params={"PatientID": made.patient_id}, headers=JSON)
        assert {each["0020000D"]["Value"][0] for each in found.json()} == {first.uid, second.uid}

    await undo(office)
    assert (await patient.web.get("/scans")).status_code in (303, 401, 200)
    patient = await cloud.sign_in_again(patient)
    home = (await patient.web.get("/scans")).text
    assert str(first.id) not in home
    assert str(second.id) in home
    assert "Dr A. Earlier" not in (await patient.web.get("/looked")).text
    assert path not in (await office.web.get("/office/patients")).text, "a person said that they are two"


async def test_an_account_of_either_reaches_both_and_within_a_second_no_more(cloud: Deployment) -> None:
    first, second = await two(cloud)
    patient, office = await cloud.patient(first), await cloud.staff("office")
    assert (await patient.web.get(f"/scans/{second.id}")).status_code == 404
    assert (await merge(office, first, second)).status_code == 303
    assert (await patient.web.get(f"/scans/{second.id}")).status_code == 200
    assert (await patient.web.get(f"/scans/{first.id}")).status_code == 200
    assert (await patient.viewer.get(f"/dicomweb/studies/{second.uid}/metadata", headers=JSON)).status_code == 200
    await undo(office)
    await asyncio.sleep(1.1)  # an open viewing is decided again after a second
    assert (await patient.viewer.get(f"/dicomweb/studies/{second.uid}/metadata", headers=JSON)).status_code == 404
    assert (await patient.web.get(f"/scans/{second.id}")).status_code == 404
    assert (await patient.web.get(f"/scans/{first.id}")).status_code == 200


async def test_a_copy_holds_both_lists_whole_and_is_not_given_out_when_they_are_two(cloud: Deployment) -> None:
    first, second = await two(cloud)
    patient, office = await cloud.patient(second), await cloud.staff("office")
    assert (await merge(office, first, second)).status_code == 303
    answer = await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    refused = await office.web.get(
        re.findall(r'href="(/office/merges/[^"]+)"', (await office.web.get("/office/patients")).text)[0]
    )
    assert "A request is open" in refused.text, "nothing is taken apart under an open request"
    await cloud.fulfil()
    copy = await patient.web.get(answer.headers["location"] + "/copy")
    assert copy.status_code == 200
    held = await cloud.rooms.people.kin(cloud.first, second.subject_id)
    assert len(held) == 2
    await undo(office)
    patient = await cloud.sign_in_again(patient)
    assert (await patient.web.get(answer.headers["location"] + "/copy")).status_code != 200


async def test_nothing_is_merged_under_an_open_request(cloud: Deployment) -> None:
    first, second = await two(cloud)
    patient, office = await cloud.patient(first), await cloud.staff("office")
    await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    path = f"/office/patients/{first.subject_id}/{second.subject_id}"
    assert "A request is open" in (await office.web.get(path)).text
    answer = await merge(office, first, second)
    assert answer.status_code == 422
    assert "decide it first" in answer.text
    assert (await patient.web.get(f"/scans/{second.id}")).status_code == 404
    await cloud.fulfil()
    assert (await merge(office, first, second)).status_code == 303


@pytest.mark.parametrize("whole", [True, False])
async def test_a_restriction_of_either_goes_on_binding(cloud: Deployment, whole: bool) -> None:
    first, second = await two(cloud)
    patient, office, doctor = await cloud.patient(first), await cloud.staff("office"), await cloud.staff("clinician")
    about = "everything" if whole else str(first.id)
    made = await patient.post("/choices", {"act": "stop", "about": about, "reason": "Wrong name"})
    assert made.status_code == 303, made.text
    assert [await may(cloud, doctor, each) for each in (first, second)] == [False, True]
    assert (await merge(office, first, second)).status_code == 303
    assert [await may(cloud, doctor, each) for each in (first, second)] == [False, not whole]
    listed = await doctor.viewer.get("/dicomweb/studies", params={"PatientID": second.made.patient_id}, headers=JSON)
    found = {each["0020000D"]["Value"][0] for each in listed.json()} if listed.status_code == 200 else set()
    assert found == (set() if whole else {second.uid}), "lists agree with decisions, row by row"
    await undo(office)
    assert [await may(cloud, doctor, each) for each in (first, second)] == [False, True]


async def test_what_is_restricted_for_both_keeps_them_together(cloud: Deployment) -> None:
    first, second = await two(cloud)
    patient, office, doctor = await cloud.patient(second), await cloud.staff("office"), await cloud.staff("clinician")
    assert (await merge(office, first, second)).status_code == 303
    made = await patient.post("/choices", {"act": "stop", "about": str(first.id), "reason": "Wrong name"})
    assert made.status_code == 303, made.text
    assert not await may(cloud, doctor, first)
    await undo(office)
    assert not await may(cloud, doctor, first), "a restriction of one study stays with the study"
    refused = await cloud.ledgered(kind="policy:access:refused", actor=doctor.actor.id)
    assert {each.subject_id for each in refused} == {first.subject_id}, "in the list of whose study it is, both times"


async def test_an_objection_and_a_hold_of_either_go_on_binding(cloud: Deployment) -> None:
    first, second = await two(cloud, study_date=OLD)
    patient, office, doctor = await cloud.patient(first), await cloud.staff("office"), await cloud.staff("clinician")
    assert (await patient.post("/choices", {"act": "object", "about": "diagnosis"})).status_code == 303
    form = {
        "about": "subject", "patient": first.made.patient_id, "issuer": "", "study": "", "ends_on": "",
        "reason": "A claim is before the court", "document": "Case 7",
        "review_on": (clock.today() + timedelta(days=30)).isoformat(),
    }  # fmt: skip
    assert (await office.post("/office/holds", form)).status_code == 303
    before = await may(cloud, doctor, first)
    assert await may(cloud, doctor, second)
    assert (await merge(office, first, second)).status_code == 303
    assert await may(cloud, doctor, second) is before
    owner = await cloud.patient(second)
    asked = await owner.post(
        "/requests", {"right": "erase", "study-1": str(second.id), "sure": "erase"}, page="/requests/new?right=erase"
    )
    assert asked.status_code == 303, asked.text
    await cloud.fulfil()
    assert "legal hold" in (await owner.web.get(asked.headers["location"])).text
    assert (await owner.web.get(f"/scans/{second.id}")).status_code == 200, "held, because of the other number"
    await undo(office)
    assert await may(cloud, doctor, second)


async def test_a_hold_on_both_keeps_them_together(cloud: Deployment) -> None:
    first, second = await two(cloud)
    office = await cloud.staff("office")
    assert (await merge(office, first, second)).status_code == 303
    form = {
        "about": "subject", "patient": first.made.patient_id, "issuer": "", "study": "", "ends_on": "",
        "reason": "A claim is before the court", "document": "Case 8",
        "review_on": (clock.today() + timedelta(days=30)).isoformat(),
    }  # fmt: skip
    assert (await office.post("/office/holds", form)).status_code == 303
    [placed] = await cloud.ledgered(kind="lifecycle:hold:placed", subject=second.subject_id)
    assert (placed.payload or {})["document"] == "Case 8", "the number that is written finds the one that stayed"
    path = re.findall(r'href="(/office/merges/[^"]+)"', (await office.web.get("/office/patients")).text)[0]
    page = (await office.web.get(path)).text
    assert "legal hold was placed on all that is merged" in page
    assert "What follows" not in page


async def test_assignments_follow(host: Deployment) -> None:
    first, second = await two(host)
    office, doctor = await host.staff("office"), await host.staff("clinician")
    await host.assign(doctor, first)
    assert [await may(host, doctor, each) for each in (first, second)] == [True, False]
    assert (await merge(office, first, second)).status_code == 303
    assert [await may(host, doctor, each) for each in (first, second)] == [True, True]
    listed = await doctor.viewer.get("/dicomweb/studies", params={"PatientID": second.made.patient_id}, headers=JSON)
    assert {each["0020000D"]["Value"][0] for each in listed.json()} == {first.uid, second.uid}
    await undo(office)
    assert [await may(host, doctor, each) for each in (first, second)] == [True, False]


async def test_only_the_office_of_the_house_and_never_across_houses(cloud: Deployment) -> None:
    first, second = await two(cloud)
    foreign = await cloud.study(cloud.second)
    office, elsewhere = await cloud.staff("office"), await cloud.staff("office", cloud.second)
    path = f"/office/patients/{first.subject_id}/{second.subject_id}"
    for person in (await cloud.staff("clinician"), await cloud.staff("admin"), await cloud.patient(first), elsewhere):
        assert (await person.web.get(path)).status_code == 404
    for other in (foreign.subject_id, uuid4(), "nobody"):
        assert (await office.web.get(f"/office/patients/{first.subject_id}/{other}")).status_code == 404
    fields = {"act": "merge", "stays": "second", "reason": REASON}
    crossing = f"/office/patients/{first.subject_id}/{foreign.subject_id}"
    assert (await office.post(crossing, fields, page="/office/patients")).status_code == 404
    assert (await elsewhere.post(path, fields, page="/office/patients")).status_code == 404
    assert (await office.web.post(path, data=fields)).status_code == 403, "not from a form of ours"
    same = f"/office/patients/{first.subject_id}/{first.subject_id}"
    assert (await office.post(same, fields, page="/office/patients")).status_code == 404
    assert (await merge(office, first, second)).status_code == 303
    merged = re.findall(r'href="(/office/merges/[^"]+)"', (await office.web.get("/office/patients")).text)[0]
    assert (await elsewhere.post(merged, {"reason": "Not mine"}, page="/office/patients")).status_code == 404
    assert "/office/merges/" not in (await elsewhere.web.get("/office/patients")).text


async def test_two_numbers_are_compared_by_what_is_typed(cloud: Deployment) -> None:
    first, second = await two(cloud)
    office = await cloud.staff("office")
    form = {"first": first.made.patient_id, "first_issuer": "", "second": second.made.patient_id, "second_issuer": ""}
    answer = await office.post("/office/patients", form)
    assert answer.headers["location"] == f"/office/patients/{first.subject_id}/{second.subject_id}"
    answer = await office.post("/office/patients", {**form, "second": "P-nobody"})
    assert (answer.status_code, "Nobody here has this number" in answer.text) == (422, True)
    assert (await office.post("/office/patients", {**form, "second": form["first"]})).status_code == 422
    apart = f"/office/patients/{first.subject_id}/{second.subject_id}"
    assert (await office.post(apart, {"act": "apart"})).status_code == 303
    assert apart not in (await office.web.get("/office/patients")).text


async def test_an_administrator_states_of_whom_bare_numbers_are(cloud: Deployment) -> None:
    number = f"R-{uuid4().hex[:8]}"
    bare, named = await cloud.study(patient_id=number), await cloud.study(patient_id=number, issuer="NH")
    if bare.subject_id == named.subject_id:
        pytest.fail("the specimens carry no issuer")
    admin, office = await cloud.staff("admin"), await cloud.staff("office")
    preview = await admin.post("/admin/numbers", {"act": "preview", "issuer": "NH"})
    assert "1 pair of one number" in preview.text
    assert await owner_of(cloud, bare) == bare.subject_id
    assert (await admin.post("/admin/numbers", {"act": "state", "issuer": "NH"})).status_code == 303
    assert await owner_of(cloud, bare) == named.subject_id
    later = await cloud.study(patient_id=number, name=bare.made.name)
    assert await owner_of(cloud, later) == named.subject_id
    assert (await admin.post("/admin/numbers", {"act": "state", "issuer": "XX"})).status_code == 422
    assert "By the rule" in (await office.web.get("/office/patients")).text
    elsewhere = await cloud.staff("admin", cloud.second)
    assert "NH" not in (await elsewhere.web.get("/admin/numbers")).text.split("<main")[1]
    assert (await office.web.get("/admin/numbers")).status_code == 404
    [told] = await cloud.ledgered(kind="people:rule:stated")
    assert (told.payload or {})["issuer"] == "NH"
    assert (await admin.post("/admin/numbers", {"act": "end"})).status_code == 303
    assert await owner_of(cloud, bare) == bare.subject_id
    assert await owner_of(cloud, later) == bare.subject_id


async def owner_of(place: Deployment, held: Held) -> UUID | None:
    """Whose a study is for decisions now."""
    actor = (await place.staff("clinician")).actor
    return (await place.rooms.archive.target_of(actor, held.id)).subject_id


async def test_the_number_that_stays_is_written_into_the_images_and_back(cloud: Deployment) -> None:
    first, second = await two(cloud)
    office, doctor = await cloud.staff("office"), await cloud.staff("clinician")

    async def said(held: Held) -> tuple[str, str, bool]:
        """PatientID and name that leave with the images, and whether what they said before is kept in them."""
        answer = await doctor.viewer.get(f"/dicomweb/studies/{held.uid}/metadata", headers=JSON)
        [one] = answer.json()
        return one["00100020"]["Value"][0], one["00100010"]["Value"][0]["Alphabetic"], "04000561" in one

    own = await said(first)
    assert own == (first.made.patient_id, first.made.name, False)
    assert (await merge(office, first, second)).status_code == 303
    path = re.findall(r'href="(/office/merges/[^"]+)"', (await office.web.get("/office/patients")).text)[0]
    assert "Of 1 study that came with" in (await office.web.get(path)).text
    assert (await office.post(path, {"act": "write"})).status_code == 303
    assert await said(first) == (second.made.patient_id, second.made.name, True)
    assert (await said(second))[0] == second.made.patient_id
    [event] = await cloud.ledgered(kind="archive:study:corrected", subject=first.subject_id)
    assert event.study_id == first.id
    for made in (first.made, second.made):
        found = await doctor.viewer.get("/dicomweb/studies", params={"PatientID": made.patient_id}, headers=JSON)
        assert {each["0020000D"]["Value"][0] for each in found.json()} == {first.uid, second.uid}
    page = (await office.web.get(path)).text
    assert "1 says" in page
    assert "write their own back first" in page, "nobody's images are given back with another's name on them"
    refused = await office.post(path, {"reason": "Two sisters with one card"})
    assert refused.status_code == 422
    assert (await office.post(path, {"act": "back"})).status_code == 303
    assert await said(first) == (first.made.patient_id, first.made.name, True)
    await undo(office)
    assert (await office.post(path, {"act": "write"}, page="/office/patients")).status_code == 404


async def test_a_number_says_who_gave_it_out(cloud: Deployment) -> None:
    doctor = await cloud.staff("clinician")
    with_issuer, without = await cloud.study(issuer="Elsewhere"), await cloud.study()
    page = (await doctor.web.get(f"/studies?study={with_issuer.id}")).text
    assert "<dt>Patient ID given out by</dt><dd>Elsewhere</dd>" in page
    assert "given out by" not in (await doctor.web.get(f"/studies?study={without.id}")).text
