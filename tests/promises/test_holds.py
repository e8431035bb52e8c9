"""Legal holds: placed, listed and released by the privacy office; what they cover is not erased meanwhile."""

from __future__ import annotations

import re
from datetime import timedelta
from io import BytesIO

import pydicom
import pytest

from tests.common.deployment import Deployment, Held, OpenDeployment, Person
from troth.dicom import specimens
from troth.kit import clock
from troth.main.upkeeping import Upkeeping
from troth.rights import Outcome

OLD = clock.today().replace(year=1995)


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


def form(held: Held, **changed: str) -> dict[str, str]:
    given = {
        "about": "subject", "patient": held.made.patient_id, "issuer": "", "study": "", "ends_on": "",
        "reason": "A claim for damages is before the court", "document": "Court of Samples, case 7 of 2026",
        "review_on": (clock.today() + timedelta(days=30)).isoformat(),
    }  # fmt: skip
    return {**given, **changed}


def releases(page: str) -> set[str]:
    """Where the holds on a page are released."""
    return set(re.findall(r'action="(/office/holds/[^"]+/release)"', page))


def in_conflict(held: Held) -> list[bytes]:
    """Other bytes under the number of an image that is held."""
    dataset = pydicom.dcmread(BytesIO(specimens.phantom_ct(held.made, slices=1, size=16)[0]))
    dataset.ImageComments = "Sent by mistake"
    buffer = BytesIO()
    dataset.save_as(buffer)
    return [buffer.getvalue()]


async def erasure(place: Deployment, patient: Person, held: Held) -> str:
    """The patient asks for erasure at the page; what came of the study."""
    fields = {"right": "erase", "study-1": str(held.id), "sure": "erase"}
    answer = await patient.post("/requests", fields, page="/requests/new?right=erase")
    assert answer.status_code == 303, answer.text
    await place.fulfil()
    return (await patient.web.get(answer.headers["location"])).text


async def test_what_is_held_is_not_erased_until_it_is_released(cloud: Deployment) -> None:
    held = await cloud.study(study_date=OLD)
    patient, office = await cloud.patient(held), await cloud.staff("office")
    assert (await office.post("/office/holds", form(held))).status_code == 303
    page = (await office.web.get("/office/holds")).text
    assert "A claim for damages is before the court" in page
    assert "Court of Samples, case 7 of 2026" in page
    [placed] = await cloud.ledgered(kind="lifecycle:hold:placed", subject=held.subject_id)
    assert (placed.actor_id, (placed.payload or {})["document"]) == (
        office.actor.id,
        "Court of Samples, case 7 of 2026",
    )

    told = await erasure(cloud, patient, held)
    assert "legal hold" in told
    assert (await patient.web.get(f"/scans/{held.id}")).status_code == 200, "it is still there"
    assert not await cloud.ledgered(kind="archive:study:erased", subject=held.subject_id)

    [path] = re.findall(r'action="(/office/holds/[^"]+/release)"', page)
    assert (await office.post(path, {"reason": ""}, page="/office/holds")).status_code == 422
    elsewhere = await cloud.staff("office", cloud.second)
    assert (await elsewhere.post(path, {"reason": "Not mine"}, page="/office/holds")).status_code == 404
    assert (await office.post(path, {"reason": "The claim was settled"}, page="/office/holds")).status_code == 303
    assert (await office.post(path, {"reason": "The claim was settled"}, page="/office/holds")).status_code == 404
    assert len(await cloud.ledgered(kind="lifecycle:hold:released", subject=held.subject_id)) == 1
    await erasure(cloud, patient, held)
    assert len(await cloud.ledgered(kind="archive:study:erased", subject=held.subject_id)) == 1


async def test_one_study_until_its_last_day(cloud: Deployment) -> None:
    held, office = await cloud.study(study_date=OLD), await cloud.staff("office")
    last = (clock.today() + timedelta(days=3)).isoformat()
    answer = await office.post("/office/holds", form(held, about="study", patient="", study=held.uid, ends_on=last))
    assert answer.status_code == 303
    permit = cloud.set_up_permit("open_request", held.subject, "rights")
    [item] = [each for each in await cloud.rooms.rights.preview_erasure(permit, held.subject_id) if each.target_id]
    assert item.outcome is Outcome.REFUSED
    with clock.moved(timedelta(days=4)):
        permit = cloud.set_up_permit("open_request", held.subject, "rights")
        [item] = [each for each in await cloud.rooms.rights.preview_erasure(permit, held.subject_id) if each.target_id]
        assert item.outcome is not Outcome.REFUSED


