"""An independent client, dicomweb-client, against a real server on a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from io import BytesIO

import numpy as np
import pydicom
import pytest
import requests
import uvicorn
from dicomweb_client.api import DICOMwebClient
from pydicom.encaps import get_frame
from pydicom.uid import generate_uid

from tests.unit.archive.rooms import instance, real_files
from tests.unit.doors.dicomweb.conftest import House
from troth.kit import clock
from troth.people import Bearer
from troth.policy import Actor


class Served:
    def __init__(self, house: House, url: str) -> None:
        self.house = house
        self.url = url

    def client(self, actor: Actor, purpose: str) -> DICOMwebClient:
        token = f"client-{len(self.house.people.bearers)}"
        self.house.people.bearers[token] = Bearer(actor, purpose, clock.now())
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {token}"
        return DICOMwebClient(self.url, session=session)


@pytest.fixture(scope="module")
async def served(house: House) -> AsyncIterator[Served]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(house.app, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield Served(house, f"http://127.0.0.1:{listener.getsockname()[1]}/dicomweb")
    server.should_exit = True
    await serving


@pytest.mark.conformance(
    "client dicomweb-client",
    "GET studies",
    "GET studies/{study}",
    "GET studies/{study}/metadata",
    "GET studies/{study}/series",
    "HTTP 204",
    "HTTP 404",
)
async def test_store_search_retrieve(served: Served) -> None:
    study, series = generate_uid(), generate_uid()
    sent = [
        pydicom.dcmread(
            BytesIO(
                instance(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=n, PatientName="Client^Web")
            )
        )
        for n in (1, 2, 3)
    ]
    sender = served.client(served.house.rooms.actor("peer"), "care")
    reader = served.client(served.house.rooms.actor("clinician"), "diagnosis")

    def work() -> None:
        answer = sender.store_instances(sent)
        assert len(answer.ReferencedSOPSequence) == 3
        (found,) = reader.search_for_studies(search_filters={"PatientName": "Client*"}, fields=["StudyDescription"])
        assert pydicom.Dataset.from_json(found).StudyInstanceUID == study
        assert reader.search_for_studies(search_filters={"PatientName": "Nobody*"}) == []
        assert len(reader.search_for_series(study)) == 1
        assert len(reader.search_for_instances(study, series)) == 3
        assert len(reader.retrieve_study_metadata(study)) == 3
        assert reader.retrieve_study(study) == sent
        uid = sent[0].SOPInstanceUID
        one = reader.retrieve_instance(study, series, uid)
        assert one == sent[0]
        (frame,) = reader.retrieve_instance_frames(study, series, uid, [1])
        assert np.array_equal(np.frombuffer(frame, "<u2").reshape(16, 16), sent[0].pixel_array)
        picture = reader.retrieve_instance_rendered(study, series, uid, media_types=("image/png",))
        assert picture[:4] == b"\x89PNG"
        with pytest.raises(requests.HTTPError):
            reader.retrieve_study(generate_uid())

    await asyncio.to_thread(work)


@pytest.mark.conformance("warning B000", "HTTP 202")
async def test_what_comes_for_a_corrected_study_is_stored_with_a_warning(served: Served) -> None:
    rooms, study = served.house.rooms, generate_uid()
    files = [instance(StudyInstanceUID=study, InstanceNumber=n, PatientName="Wrung^A") for n in (1, 2)]
    files.append(instance(StudyInstanceUID=study, InstanceNumber=3, PatientName="Right^A"))
    sent = [pydicom.dcmread(BytesIO(content)) for content in files]
    sender = served.client(rooms.actor("peer"), "care")
    reader = served.client(rooms.actor("clinician"), "diagnosis")
    first = await asyncio.to_thread(sender.store_instances, sent[:1])
    assert "WarningReason" not in first.ReferencedSOPSequence[0]
    target = await rooms.archive.target(rooms.actor("office"), study)
    assert target.id is not None
    await rooms.archive.correct(
        await rooms.may_rectify(target.id), target.id, {0x00100010: "Right^A"}, reason="CORRECT"
    )

    def work() -> None:
        for _ in range(2):  # the second time because the answer was lost
            answer = sender.store_instances(sent)
            told = {one.ReferencedSOPInstanceUID: one.get("WarningReason") for one in answer.ReferencedSOPSequence}
            assert told == dict(zip((one.SOPInstanceUID for one in sent), (0xB000, 0xB000, None), strict=True))
            assert "FailedSOPSequence" not in answer
        held = reader.retrieve_study(study)
        assert {str(one.PatientName) for one in held} == {"Right^A"}
        assert len(held) == 3

    await asyncio.to_thread(work)
    async with served.house.sender() as client:
        for content, status in ((files[0], 202), (files[2], 200)):
            answer = await client.post("/studies", content=content, headers={"Content-Type": "application/dicom"})
            assert answer.status_code == status
        answer = await client.post(
            "/studies",
            content=files[0],
            headers={"Content-Type": "application/dicom", "Accept": "application/dicom+xml"},
        )
        assert 'keyword="WarningReason"' in answer.text
        assert ">45056<" in answer.text


async def test_compressed_files(served: Served) -> None:
    sender = served.client(served.house.rooms.actor("peer"), "care")
    reader = served.client(served.house.rooms.actor("clinician"), "diagnosis")

    def work() -> int:
        frames = 0
        for path in real_files():
            try:
                dataset = pydicom.dcmread(path)
                if not dataset.file_meta.TransferSyntaxUID.is_compressed or "PixelData" not in dataset:
                    continue
                answer = sender.store_instances([dataset])
            except Exception:
                continue
            for item in answer.get("ReferencedSOPSequence", []):
                study, _, series, _, uid = item.RetrieveURL.split("/")[-5:]
                back = reader.retrieve_instance(study, series, uid, media_types=(("application/dicom", "*"),))
                assert back.file_meta.TransferSyntaxUID == dataset.file_meta.TransferSyntaxUID
                assert back.PixelData == dataset.PixelData
                (frame,) = reader.retrieve_instance_frames(
                    study, series, uid, [1], media_types=(("application/octet-stream", "*"),)
                )
                assert bytes(frame) == get_frame(
                    dataset.PixelData, 0, number_of_frames=dataset.get("NumberOfFrames", 1)
                )
                frames += 1
        return frames

    assert await asyncio.to_thread(work) > 5
