"""Retrieving over the DICOM network with independent clients: dcmtk and pynetdicom."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, Association, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.common.hospital import OUR_AE, Hospital
from tests.common.programs import program, run
from tests.conformance.station import TITLES, Door, ask, free_port, keys, talk
from troth.doors import dimse
from troth.policy import Target


@dataclass
class Destination:
    """A storescp of dcmtk."""

    folder: Path
    port: int

    def received(self) -> dict[str, Dataset]:
        found = [pydicom.dcmread(path) for path in self.folder.iterdir()]
        return {dataset.SOPInstanceUID: dataset for dataset in found}


@asynccontextmanager
async def destination(hospital: Hospital, ae: str, folder: Path, *options: str) -> AsyncIterator[Destination]:
    """A registered destination that listens."""
    folder.mkdir()
    port = free_port()
    inside = hospital.permit("administer", Target("organisation", hospital.organisation.id, hospital.organisation.id))
    peer = await hospital.people.add_peer(inside, hospital.organisation.id, ae, "127.0.0.1", port)
    process = await asyncio.create_subprocess_exec(
        program("storescp"), *options, "-aet", ae, "-od", str(folder), str(port),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(100):
        with contextlib.suppress(OSError):
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            break
        await asyncio.sleep(0.05)
    yield Destination(folder, port)
    process.terminate()
    await process.wait()
    await hospital.people.end_peer(inside, peer.id)


def same(sent: Dataset, got: Dataset) -> None:
    """Element for element, but for lengths of groups and padding."""
    wanted = {e.tag for e in sent if e.tag.element and e.tag != 0xFFFCFFFC}
    assert {e.tag for e in got if e.tag.element and e.tag != 0xFFFCFFFC} == wanted
    assert all(sent[tag].value == got[tag].value for tag in wanted if sent[tag].VR not in ("SQ", "UN", "PN"))
    assert sent.get("PixelData") == got.get("PixelData")


@pytest.mark.conformance(
    "SCP Patient Root Query/Retrieve - MOVE",
    "SCU Storage C-MOVE",
    "C-MOVE and C-GET 0000",
    "client dcmtk",
    "security ledger",
)
async def test_movescu_to_a_registered_destination(door: Door, tmp_path: Path) -> None:
    async with destination(door.hospital, "STATION", tmp_path / "got", "+xa") as station:
        code, said = await run(
            "movescu", "-v", "-P", *TITLES, "-aem", "STATION", "-k", "QueryRetrieveLevel=PATIENT", "-k",
            "PatientID=A-1", "127.0.0.1", door.port,
        )  # fmt: skip
        assert code == 0, said
        assert "Received Final Move Response (Success)" in said
        got = station.received()
    assert got.keys() == {door.sent(number).SOPInstanceUID for number in (0, 1, 2)}
    for number in (0, 1, 2):
        sent = door.sent(number)
        held = got[sent.SOPInstanceUID]
        assert held.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
        same(sent, held)
    opened = (await door.hospital.events("archive:study:opened"))[0]
    assert (opened.actor_id, opened.purpose) == (door.hospital.modality.id, "care")
    assert opened.payload is not None
    assert opened.payload["recipient"] == "STATION"
    closed = (await door.hospital.events("archive:viewing:closed"))[:2]
    assert sum(event.counts["instances"] for event in closed) == 3


@pytest.mark.conformance(
    "SCP Study Root Query/Retrieve - MOVE",
    "C-MOVE and C-GET B000",
    "C-MOVE and C-GET FF00",
    "attributes on the way out",
)
async def test_a_destination_that_takes_implicit_vr_only(door: Door, tmp_path: Path, modality: AE) -> None:
    """Uncompressed instances are written anew for it; compressed ones fail and are named."""
    async with destination(door.hospital, "OLD", tmp_path / "got", "+xi") as station:
        modality.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
        asked = keys("STUDY", StudyInstanceUID=[door.sent(0).StudyInstanceUID, door.sent(2).StudyInstanceUID])

        def work(association: Association) -> list[tuple[Dataset, Dataset | None]]:
            return list(association.send_c_move(asked, "OLD", StudyRootQueryRetrieveInformationModelMove))

        responses = await talk(door, modality, work)
        got = station.received()
    last, failed = responses[-1]
    assert last.Status == 0xB000
    assert (last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations) == (2, 1)
    assert failed is not None
    assert failed.FailedSOPInstanceUIDList == door.sent(2).SOPInstanceUID
    assert [status.Status for status, _ in responses[:-1]] == [0xFF00] * 2
    for number in (0, 1):
        held = got[door.sent(number).SOPInstanceUID]
        assert held.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
        same(door.sent(number), held)


@pytest.mark.parametrize("ae", ["NOWHERE", "FOREIGN"])
@pytest.mark.conformance("C-MOVE and C-GET A801", "security tenants")
async def test_an_unknown_destination_and_one_of_another_organisation(door: Door, modality: AE, ae: str) -> None:
    hospital = door.hospital
    other = await hospital.people.add_organisation(hospital.permit("administer", Target("platform")), f"Other {ae}")
    there = hospital.permit("administer", Target("organisation", other.id, other.id))
    await hospital.people.add_peer(there, other.id, "FOREIGN", "127.0.0.1", 9, called_ae=ae)
    modality.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
    before = len(await hospital.events("archive:study:opened"))

    def work(association: Association) -> list[int]:
        asked = keys("STUDY", StudyInstanceUID=door.sent(0).StudyInstanceUID)
        return [
            status.Status
            for status, _ in association.send_c_move(asked, ae, StudyRootQueryRetrieveInformationModelMove)
        ]

    assert await talk(door, modality, work) == [0xA801]
    assert len(await hospital.events("archive:study:opened")) == before


@pytest.mark.conformance("C-MOVE and C-GET A702")
async def test_a_destination_that_is_down(door: Door, modality: AE) -> None:
    hospital = door.hospital
    inside = hospital.permit("administer", Target("organisation", hospital.organisation.id, hospital.organisation.id))
    await hospital.people.add_peer(inside, hospital.organisation.id, "DOWN", "127.0.0.1", free_port())
    modality.add_requested_context(StudyRootQueryRetrieveInformationModelMove)

    def work(association: Association) -> tuple[Dataset, Dataset | None]:
        asked = keys("STUDY", StudyInstanceUID=door.sent(0).StudyInstanceUID)
        return list(association.send_c_move(asked, "DOWN", StudyRootQueryRetrieveInformationModelMove))[-1]

    status, failed = await talk(door, modality, work)
    assert (status.Status, status.NumberOfFailedSuboperations) == (0xA702, 2)
    assert failed is not None
    assert len(failed.FailedSOPInstanceUIDList) == 2


@pytest.mark.conformance("SCP Patient Root Query/Retrieve - GET", "SCU Storage C-GET", "client dcmtk")
async def test_getscu(door: Door, tmp_path: Path) -> None:
    code, said = await run(
        "getscu", "-v", "-P", *TITLES, "-od", tmp_path, "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=A-1", "-k",
        f"StudyInstanceUID={door.sent(0).StudyInstanceUID}", "127.0.0.1", door.port,
    )  # fmt: skip
    assert code == 0, said
    got = {dataset.SOPInstanceUID: dataset for dataset in map(pydicom.dcmread, tmp_path.iterdir())}
    assert got.keys() == {door.sent(number).SOPInstanceUID for number in (0, 1)}
    for number in (0, 1):
        same(door.sent(number), got[door.sent(number).SOPInstanceUID])


async def get(door: Door, ae: AE, asked: Dataset, roles: bool = True) -> tuple[list[Dataset], Dataset]:
    model = StudyRootQueryRetrieveInformationModelGet
    ae.add_requested_context(model)
    classes = {door.sent(number).SOPClassUID for number in range(4)}
    for sop_class in sorted(classes):
        ae.add_requested_context(sop_class, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])
    ae.add_requested_context(door.sent(2).SOPClassUID, "1.2.840.10008.1.2.5")
    got: list[Dataset] = []

    def take(event: evt.Event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        got.append(dataset)
        return 0x0000

    def work(association: Association) -> Dataset:
        return [status for status, _ in association.send_c_get(asked, model)][-1]

    wanted = [build_role(sop_class, scp_role=True) for sop_class in classes] if roles else []
    last = await talk(door, ae, work, ext_neg=wanted, evt_handlers=[(evt.EVT_C_STORE, take)])
    return got, last


@pytest.mark.conformance(
    "SCP Study Root Query/Retrieve - GET",
    "SCU Storage C-GET",
    "C-MOVE and C-GET 0000",
    "attributes on the way out",
    "client pynetdicom",
)
async def test_get_in_the_syntax_that_is_held(door: Door, modality: AE) -> None:
    asked = keys("STUDY", StudyInstanceUID=[door.sent(0).StudyInstanceUID, door.sent(2).StudyInstanceUID])
    got, last = await get(door, modality, asked)
    assert (last.Status, last.NumberOfCompletedSuboperations) == (0, 3)
    by_uid = {dataset.SOPInstanceUID: dataset for dataset in got}
    for number in (0, 1, 2):
        sent = door.sent(number)
        same(sent, by_uid[sent.SOPInstanceUID])
        if number == 2:
            assert by_uid[sent.SOPInstanceUID].file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.5"


@pytest.mark.conformance("C-MOVE and C-GET A702", "association roles")
async def test_get_without_roles_fails_and_names_what(door: Door, modality: AE) -> None:
    asked = keys("STUDY", StudyInstanceUID=door.sent(0).StudyInstanceUID)
    got, last = await get(door, modality, asked, roles=False)
    assert (got, last.Status, last.NumberOfFailedSuboperations) == ([], 0xA702, 2)


async def test_get_a_series_and_an_image(door: Door, modality: AE) -> None:
    sent = door.sent(1)
    asked = keys("SERIES", StudyInstanceUID=sent.StudyInstanceUID, SeriesInstanceUID=sent.SeriesInstanceUID)
    got, _ = await get(door, modality, asked)
    assert [dataset.SOPInstanceUID for dataset in got] == [sent.SOPInstanceUID]
    asked.QueryRetrieveLevel = "IMAGE"
    asked.SOPInstanceUID = ["1.2.3", sent.SOPInstanceUID]
    got, last = await get(door, modality, asked)
    assert ([dataset.SOPInstanceUID for dataset in got], last.Status) == ([sent.SOPInstanceUID], 0)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"QueryRetrieveLevel": "STUDY"}, 0xA900),
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}, 0xA900),
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "*"}, 0xA900),
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3", "PatientName": "Spec*"}, 0xA900),
        ({"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2.3"}, 0xA900),
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3"}, 0x0124),
    ],
    ids=str,
)
@pytest.mark.conformance("C-MOVE and C-GET A900", "C-MOVE and C-GET 0124")
async def test_retrievals_that_do_not_say_what(door: Door, modality: AE, asked: dict[str, str], status: int) -> None:
    identifier = Dataset()
    for keyword, value in asked.items():
        setattr(identifier, keyword, value)
    got, last = await get(door, modality, identifier)
    assert (got, last.Status) == ([], status)


@pytest.mark.conformance("C-MOVE and C-GET 0124", "security decision")
async def test_a_study_restricted_is_not_sent(door: Door, modality: AE) -> None:
    hospital = door.hospital
    asked = keys("STUDY", StudyInstanceUID=door.sent(3).StudyInstanceUID)
    got, _ = await get(door, modality, asked)
    assert len(got) == 1
    target = await hospital.archive.target(hospital.clinician, door.sent(3).StudyInstanceUID)
    assert target.id is not None
    permit = hospital.permit("restrict", target)
    await hospital.archive.restrict_study(permit, target.id, True, "asked for")
    got, last = await get(door, modality, asked)
    assert (got, last.Status) == ([], 0x0124)
    found, _, _ = await ask(door, modality, keys("STUDY", StudyInstanceUID=door.sent(3).StudyInstanceUID))
    assert found == []
    await hospital.archive.restrict_study(permit, target.id, False, "allowed again")
    assert len((await get(door, modality, asked))[0]) == 1


@pytest.mark.conformance("C-MOVE and C-GET A701", "limit retrieved")
async def test_more_than_one_request_may_be_given_is_refused(door: Door, modality: AE) -> None:
    few = dimse.create(door.hospital, dimse.Limits(drain_seconds=1.0, retrieved=1))
    await few.start("127.0.0.1", 0)
    model = StudyRootQueryRetrieveInformationModelGet
    modality.add_requested_context(model)

    def work() -> int:
        association = modality.associate("127.0.0.1", few.port, ae_title=OUR_AE)
        asked = keys("STUDY", StudyInstanceUID=door.sent(0).StudyInstanceUID)
        statuses = [status.Status for status, _ in association.send_c_get(asked, model)]
        association.release()
        return int(statuses[-1])

    try:
        assert await asyncio.to_thread(work) == 0xA701
    finally:
        await few.stop()
