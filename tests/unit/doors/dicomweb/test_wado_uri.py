from __future__ import annotations

from io import BytesIO
from urllib.parse import urlencode

import pydicom
import pytest
from PIL import Image
from pydicom.uid import generate_uid

from tests.unit.archive.rooms import instance
from tests.unit.doors.dicomweb.conftest import House
from tests.unit.doors.dicomweb.test_app import stow, uids


def address(content: bytes, **further: str) -> str:
    names = uids(content)
    return "/wado?" + urlencode(
        {
            "requestType": "WADO",
            "studyUID": names.StudyInstanceUID,
            "seriesUID": names.SeriesInstanceUID,
            "objectUID": names.SOPInstanceUID,
        }
        | further
    )


@pytest.mark.conformance("GET wado", "WADO-URI *")
async def test_an_instance_by_its_address(house: House) -> None:
    content = instance()
    await stow(house, content)
    async with house.clinician() as client:
        picture = await client.get(address(content))
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
        file = await client.get(address(content, contentType="application/dicom"))
        assert pydicom.dcmread(BytesIO(file.content)) == pydicom.dcmread(BytesIO(content))
        for further, size in (
            ({"rows": "8"}, (8, 8)), ({"columns": "4", "rows": "8"}, (4, 4)), ({"region": "0,0,0.5,1"}, (8, 16)),
            ({"windowCenter": "100", "windowWidth": "200", "imageQuality": "10", "annotation": "patient"}, (16, 16)),
        ):  # fmt: skip
            drawn = await client.get(address(content, contentType="image/png", **further))
            assert Image.open(BytesIO(drawn.content)).size == size
        for wrong, status in (
            ({"requestType": "X"}, 400), ({"anonymize": "yes"}, 400), ({"presentationUID": "1.2"}, 400),
            ({"frameNumber": "0"}, 404), ({"frameNumber": "1,2"}, 400), ({"frameNumber": "2"}, 404),
            ({"contentType": "video/mpeg"}, 406), ({"rows": "0"}, 400), ({"rows": "x"}, 400), ({"region": "1,2"}, 400),
            ({"region": "0.5,0,0.2,1"}, 400), ({"windowCenter": "1"}, 400), ({"objectUID": generate_uid()}, 404),
            ({"studyUID": "../.."}, 404), ({"seriesUID": generate_uid()}, 404),
            ({"contentType": "application/dicom", "transferSyntax": "1.2.840.10008.1.2.4.50"}, 406),
        ):  # fmt: skip
            answer = await client.get(address(content, **wrong))
            assert answer.status_code == status, wrong
        assert (await client.get("/wado?requestType=WADO&studyUID=1.2")).status_code == 400
    async with house.signed_in(house.rooms.actor("clinician", house.rooms.other)) as stranger:
        assert (await stranger.get(address(content))).status_code == 404
    async with house.client() as nobody:
        assert (await nobody.get(address(content))).status_code == 401


@pytest.mark.conformance("OPTIONS", "HTTP 401")
async def test_what_the_door_can_do(house: House) -> None:
    async with house.client() as nobody:
        assert (await nobody.options("/studies")).status_code == 401
    async with house.clinician() as client:
        for path in ("/studies", "/studies/1.2/metadata", "/wado", "/"):
            told = await client.options(path)
            assert told.status_code == 200
            assert told.headers["content-type"] == "application/vnd.sun.wadl+xml"
            assert b"/frames/{frames}" in told.content
        resources = (await client.get("/", headers={"Accept": "application/json"})).json()["resources"]
        assert resources["studies"].keys() == {"GET", "POST"}
        served = {
            route.path.lstrip("/").replace(":path", "") for route in house.routes if "GET" in (route.methods or ())
        }
        assert {path for path, methods in resources.items() if "GET" in methods} == served - {""}
        assert (await client.options("/nothing")).status_code == 404
        assert (await client.get("/nothing")).status_code == 404
        assert (await client.options("/studies", headers={"Accept": "image/png"})).status_code == 406
