"""A restricted study at every door: viewer, search and sending refuse at once, storage keeps, its owner sees it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.common.deployment import Deployment, Held, OpenDeployment, Person
from tests.common.receiver import CT, receiving
from tests.promises.test_choices import choose
from troth.archive import FolderMedium, MediaWriter
from troth.dicom import specimens
from troth.doors import dimse
from troth.kit.errors import PermitDenied

PART = "sharing and rectification"
MACHINE = "EVERY_CT"
FIND = StudyRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove
JSON = "application/dicom+json"

Result = TypeVar("Result")


@dataclass
class Scene:
    """A study of two instances, and those who want something of it."""

    place: Deployment
    port: int
    held: Held
    patient: Person
    doctor: Person
    machine: Person
    folder: Path

    async def associated(self, work: Callable[[Any], Result], **options: Any) -> Result:
        """Do something over an association of the registered machine."""

        def talk() -> Result:
            entity = AE(ae_title=MACHINE)
            for model in (FIND, GET, MOVE, CT):
                entity.add_requested_context(model, ExplicitVRLittleEndian)
            association = entity.associate("127.0.0.1", self.port, ae_title=self.place.rooms.settings.ae, **options)
            assert association.is_established
            try:
                return work(association)
            finally:
                association.release()

        return await asyncio.to_thread(talk)

    @property
    def wanted(self) -> Dataset:
        """What a machine asks with."""
        asked = Dataset()
        asked.QueryRetrieveLevel = "STUDY"
        asked.StudyInstanceUID = self.held.uid
        return asked

    def file(self, number: int) -> bytes:
        """A further instance of the study."""
        return specimens.phantom_ct(self.held.made, slices=number + 1, size=16)[number]


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture
async def scene(place: Deployment, tmp_path: Path) -> AsyncIterator[Scene]:
    house = await place.organisation()
    held = await place.study(house, slices=2)
    listener = dimse.create(place.rooms)
    await listener.start("127.0.0.1", 0)
    await place.peer(MACHINE, house)
    yield Scene(
        place, listener.port, held, await place.patient(held), await place.staff("clinician", house),
        await place.bearer("peer", "care", house), tmp_path,
    )  # fmt: skip
    await listener.stop()


async def reached(scene: Scene, turn: int) -> dict[str, bool]:
    """Which doors give anything of the study."""
    held, machine, doctor = scene.held, scene.machine, scene.doctor
    [series] = sorted({pydicom.dcmread(io.BytesIO(scene.file(0))).SeriesInstanceUID})
    instance = str(pydicom.dcmread(io.BytesIO(scene.file(0))).SOPInstanceUID)
    study = f"/dicomweb/studies/{held.uid}"
    image = f"{study}/series/{series}/instances/{instance}"
    by_uri = f"/dicomweb/wado?requestType=WADO&studyUID={held.uid}&seriesUID={series}&objectUID={instance}"
    found: dict[str, bool] = {}
    for who, client in (("program", machine.web), ("viewer", doctor.viewer), ("pages", doctor.web)):
        for name, path, headers in (
            ("QIDO studies", f"/dicomweb/studies?StudyInstanceUID={held.uid}", {}),
            ("QIDO by name", f"/dicomweb/studies?PatientID={held.made.patient_id}", {}),
            ("QIDO series", f"{study}/series", {}),
            ("QIDO all instances", f"/dicomweb/instances?StudyInstanceUID={held.uid}", {}),
            ("WADO study", study, {"Accept": 'multipart/related; type="application/dicom"'}),
            ("WADO metadata", f"{study}/metadata", {"Accept": JSON}),
            ("WADO frames", f"{image}/frames/1", {"Accept": 'multipart/related; type="application/octet-stream"'}),
            ("WADO rendered", f"{image}/rendered", {"Accept": "image/jpeg"}),
            ("WADO thumbnail", f"{study}/thumbnail", {"Accept": "image/jpeg"}),
            ("WADO-URI", f"{by_uri}&contentType=application/dicom", {}),
        ):
            answer = await client.get(path, headers=headers)
            assert answer.status_code in (200, 204, 404), (name, answer.status_code, answer.text)
            found[f"{who}: {name}"] = answer.status_code == 200 and answer.content not in (b"", b"[]")
    found["page: search"] = held.made.patient_id in (await doctor.web.get("/studies")).text
    found["page: open"] = (await doctor.web.get(f"/studies/{held.id}/open")).status_code == 303
    found["C-FIND"] = await scene.associated(lambda one: len(list(one.send_c_find(scene.wanted, FIND))) > 1)
    found["C-GET"] = await scene.associated(
        lambda one: any(
            status.get("NumberOfCompletedSuboperations", 0) for status, _ in one.send_c_get(scene.wanted, GET)
        ),
        ext_neg=[build_role(CT, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, lambda _: 0)],
    )
    with receiving(f"DEST{turn}") as station:
        await scene.place.peer(f"DEST{turn}", held.house, station.port)
        await scene.associated(lambda one: list(one.send_c_move(scene.wanted, f"DEST{turn}", MOVE)))
        found["C-MOVE"] = bool(station.uids)
    found["media export"] = await exported(scene, turn)
    return found


async def exported(scene: Scene, turn: int) -> bool:
    """As `troth archive export` does it: opened by somebody of the organisation, written to a folder."""
    rooms, actor = scene.place.rooms, scene.machine.actor
    try:
        target = await rooms.archive.target(actor, scene.held.uid)
        permit = await rooms.policy.require(actor, "retrieve", target, "care")
        viewing = await rooms.archive.open_study(permit, scene.held.uid)
        async with aclosing(MediaWriter(FolderMedium(scene.folder / str(turn)))) as writer:
            await writer.add(viewing)
        await viewing.close()
    except PermitDenied:
        return False
    return True


async def kept(scene: Scene, number: int) -> list[bool]:
    """What storage goes on doing: a further instance by each way in, and the word that all is held safely."""
    dataset = pydicom.dcmread(io.BytesIO(scene.file(number)))
    stored = await scene.associated(lambda one: int(one.send_c_store(dataset).Status))
    stowed = await scene.place.stow([scene.file(number + 1)], scene.held.house, by=scene.machine)
    uid = str(pydicom.dcmread(io.BytesIO(scene.file(0))).SOPInstanceUID)
    reference = {"00081150": {"vr": "UI", "Value": [CT]}, "00081155": {"vr": "UI", "Value": [uid]}}
    committed = await scene.machine.web.post(
        f"/dicomweb/commitment-requests/{generate_uid()}",
        json={"00081199": {"vr": "SQ", "Value": [reference]}},
        headers={"Content-Type": JSON},
    )
    return [stored == 0, stowed.status_code == 200, committed.status_code == 200 and "00081198" not in committed.json()]


@pytest.mark.promise("IC-19", shows="restricted", lacks=PART)
async def test_no_door_gives_a_restricted_study_and_all_of_them_keep_it(scene: Scene) -> None:
    held, patient = scene.held, scene.patient
    before = await reached(scene, 1)
    assert {door for door, gives in before.items() if not gives} == set()
    assert await kept(scene, 2) == [True] * 3

    assert "Use is stopped" in (await choose(patient, "stop", str(held.id))).text
    await asyncio.sleep(1.0)
    during = await reached(scene, 2)
    assert {door for door, gives in during.items() if gives} == set()
    assert await kept(scene, 4) == [True] * 3
    # The person sees it, and may have the copy that is their right.
    assert (await patient.web.get(f"/scans/{held.id}")).status_code == 200
    assert (await patient.viewer.get(f"/dicomweb/studies/{held.uid}/metadata")).status_code == 200
    refused = await scene.place.ledgered(kind="policy:access:refused", subject=held.subject_id)
    assert refused
    assert all("9.4" in event.clauses for event in refused)

    page = (await patient.web.get("/choices")).text
    restriction = page.split('name="act" value="allow"')[1].split('name="about" value="')[1].split('"')[0]
    await choose(patient, "allow", restriction)
    await asyncio.sleep(1.0)
    after = await reached(scene, 3)
    assert {door for door, gives in after.items() if not gives} == set()
    answer = await scene.doctor.viewer.get(f"/dicomweb/studies/{held.uid}/metadata")
    assert len(answer.json()) == 6, "what came meanwhile was kept"
