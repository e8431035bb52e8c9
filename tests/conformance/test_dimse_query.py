"""Searching and retrieving over the DICOM network with independent clients: dcmtk, pynetdicom, Orthanc."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, Association, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelFind,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.common.hospital import MODALITY, OUR_AE, Hospital, open_hospital
from tests.common.servers import ServedDatabase
from troth.doors import dimse
from troth.kit import clock
from troth.policy import Actor, Target
from troth.vault import Keyring

TITLES = ("-aet", MODALITY, "-aec", OUR_AE)
Result = TypeVar("Result")


@dataclass
class Door:
    """The listener, what is behind it, and what it holds."""

    hospital: Hospital
    listener: dimse.Listener
    files: list[Path]

    @property
    def port(self) -> int:
        return self.listener.port

    def sent(self, number: int = 0) -> Dataset:
        return pydicom.dcmread(self.files[number])


@pytest.fixture(scope="module")
async def hospital(database: ServedDatabase, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return await open_hospital(database, keyring, tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
async def door(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    listener = dimse.create(hospital, dimse.Limits(drain_seconds=1.0))
    await listener.start("127.0.0.1", 0)
    files = specimens(tmp_path_factory.mktemp("sent"))
    await send(listener.port, files)
    yield Door(hospital, listener, files)
    await listener.stop()


def specimens(folder: Path) -> list[Path]:
    """Three studies of two people: one of two series in two syntaxes, one compressed, one with a name in Latin 1."""
    made: list[Path] = []

    def add(name: str, **attributes: str) -> Dataset:
        source = get_testdata_file(name, download=False)
        assert source is not None
        dataset = pydicom.dcmread(str(source))
        for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            setattr(dataset, keyword, attributes.pop(keyword, generate_uid()))
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        made.append(folder / f"{len(made)}-{name}")
        dataset.save_as(made[-1])
        return dataset

    ann = {"PatientID": "A-1", "PatientName": "Specimen^Ann", "PatientBirthDate": "19700102", "PatientSex": "F"}
    ct = add("CT_small.dcm", **ann, StudyDate="20240105", AccessionNumber="ACC1")
    add("MR_small.dcm", **ann, StudyDate="20240105", AccessionNumber="ACC1", StudyInstanceUID=ct.StudyInstanceUID)
    add("MR_small_RLE.dcm", **ann, StudyDate="20240210", AccessionNumber="ACC2")
    add("rtplan.dcm", PatientID="B-1", PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 100",
        StudyDate="20231231", AccessionNumber="ACC3")  # fmt: skip
    return made


async def run(program: str, *arguments: object) -> tuple[int, str]:
    """Run a client beside the listener; its end and what it said."""
    if shutil.which(program) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")
    process = await asyncio.create_subprocess_exec(
        program, *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")


async def send(port: int, files: list[Path]) -> None:
    code, said = await run("dcmsend", "-v", *TITLES, "127.0.0.1", port, *files)
    assert code == 0, said


@pytest.fixture
def modality() -> Iterator[AE]:
    ae = AE(MODALITY)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
    yield ae
    ae.shutdown()


async def talk(door: Door, ae: AE, work: Callable[[Association], Result], **options: Any) -> Result:
    """Do something with an association in a thread."""

    def in_thread() -> Result:
        association = ae.associate("127.0.0.1", door.port, ae_title=OUR_AE, **options)
        assert association.is_established
        try:
            return work(association)
        finally:
            association.release()

    return await asyncio.to_thread(in_thread)


def keys(level: str, **values: Any) -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(asked, keyword, value)
    return asked


async def ask(
    door: Door, ae: AE, asked: Dataset, model: str = StudyRootQueryRetrieveInformationModelFind
) -> tuple[list[Dataset], Dataset, list[int]]:
    """Search; the matches, the last response, and the statuses of the pending ones."""
    ae.add_requested_context(model)

    def work(association: Association) -> tuple[list[Dataset], Dataset, list[int]]:
        found, statuses, last = [], [], Dataset()
        for status, identifier in association.send_c_find(asked, model):
            last = status
            if status.Status in (0xFF00, 0xFF01):
                statuses.append(int(status.Status))
                assert identifier is not None
                found.append(identifier)
        return found, last, statuses

    return await talk(door, ae, work)


# -- C-FIND --------------------------------------------------------------------------------------------------------


@pytest.mark.conformance(
    "SCP Study Root Query/Retrieve - FIND", "C-FIND FF00", "C-FIND 0000", "C-FIND match single value"
)
async def test_a_study_is_found_with_all_that_was_asked_for(door: Door, modality: AE) -> None:
    sent = door.sent(0)
    asked = keys(
        "STUDY", PatientID="A-1", PatientName="", StudyInstanceUID="", StudyDate="", AccessionNumber="ACC1",
        ModalitiesInStudy="", NumberOfStudyRelatedInstances="", StudyDescription="", PatientBirthDate="",
    )  # fmt: skip
    (found,), last, statuses = await ask(door, modality, asked)
    assert (last.Status, statuses) == (0, [0xFF00])
    assert found.StudyInstanceUID == sent.StudyInstanceUID
    assert (found.PatientName, found.PatientID, found.PatientBirthDate) == ("Specimen^Ann", "A-1", "19700102")
    assert sorted(found.ModalitiesInStudy) == ["CT", "MR"]
    assert found.NumberOfStudyRelatedInstances == 2
    assert (found.RetrieveAETitle, found.QueryRetrieveLevel, found.InstanceAvailability) == (OUR_AE, "STUDY", "ONLINE")
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert "SeriesInstanceUID" not in found


@pytest.mark.parametrize(
    ("asked", "accessions"),
    [
        ({"PatientName": "SPECIMEN*"}, {"ACC1", "ACC2"}),
        ({"PatientName": "Spec?men^Ann"}, {"ACC1", "ACC2"}),
        ({"PatientName": "*"}, {"ACC1", "ACC2", "ACC3"}),
        ({"StudyDate": "20240101-"}, {"ACC1", "ACC2"}),
        ({"StudyDate": "-20231231"}, {"ACC3"}),
        ({"StudyDate": "20240101-20240131"}, {"ACC1"}),
        ({"StudyDate": "20240210"}, {"ACC2"}),
        ({"ModalitiesInStudy": "RTPLAN"}, {"ACC3"}),
        ({"PatientID": "A-1", "StudyDate": "20240210"}, {"ACC2"}),
        ({"PatientID": "Z-9"}, set()),
        ({"AccessionNumber": "ACC?"}, {"ACC1", "ACC2", "ACC3"}),
    ],
    ids=lambda value: ",".join(sorted(value)) if isinstance(value, set) else str(value),
)
@pytest.mark.conformance(
    "C-FIND match universal", "C-FIND match single value", "C-FIND match wildcard", "C-FIND match range"
)
async def test_matching(door: Door, modality: AE, asked: dict[str, str], accessions: set[str]) -> None:
    found, last, _ = await ask(door, modality, keys("STUDY", **({"AccessionNumber": ""} | asked)))
    assert last.Status == 0
    assert {one.AccessionNumber for one in found} == accessions


@pytest.mark.conformance("C-FIND match list of UID")
async def test_a_list_of_uids(door: Door, modality: AE) -> None:
    wanted = [door.sent(0).StudyInstanceUID, door.sent(3).StudyInstanceUID, "1.2.3"]
    found, _, _ = await ask(door, modality, keys("STUDY", StudyInstanceUID=wanted))
    assert {one.StudyInstanceUID for one in found} == set(wanted[:2])


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192"])
@pytest.mark.conformance("C-FIND match character sets")
async def test_a_search_in_the_peers_own_characters(door: Door, modality: AE, charset: str) -> None:
    asked = keys("STUDY", SpecificCharacterSet=charset, PatientName="Müller*", AccessionNumber="")
    (found,), _, _ = await ask(door, modality, asked)
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert found.PatientName == "Müller^Jörg"


@pytest.mark.conformance("SCP Study Root Query/Retrieve - FIND")
async def test_series_and_images(door: Door, modality: AE) -> None:
    ct = door.sent(0)
    found, _, _ = await ask(
        door,
        modality,
        keys("SERIES", StudyInstanceUID=ct.StudyInstanceUID, SeriesInstanceUID="", Modality=""),
    )
    assert {(one.SeriesInstanceUID, one.Modality) for one in found} == {
        (door.sent(number).SeriesInstanceUID, door.sent(number).Modality) for number in (0, 1)
    }
    asked = keys("SERIES", StudyInstanceUID=ct.StudyInstanceUID, SeriesInstanceUID="", Modality="MR")
    assert [one.SeriesInstanceUID for one in (await ask(door, modality, asked))[0]] == [door.sent(1).SeriesInstanceUID]
    asked = keys(
        "IMAGE", StudyInstanceUID=ct.StudyInstanceUID, SeriesInstanceUID=ct.SeriesInstanceUID, SOPInstanceUID="",
        SOPClassUID="", Rows=None,
    )  # fmt: skip
    (image,), _, statuses = await ask(door, modality, asked)
    assert statuses == [0xFF00]
    assert (image.SOPInstanceUID, image.SOPClassUID, image.Rows) == (ct.SOPInstanceUID, ct.SOPClassUID, ct.Rows)


@pytest.mark.conformance("SCP Patient Root Query/Retrieve - FIND")
async def test_patients(door: Door, modality: AE) -> None:
    model = PatientRootQueryRetrieveInformationModelFind
    found, _, _ = await ask(door, modality, keys("PATIENT", PatientID="", PatientName=""), model)
    assert sorted(one.PatientID for one in found) == ["A-1", "B-1"]
    found, _, _ = await ask(door, modality, keys("STUDY", PatientID="A-1", StudyInstanceUID=""), model)
    assert {one.StudyInstanceUID for one in found} == {door.sent(0).StudyInstanceUID, door.sent(2).StudyInstanceUID}


@pytest.mark.parametrize(
    ("model", "asked", "status", "offending"),
    [
        ("study", {"QueryRetrieveLevel": "PATIENT", "PatientID": "A-1"}, 0xA900, 0x00080052),
        ("study", {"QueryRetrieveLevel": "", "PatientID": "A-1"}, 0xA900, 0x00080052),
        ("study", {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": ""}, 0xA900, 0x0020000D),
        ("study", {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": ["1.2", "1.3"]}, 0xA900, 0x0020000D),
        ("patient", {"QueryRetrieveLevel": "STUDY", "PatientID": "", "StudyDate": "20240105"}, 0xA900, 0x00100020),
        ("patient", {"QueryRetrieveLevel": "STUDY", "PatientID": "A*"}, 0xA900, 0x00100020),
        ("patient", {"QueryRetrieveLevel": "PATIENT", "StudyDate": "20240105"}, 0xC001, 0x00080020),
        ("study", {"QueryRetrieveLevel": "STUDY", "Modality": "CT"}, 0xC001, 0x00080060),
        ("study", {"QueryRetrieveLevel": "STUDY", "OtherPatientNames": "Ann"}, 0xC001, 0x00101001),
        ("study", {"QueryRetrieveLevel": "STUDY", "StudyDate": "yesterday"}, 0xC002, None),
        ("study", {"QueryRetrieveLevel": "STUDY", "RetrieveAETitle": "OTHER"}, 0xC001, 0x00080054),
    ],
    ids=str,
)
@pytest.mark.conformance("C-FIND A900", "C-FIND C001", "C-FIND C002")
async def test_what_cannot_be_honoured_is_refused_and_nothing_is_told(
    door: Door, modality: AE, model: str, asked: dict[str, Any], status: int, offending: int | None
) -> None:
    identifier = Dataset()
    for keyword, value in asked.items():
        setattr(identifier, keyword, value)
    models = {
        "study": StudyRootQueryRetrieveInformationModelFind,
        "patient": PatientRootQueryRetrieveInformationModelFind,
    }
    found, last, _ = await ask(door, modality, identifier, models[model])
    assert found == []
    assert last.Status == status
    assert last.ErrorComment
    if offending:
        assert last.OffendingElement == offending
    refused = (await door.hospital.events("archive:studies:queried"))[0]
    assert refused.outcome == "refused"


@pytest.mark.conformance("C-FIND C001", "C-FIND FF01")
async def test_a_key_inside_a_sequence_is_refused_and_an_empty_one_only_named_as_missing(
    door: Door, modality: AE
) -> None:
    other = Dataset()
    other.PatientID = "A-1"
    asked = keys("STUDY", PatientID="A-1", OtherPatientIDsSequence=[other])
    found, last, _ = await ask(door, modality, asked)
    assert (found, last.Status, last.OffendingElement) == ([], 0xC001, 0x00101002)
    other.PatientID = ""
    found, last, statuses = await ask(door, modality, asked)
    assert (len(found), last.Status, set(statuses)) == (2, 0, {0xFF01})
    assert "OtherPatientIDsSequence" not in found[0]


@pytest.mark.conformance("security ledger")
async def test_every_search_is_in_the_ledger(door: Door, modality: AE) -> None:
    await ask(door, modality, keys("STUDY", PatientID="B-1"))
    event = (await door.hospital.events("archive:studies:queried"))[0]
    assert (event.actor_id, event.outcome, event.counts["results"]) == (door.hospital.modality.id, "done", 1)
    assert event.payload is not None
    assert event.payload["keys"] == {"PatientID": "B-1"}


@pytest.mark.conformance("client dcmtk")
async def test_findscu(door: Door) -> None:
    code, said = await run(
        "findscu", "-v", "-S", *TITLES, "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=spec*", "-k",
        "StudyInstanceUID", "127.0.0.1", door.port,
    )  # fmt: skip
    assert code == 0, said
    assert len(re.findall(r"Find Response: \d+ \(Pending\)", said)) == 2, said


@pytest.mark.conformance("association operations")
async def test_findscu_cancels(door: Door) -> None:
    code, said = await run(
        "findscu", "-v", "-P", *TITLES, "--cancel", 1, "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID",
        "127.0.0.1", door.port,
    )  # fmt: skip
    assert code == 0, said
    assert "Cancel" in said


# -- C-MOVE and C-GET ----------------------------------------------------------------------------------------------


@dataclass
class Destination:
    """A storescp of dcmtk."""

    folder: Path
    port: int

    def received(self) -> dict[str, Dataset]:
        found = [pydicom.dcmread(path) for path in self.folder.iterdir()]
        return {dataset.SOPInstanceUID: dataset for dataset in found}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def destination(hospital: Hospital, ae: str, folder: Path, *options: str) -> AsyncIterator[Destination]:
    """A registered destination that listens."""
    folder.mkdir()
    port = free_port()
    inside = hospital.permit("administer", Target("organisation", hospital.organisation.id, hospital.organisation.id))
    peer = await hospital.people.add_peer(inside, hospital.organisation.id, ae, "127.0.0.1", port)
    process = await asyncio.create_subprocess_exec(
        "storescp", *options, "-aet", ae, "-od", str(folder), str(port),
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


@pytest.mark.conformance("C-FIND 0124", "N-ACTION 0124", "limit permit_seconds")
async def test_a_peer_taken_out_of_use_finds_and_asks_nothing_more(door: Door, modality: AE) -> None:
    hospital = door.hospital
    place = hospital.organisation.id
    inside = hospital.permit("administer", Target("organisation", place, place))
    find, commitment = StudyRootQueryRetrieveInformationModelFind, StorageCommitmentPushModel
    modality.add_requested_context(find)
    modality.add_requested_context(commitment)
    association = await asyncio.to_thread(modality.associate, "127.0.0.1", door.port, ae_title=OUR_AE)
    asked, wanted = keys("STUDY", StudyInstanceUID=""), wish((door.sent(0).SOPClassUID, door.sent(0).SOPInstanceUID))
    try:
        assert len(await asyncio.to_thread(lambda: list(association.send_c_find(asked, find)))) > 1
        await hospital.people.end_peer(inside, hospital.modality.id)
        with clock.moved(timedelta(seconds=2)):
            ((refused, _),) = await asyncio.to_thread(lambda: list(association.send_c_find(asked, find)))
            assert refused.Status == 0x0124
            status, _ = await asyncio.to_thread(association.send_n_action, wanted, 1, commitment, WELL_KNOWN)
            assert status.Status == 0x0124
    finally:
        await asyncio.to_thread(association.release)
        hospital.modality = await hospital.people.add_peer(inside, place, MODALITY, "127.0.0.1", 104, called_ae=OUR_AE)


# -- storage commitment --------------------------------------------------------------------------------------------

WELL_KNOWN = "1.2.840.10008.1.20.1.1"
Report = tuple[int, Dataset]


def wish(*references: tuple[str, str]) -> Dataset:
    asked = Dataset()
    asked.TransactionUID = generate_uid()
    asked.ReferencedSOPSequence = []
    for sop_class, uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        asked.ReferencedSOPSequence.append(item)
    return asked


def taking(reports: asyncio.Queue[Report], loop: asyncio.AbstractEventLoop) -> tuple[object, object]:
    def take(event: evt.Event) -> tuple[int, None]:
        loop.call_soon_threadsafe(reports.put_nowait, (event.event_type, event.event_information))
        return 0x0000, None

    return (evt.EVT_N_EVENT_REPORT, take)


async def request(
    door: Door, ae: AE, asked: Dataset, *, stay_seconds: float = 0.0, **how: Any
) -> tuple[int, list[Report]]:
    """Ask for a commitment; the status, and the reports on the same association while it stays open."""
    ae.add_requested_context(StorageCommitmentPushModel)
    reports: asyncio.Queue[Report] = asyncio.Queue()
    handlers = [taking(reports, asyncio.get_running_loop())]
    options = {"action_type": 1, "class_uid": StorageCommitmentPushModel, "instance_uid": WELL_KNOWN} | how

    def work(association: Association) -> int:
        status, _ = association.send_n_action(
            asked, options["action_type"], options["class_uid"], options["instance_uid"]
        )
        until = time.monotonic() + stay_seconds
        while time.monotonic() < until and reports.empty():
            time.sleep(0.02)
        return int(status.Status)

    status = await talk(door, ae, work, evt_handlers=handlers)
    return status, [reports.get_nowait() for _ in range(reports.qsize())]


@pytest.mark.conformance("SCP Storage Commitment Push Model", "N-ACTION 0000", "client pynetdicom")
async def test_a_commitment_on_the_same_association(door: Door, modality: AE) -> None:
    ct, mr = door.sent(0), door.sent(1)
    asked = wish((ct.SOPClassUID, ct.SOPInstanceUID), (mr.SOPClassUID, mr.SOPInstanceUID))
    status, ((event_type, report),) = await request(door, modality, asked, stay_seconds=20)
    assert (status, event_type) == (0, 1)
    assert report.TransactionUID == asked.TransactionUID
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [
        ct.SOPInstanceUID,
        mr.SOPInstanceUID,
    ]
    assert "FailedSOPSequence" not in report
    (event,) = await eventually(lambda: door.hospital.events("archive:commitment:answered"))
    assert event.counts == {"instances": 2, "failed": 0}


async def eventually(ask: Callable[[], Any]) -> list[Any]:
    for _ in range(200):
        if found := await ask():
            return list(found)
        await asyncio.sleep(0.05)
    return []


@pytest.mark.conformance("N-EVENT-REPORT 0112", "N-EVENT-REPORT 0119")
async def test_what_is_not_held_or_of_another_class_or_broken_is_not_committed_to(door: Door, modality: AE) -> None:
    ct, mr = door.sent(0), door.sent(1)
    asked = wish((ct.SOPClassUID, ct.SOPInstanceUID), (ct.SOPClassUID, "1.2.3.4"), (ct.SOPClassUID, mr.SOPInstanceUID))
    _, ((event_type, report),) = await request(door, modality, asked, stay_seconds=20)
    assert event_type == 2
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [ct.SOPInstanceUID]
    assert [(item.ReferencedSOPInstanceUID, item.FailureReason) for item in report.FailedSOPSequence] == [
        ("1.2.3.4", 0x0112),
        (mr.SOPInstanceUID, 0x0119),
    ]


@pytest.mark.parametrize(
    ("how", "status"),
    [({"action_type": 2}, 0x0123), ({"instance_uid": "1.2.3"}, 0x0112), ({}, 0x0115)],
    ids=["action", "instance", "empty"],
)
@pytest.mark.conformance("N-ACTION 0112", "N-ACTION 0115", "N-ACTION 0123")
async def test_requests_that_are_none(door: Door, modality: AE, how: dict[str, Any], status: int) -> None:
    assert await request(door, modality, wish(), **how) == (status, [])


@pytest.mark.conformance("SCP Storage Commitment Push Model")
async def test_a_peer_that_has_left_is_called(door: Door, modality: AE) -> None:
    """Also after a restart: what was asked for is durable."""
    hospital, ct = door.hospital, door.sent(0)
    port = free_port()
    inside = hospital.permit("administer", Target("organisation", hospital.organisation.id, hospital.organisation.id))
    peer = await hospital.people.add_peer(inside, hospital.organisation.id, "WAITER", "127.0.0.1", port)
    waiter = AE("WAITER")
    waiter.acse_timeout = waiter.dimse_timeout = waiter.network_timeout = 20
    asked = wish((ct.SOPClassUID, ct.SOPInstanceUID))
    assert (await request(door, waiter, asked))[0] == 0
    await asyncio.sleep(0.5)  # the first try fails: nobody listens yet
    reports: asyncio.Queue[Report] = asyncio.Queue()
    waiter.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    server = waiter.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[taking(reports, asyncio.get_running_loop())]
    )
    try:
        later = dimse.create(hospital, dimse.Limits(drain_seconds=1.0))
        system = Actor(kind="system", tenant=hospital.organisation.id)
        with clock.moved(timedelta(minutes=2)):
            await later.reporter.answer_due(system)
        event_type, report = await asyncio.wait_for(reports.get(), 10)
        assert (event_type, report.TransactionUID) == (1, asked.TransactionUID)
    finally:
        server.shutdown()
        await hospital.people.end_peer(inside, peer.id)