async def test_what_is_missing_is_named_and_nothing_is_held(cloud: Deployment) -> None:
    held, office = await cloud.study(), await cloud.staff("office")
    before = len(await cloud.ledgered(kind="lifecycle:hold:placed"))
    for changed, word in (
        ({"reason": ""}, "Write down why"),
        ({"document": ""}, "Name the document"),
        ({"review_on": "soon"}, "Choose a day"),
        ({"review_on": "2020-01-01"}, "day of review in the future"),
        ({"patient": ""}, "patient&#39;s number"),
        ({"patient": "P-nobody"}, "Nothing here has this number"),
        ({"about": "study", "study": "1.2.3"}, "Nothing here has this number"),
        ({"about": "everything"}, "Choose what is held"),
    ):
        answer = await office.post("/office/holds", form(held, **changed))
        assert answer.status_code == 422, changed
        assert word in answer.text, changed
    assert len(await cloud.ledgered(kind="lifecycle:hold:placed")) == before
    elsewhere = await cloud.staff("office", cloud.second)
    assert (await elsewhere.post("/office/holds", form(held))).status_code == 422, "not theirs: not there"
    assert (await (await cloud.staff("clinician")).web.get("/office/holds")).status_code == 404


async def test_no_link_leads_to_what_the_notice_grants_nobody(cloud: Deployment) -> None:
    """The imaging cloud lets nobody keep a register, disclose, write or assign."""
    office, admin, doctor = [await cloud.staff(role) for role in ("office", "admin", "clinician")]
    page = (await office.web.get("/office/requests")).text
    assert 'href="/office/decisions"' in page
    for path in ("/office/recipients", "/office/messages"):
        assert f'href="{path}"' not in page
    assert 'href="/office/emergencies"' in (await office.web.get("/office/decisions")).text
    assert 'href="/admin/care"' not in (await admin.web.get("/admin")).text
    assert 'href="/emergency"' in (await doctor.web.get("/studies")).text
    for person, home in ((office, "/office/requests"), (admin, "/admin"), (doctor, "/studies")):
        nav = (await person.web.get(home)).text.split('aria-label="Main"')[1].split("</nav>")[0]
        for href in re.findall(r'href="([^"]+)"', nav):
            assert (await person.web.get(href)).status_code == 200, href


async def test_what_is_kept_apart_of_a_person_on_hold_is_not_destroyed(cloud: Deployment) -> None:
    held, control = await cloud.study(study_date=OLD), await cloud.study(study_date=OLD)
    office, doctor = await cloud.staff("office"), await cloud.staff("clinician")
    for each in (held, control):  # other bytes under the numbers of images that are held
        answer = await cloud.stow(in_conflict(each), each.house)
        assert answer.status_code == 409
    others = releases((await office.web.get("/office/holds")).text)
    assert (await office.post("/office/holds", form(held))).status_code == 303
    [release] = releases((await office.web.get("/office/holds")).text) - others

    paths = {}
    for path in set(re.findall(r"/conflicts/[0-9a-f-]{36}", (await doctor.web.get("/conflicts")).text)):
        page = (await doctor.web.get(path)).text
        paths |= {each.uid: path for each in (held, control) if each.made.patient_id in page}
    destroy = {"act": "discard", "scope": "all", "sure": "yes"}
    assert "kept while a legal hold is on it" in (await doctor.web.get(paths[held.uid])).text
    assert "Destroy 1 image" not in (await doctor.web.get(paths[held.uid])).text
    refused = await doctor.post(paths[held.uid], destroy, page=paths[held.uid])
    assert refused.status_code == 422
    assert "A legal hold is on it" in refused.text

    with clock.moved(timedelta(days=31)):
        await Upkeeping(cloud.rooms).once()
        doctor = await cloud.sign_in_again(doctor)
        assert (await doctor.web.get(paths[held.uid])).status_code == 200
        assert (await doctor.web.get(paths[control.uid])).status_code == 404
        office = await cloud.sign_in_again(office)
        assert (await office.post(release, {"reason": "It was settled"}, page="/office/holds")).status_code == 303
        await Upkeeping(cloud.rooms).once()
        assert (await doctor.web.get(paths[held.uid])).status_code == 404
    discarded = await cloud.ledgered(kind="archive:instance:discarded")
    assert [(each.payload or {})["reason"] for each in discarded] == ["out-of-time"] * 2
