from __future__ import annotations

from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.unit.archive.rooms import CT, instance
from tests.unit.doors.dicomweb.conftest import House
from tests.unit.doors.dicomweb.test_app import stow
from troth.dicom import metadata_in
from troth.doors.dicomweb.native_xml import to_xml

JSON = "application/dicom+json"


def asking(*items: tuple[str, str]) -> dict[str, Any]:
    return {
        "00081199": {
            "vr": "SQ",
            "Value": [
                {"00081150": {"vr": "UI", "Value": [one]}, "00081155": {"vr": "UI", "Value": [uid]}}
                for one, uid in items
            ],
        }
    }


@pytest.mark.conformance("POST commitment-requests/{transaction}", "commitment answer", "N-EVENT-REPORT 0112")
async def test_what_is_held_is_read_back_and_said(house: House) -> None:
    content = instance()
    uid = pydicom.dcmread(BytesIO(content)).SOPInstanceUID
    await stow(house, content)
    absent, transaction = generate_uid(), generate_uid()
    before = len(await house.rooms.events("archive:commitment:answered"))
    path = f"/commitment-requests/{transaction}"
    async with house.sender() as client:
        answer = await client.post(path, json=asking((CT, uid), (CT, absent)), headers={"Content-Type": JSON})
        assert answer.status_code == 200
        told = answer.json()
        assert told["00081195"]["Value"] == [transaction]
        assert [one["00081155"]["Value"] for one in told["00081199"]["Value"]] == [[uid]]
        assert [one["00081197"]["Value"] for one in told["00081198"]["Value"]] == [[0x0112]]
        kinds = {"Content-Type": "application/dicom+xml", "Accept": "application/dicom+xml"}
        in_xml = await client.post(path, content=to_xml(asking((CT, uid))), headers=kinds)
        assert "00081198" not in metadata_in.datasets(in_xml.content, is_xml=True)[0]
    events = await house.rooms.events("archive:commitment:answered")
    assert len(events) == before + 2
    assert events[1].counts == {"instances": 2, "failed": 1}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", JSON, 400), (b"[]", JSON, 400), (b"{", JSON, 400), (b"[" * 100_000, JSON, 400),
        (b"{}", "text/plain", 415),
        (b"<a/>", "application/dicom+xml", 400), (b" " * (5 << 20), JSON, 413),
        (b'{"00081199":{"vr":"SQ","Value":[{"00081150":{"Value":["x"]},"00081155":{"Value":["1.2"]}}]}}', JSON, 400),
        (b'{"00081199":{"vr":"SQ","Value":[]}}', JSON, 400), (b'{"00081199":{"vr":"SQ","Value":[5]}}', JSON, 400),
    ],
)  # fmt: skip
@pytest.mark.conformance("commitment bounds", "HTTP 413", "HTTP 415")
async def test_what_is_no_request(house: House, body: bytes, kind: str, status: int) -> None:
    async with house.sender() as client:
        answer = await client.post("/commitment-requests/1.2.3", content=body, headers={"Content-Type": kind})
        assert answer.status_code == status


async def test_only_who_may_store_may_ask(house: House) -> None:
    content = instance()
    uid = pydicom.dcmread(BytesIO(content)).SOPInstanceUID
    await stow(house, content)
    asked = {"json": asking((CT, uid)), "headers": {"Content-Type": JSON}}
    async with house.client() as nobody:
        assert (await nobody.post("/commitment-requests/1.2.3", **asked)).status_code == 401
    async with house.bearer(house.rooms.actor("clinician"), "diagnosis") as clinician:
        assert (await clinician.post("/commitment-requests/1.2.3", **asked)).status_code == 404
    async with house.bearer(house.rooms.actor("peer", house.rooms.other), "care") as stranger:
        told = (await stranger.post("/commitment-requests/1.2.3", **asked)).json()
        assert "00081199" not in told
        assert (await stranger.post("/commitment-requests/x", **asked)).status_code == 404
