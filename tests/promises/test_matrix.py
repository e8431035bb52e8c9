"""Every role and act, about one's own house and another, through every door; and who gets in by invitation."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    Verification,
)

from tests.common.arrivals import shown_in, take_second_step
from tests.common.deployment import Deployment, Held, OpenDeployment, Person
from tests.common.receiver import CT
from troth.dicom import specimens
from troth.doors import dimse
from troth.kit import clock
from troth.people import Organisation
from troth.policy import Target

JSON: Final = "application/dicom+json"
FIND, GET = StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet
MACHINES: Final = ("HERE_CT", "THERE_CT")
CARE: Final = frozenset({"clinician", "referrer"})
PART: Final = "each act of the notice: some twenty are tried elsewhere, not for every role"


@dataclass
class House:
    """One organisation with everybody in it, and one of each thing that an act can be about."""

    house: Organisation
    held: Held
    twin: Held
    people: dict[str, Person]
    request: str
    machine_id: str
    ae: str


@dataclass
class Scene:
    """Two houses under one notice, and the listener for machines."""

    place: Deployment
    port: int
    here: House
    there: House
    anybody: Person


async def furnished(place: Deployment, house: Organisation, ae: str) -> House:
    """A house with a member of each role, a patient, a machine, two patients and one open request."""
    held, twin = await place.study(house), await place.study(house)
    people = {role: await place.staff(role, house) for role in ("clinician", "referrer", "office", "admin")}
    people |= {"patient": await place.patient(held), "peer": await place.bearer("peer", "care", house)}
    asked = await people["patient"].post("/requests", {"right": "access"}, page="/requests/new?right=access")
    assert asked.status_code == 303, asked.text
    machine = await place.peer(ae, house)
    return House(house, held, twin, people, asked.headers["location"], str(machine.id), ae)


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture(scope="module")
async def scene(cloud: Deployment) -> AsyncIterator[Scene]:
    listener = dimse.create(cloud.rooms)
    await listener.start("127.0.0.1", 0)
    here, there = [await furnished(cloud, await cloud.organisation(), ae) for ae in MACHINES]
    await cloud.sequencer.drain()  # what changed is told once it is in the ledger
    yield Scene(cloud, listener.port, here, there, cloud.anybody())
    await listener.stop()


Attempt = Callable[[Person, House], Awaitable[bool]]
Where = Callable[[House], str]


def page(path: Where, *, says: Where | None = None) -> Attempt:
    """Whether a page opens, and says what it is about."""

    async def tried(person: Person, house: House) -> bool:
        answer = await person.web.get(path(house))
        return answer.status_code == 200 and (says is None or says(house) in answer.text)

    return tried


def leads(path: Where) -> Attempt:
    """Whether a page leads on to the viewer."""

    async def tried(person: Person, house: House) -> bool:
        answer = await person.web.get(path(house))
        return answer.status_code == 303 and "/viewer" in answer.headers["location"]

    return tried


def sent(path: str, form: str, fields: Callable[[House], dict[str, str]]) -> Attempt:
    """Whether a form is done. Who is not shown it sends it with the proof of a page of their own."""

    async def tried(person: Person, house: House) -> bool:
        token = ""
        for shown in (form, "/account"):
            found = re.search(r'name="token" value="([0-9a-f]+)"', (await person.web.get(shown)).text)
            token = token or (found[1] if found is not None else "")
        answer = await person.web.post(path, data={"token": token, **fields(house)})
        return answer.status_code == 303 and not answer.headers["location"].startswith(("/sign-in", "/second-step"))

    return tried


def images(path: Where, accept: str = JSON, *, at_viewer: bool = False) -> Attempt:
    """Whether the image door gives anything, on the origin of the pages (and of tokens) or of the viewer."""

    async def tried(person: Person, house: House) -> bool:
        client = person.viewer if at_viewer else person.web
        answer = await client.get(path(house), headers={"Accept": accept})
        return answer.status_code == 200 and answer.content not in (b"", b"[]")

    return tried


def of_study(tail: str = "") -> Where:
    return lambda house: f"/dicomweb/studies/{house.held.uid}{tail}"


def instance(house: House) -> str:
    one = pydicom.dcmread(io.BytesIO(specimens.phantom_ct(house.held.made, slices=1, size=16)[0]))
    return f"/dicomweb/studies/{house.held.uid}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}"


async def stowed(person: Person, house: House) -> bool:
    """Whether an image of a patient of that house is taken in: what it is taken into is looked at afterwards."""
    [file] = specimens.phantom_ct(replace(house.held.made, accession="A-NEW"), slices=1, size=16)
    kind = 'multipart/related; type="application/dicom"; boundary=part'
    body = b"--part\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--part--\r\n" % file
    answer = await person.web.post("/dicomweb/studies", content=body, headers={"Content-Type": kind})
    return answer.status_code in (200, 202)


def claim(house: House) -> dict[str, str]:
    return {"patient": house.held.made.patient_id, "issuer": "", "reason": "Unconscious after a fall, no team on call"}


def hold(house: House) -> dict[str, str]:
    return {
        "about": "study", "patient": "", "issuer": "", "study": house.held.uid, "ends_on": "",
        "reason": "A claim for damages is before the court", "document": "Court of Samples, case 7 of 2026",
        "review_on": (clock.today() + timedelta(days=30)).isoformat(),
    }  # fmt: skip


def merging(house: House) -> str:
    return f"/office/patients/{house.held.subject_id}/{house.twin.subject_id}"


def member(house: House) -> str:
    user = house.people["clinician"].user
    assert user is not None
    return f"/admin/people/{user.id}"


JPEG, BYTES = "image/jpeg", 'multipart/related; type="application/octet-stream"'
PEER: Final = frozenset({"peer"})
PATIENT: Final = frozenset({"patient"})

ACTS: Final[dict[str, tuple[Attempt, frozenset[str]]]] = {
    # 4.2, 5.1, 5.2: who treats, and the referrer, search and open. 5.7: nobody of the office or administration does.
    "query, page": (page(lambda h: f"/studies?study={h.held.id}", says=lambda h: h.held.made.patient_id), CARE),
    "query, a number": (
        page(lambda h: f"/studies?q={h.held.made.patient_id}", says=lambda h: str(h.held.id)), CARE,
    ),
    "retrieve, page": (leads(lambda h: f"/studies/{h.held.id}/open"), CARE),
    "query, DICOMweb": (images(lambda h: f"/dicomweb/studies?StudyInstanceUID={h.held.uid}"), CARE | PATIENT | PEER),
    "retrieve, DICOMweb": (images(of_study("/metadata")), CARE | PATIENT | PEER),
    "retrieve, a frame": (images(lambda h: f"{instance(h)}/frames/1", BYTES), CARE | PATIENT | PEER),
    "retrieve, drawn": (images(lambda h: f"{instance(h)}/rendered", JPEG), CARE | PATIENT | PEER),
    "query, viewer": (images(lambda h: f"/dicomweb/studies?StudyInstanceUID={h.held.uid}", at_viewer=True),
                      CARE | PATIENT | PEER),
    "retrieve, viewer": (images(of_study("/metadata"), at_viewer=True), CARE | PATIENT | PEER),
    # 4.3: one's own.
    "query, own": (page(lambda h: f"/scans/{h.held.id}"), PATIENT),
    "retrieve, own": (page(lambda h: f"/scans/{h.held.id}/images"), PATIENT),
    "open, own": (leads(lambda h: f"/scans/{h.held.id}/open"), PATIENT),
    "see one's request": (page(lambda h: h.request), PATIENT),
    # 4.4: the office answers, keeps what a court wants, and puts one patient's numbers together.
    "see a request": (page(lambda h: f"/office{h.request}"), frozenset({"office"})),
    "merge": (page(merging), frozenset({"office"})),
    "hold": (sent("/office/holds", "/office/holds", hold), frozenset({"office"})),
    # 4.2, 4.4: what is wrong is put right by who treats, and by the office.
    "rectify": (page(lambda h: f"/studies/{h.held.id}/correct"), frozenset({"clinician", "office"})),
    "invite": (page(lambda h: f"/studies/{h.held.id}/invite"), frozenset({"clinician"})),
    # 4.5: administrators let in, and end.
    "administer": (page(member), frozenset({"admin"})),
    "a machine": (page(lambda h: f"/admin/systems/{h.machine_id}"), frozenset({"admin"})),
    # 4.6: in an emergency, with the reason.
    "override": (sent("/emergency", "/emergency", claim), frozenset({"clinician"})),
    # 3.5, 3.7: machines bring, and follow.
    "store, DICOMweb": (stowed, PEER),
    "follow, REST": (page(lambda h: "/api/changes", says=lambda h: str(h.held.id)), PEER),
}  # fmt: skip
"""What is tried at the doors that people and programs reach by HTTP, and the roles that may, in their own house."""


@pytest.mark.promise("IC-03", shows="matrix", lacks=PART)
@pytest.mark.parametrize("act", ACTS)
async def test_each_role_does_about_its_own_house_what_the_notice_says_and_about_another_nothing(
    scene: Scene, act: str
) -> None:
    attempt, roles = ACTS[act]
    others_before = await counted(scene.there)
    wrong = []
    for role, person in (*scene.here.people.items(), ("nobody", scene.anybody)):
        for house, may in ((scene.there, False), (scene.here, role in roles)):
            if act == "store, DICOMweb" and house is scene.there:
                await attempt(person, house)  # it becomes the sender's own, if anything: see below
            elif await attempt(person, house) is not may:
                wrong.append(f"{role}, {'here' if house is scene.here else 'there'}: not {may}")
    assert wrong == []
    assert await counted(scene.there) == others_before, "nothing came to be in the other house"


async def counted(house: House) -> int:
    """How many instances a house holds, as its own machine counts them."""
    answer = await house.people["peer"].web.get("/dicomweb/instances", headers={"Accept": JSON})
    return len(answer.json()) if answer.status_code == 200 else 0


@pytest.mark.promise("IC-03", shows="matrix")
async def test_what_is_of_another_house_and_what_is_nowhere_is_one_answer(scene: Scene) -> None:
    nowhere = "00000000-0000-7000-8000-000000000000"
    for role, path in (
        ("clinician", "/studies/{}/open"), ("clinician", "/studies/{}/invite"), ("clinician", "/studies/{}/correct"),
        ("patient", "/scans/{}"), ("patient", "/scans/{}/open"),
    ):  # fmt: skip
        web = scene.here.people[role].web
        answers = [await web.get(path.format(one)) for one in (scene.there.held.id, nowhere)]
        assert {each.status_code for each in answers} == {404}, path
        assert len({re.sub(r'value="[0-9a-f]+"|' + str(scene.there.held.id) + "|" + nowhere, "", each.text)
                    for each in answers}) == 1, path  # fmt: skip


@pytest.mark.promise("IC-03", shows="matrix")
async def test_each_machine_reaches_its_own_house_by_dicom_and_a_stranger_none(scene: Scene) -> None:
    for title, own in ((MACHINES[0], scene.here), (MACHINES[1], scene.there), ("NOBODY_CT", None)):
        for house in (scene.here, scene.there):
            is_let_in, reached = await asyncio.to_thread(by_dicom, scene, title, house)
            assert is_let_in is (own is not None), title
            assert reached == dict.fromkeys(("find", "get"), house is own), (title, house.ae)
    before = await counted(scene.here), await counted(scene.there)
    [file] = specimens.phantom_ct(replace(scene.there.held.made, accession="A-DIMSE"), slices=1, size=16)
    assert await asyncio.to_thread(by_storing, scene, MACHINES[0], file) == 0
    assert (await counted(scene.here), await counted(scene.there)) == (before[0] + 1, before[1])


def associated(scene: Scene, title: str) -> Any:
    entity = AE(ae_title=title)
    for model in (FIND, GET, CT, Verification):
        entity.add_requested_context(model, ExplicitVRLittleEndian)
    return entity.associate(
        "127.0.0.1", scene.port, ae_title=scene.place.rooms.settings.ae,
        ext_neg=[build_role(CT, scu_role=True, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, lambda _: 0)],
    )  # fmt: skip


def by_dicom(scene: Scene, title: str, house: House) -> tuple[bool, dict[str, bool]]:
    """Whether the door lets a machine in and answers its C-ECHO, and what it reaches of the study of a house."""
    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", house.held.uid
    one = associated(scene, title)
    if not one.is_established:
        return False, dict.fromkeys(("find", "get"), False)
    try:
        return int(one.send_c_echo().Status) == 0, {
            "find": len(list(one.send_c_find(wanted, FIND))) > 1,
            "get": any(status.get("NumberOfCompletedSuboperations", 0) for status, _ in one.send_c_get(wanted, GET)),
        }
    finally:
        one.release()


def by_storing(scene: Scene, title: str, file: bytes) -> int:
    one = associated(scene, title)
    try:
        return int(one.send_c_store(pydicom.dcmread(io.BytesIO(file))).Status)
    finally:
        one.release()


@pytest.mark.promise("IC-03", shows="invitation")
async def test_an_invitation_lets_one_patient_in_once_and_in_time(scene: Scene) -> None:
    place, held = scene.place, scene.here.twin
    given = " ".join(reversed(held.made.name.split("^")))

    async def invited() -> tuple[str, dict[str, str]]:
        doctor = scene.here.people["clinician"]
        email = "invited@x.example"
        answer = await doctor.post(f"/studies/{held.id}/invite", {"email": email})
        assert answer.status_code == 303, answer.text
        told = re.sub(r"<[^>]+>", " ", (await doctor.web.get(answer.headers["location"])).text)
        await place.rooms.people.settled()
        link = re.findall(r"/invitation/[A-Za-z0-9_-]+", place.mails()[-1])[-1]
        code = re.findall(r"\b([0-9]{3} [0-9]{3})\b", told)[-1]
        return link, {"name": given, "day": "1", "month": "1", "year": "1970", "code": code, "email": email}

    async def comes_in(link: str, fields: dict[str, str]) -> httpx.Response:
        web = place.anybody().web
        return await web.post(link, data={**fields, **shown_in((await web.get(link)).text)})

    link, fields = await invited()
    with clock.moved(timedelta(days=30)):
        assert (await comes_in(link, fields)).status_code >= 400, "it ended by itself"
    assert (await comes_in(link, {**fields, "code": "000 000"})).status_code >= 400
    assert (await comes_in(link, fields)).status_code == 303
    assert (await comes_in(link, fields)).status_code >= 400, "it lets in once"
    done = await place.ledgered(kind="people:invitation:used", subject=held.subject_id)
    assert [event.outcome for event in done if event.outcome == "done"] == ["done"]


@pytest.mark.promise("IC-03", shows="invitation")
async def test_an_invitation_lets_one_referrer_in_once_and_in_time(scene: Scene) -> None:
    place, house = scene.place, scene.here.house
    permit = place.set_up_permit("administer", Target("organisation", house.id, house.id))

    async def invited(name: str) -> str:
        made = await place.rooms.people.invite_user(permit, house.id, f"{name}@x.example", name, "referrer")
        return f"/invitation/{made.secret}"

    async def comes_in(link: str) -> tuple[int, Person]:
        person = place.anybody()
        shown = (await person.web.get(link)).text
        return (await person.web.post(link, data=shown_in(shown))).status_code, person

    link = await invited("late")
    with clock.moved(timedelta(days=30)):
        assert (await comes_in(link))[0] >= 400, "it ended by itself"
    link = await invited("early")
    status, person = await comes_in(link)
    assert status == 303
    assert (await take_second_step(person.web)).status_code == 200
    assert str(scene.here.held.id) in (await person.web.get("/studies")).text
    assert (await comes_in(link))[0] >= 400, "it lets in once"
