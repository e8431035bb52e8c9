"""Every role and act, about one's own house and another, through every door; and who gets in by invitation."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from dataclasses import replace
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
from tests.common.deployment import NOTICES, Deployment, OpenDeployment, Person
from tests.common.receiver import CT
from tests.promises.matrix import ACTS, BY_DIMSE, NO_DOOR, NOT_THERE, House, Scene, counted, furnished, state
from troth import notice
from troth.dicom import specimens
from troth.doors import dimse
from troth.kit import clock
from troth.policy import Target

FIND, GET = StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet
MACHINES: Final = ("HERE_CT", "THERE_CT")


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture(scope="module")
async def scene(cloud: Deployment) -> AsyncIterator[Scene]:
    listener = dimse.create(cloud.rooms)
    await listener.start("127.0.0.1", 0)
    here, there = [await furnished(cloud, await cloud.organisation(), ae) for ae in MACHINES]
    await cloud.fulfil()
    officer = await cloud.staff("office", next(each for each in cloud.organisations if each.operates))
    await cloud.sequencer.drain()  # what changed is told once it is in the ledger
    yield Scene(cloud, listener.port, here, there, officer, cloud.anybody(), clock.now())
    await listener.stop()


@pytest.mark.promise("IC-03", shows="matrix")
@pytest.mark.parametrize("name", ACTS)
async def test_each_role_does_about_its_own_house_what_the_notice_says_and_about_another_nothing(
    scene: Scene, name: str
) -> None:
    act = ACTS[name]
    await scene.freshen()
    wrong = []
    # Who may comes last: what they use up is there for all who may not.
    for role, person in sorted(scene.everybody().items(), key=lambda one: one[0] in act.roles):
        for house in (scene.there, scene.here):
            is_free = act.is_own and house is scene.there  # whatever it comes to, it is one's own house's
            may = house is scene.here and role in act.roles
            if act.thing is not None:
                house.thing = await act.thing(scene, house)
            others_before = await state(scene, scene.there)
            if await act.tried(person, house) is not may and not is_free:
                wrong.append(f"{role}, {'here' if house is scene.here else 'there'}: not {may}")
            if await state(scene, scene.there) != others_before:
                wrong.append(f"{role}: something changed in the other house")
    assert wrong == []


@pytest.mark.promise("IC-03", shows="matrix")
def test_every_act_that_the_notice_grants_is_tried_for_whom_it_is_granted() -> None:
    granted = notice.compile([notice.load(NOTICES / "imaging-cloud")]).granted
    tried = {("peer", action) for action in BY_DIMSE}
    for name, act in ACTS.items():
        tried |= {("anybody" if "nobody" in act.roles else role, name.partition(",")[0]) for role in act.roles}
    tried = {("office" if role == "officer" else role, action) for role, action in tried}
    at_doors = {(role, action) for role, action in granted if role not in NO_DOOR}
    assert at_doors - tried == set(NOT_THERE)
    assert tried <= at_doors, "the table says no more than the notice grants"
    assert set(NO_DOOR) <= {role for role, _ in granted}


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
