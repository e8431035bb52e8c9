from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian

from tests.unit.archive.rooms import instance, to_file
from tests.unit.doors.dicomweb.conftest import House
from tests.unit.doors.dicomweb.test_app import parts_of, path_of, stow
from troth.doors.dicomweb import ranges
from troth.doors.dicomweb.errors import RangeUnsatisfiable


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None), ("", None), ("bytes=0-0", (0, 1)), ("bytes=5-", (5, 10)), ("bytes=-3", (7, 10)),
        ("bytes=-300", (0, 10)), ("bytes=2-300", (2, 10)), ("bytes=4-2", None), ("bytes=0-1,4-5", None),
        ("lines=1-2", None), ("bytes=-", None), ("bytes=a-b", None), ("bytes = 1-2", (1, 3)),
    ],
)  # fmt: skip
def test_what_is_asked(header: str | None, part: tuple[int, int] | None) -> None:
    assert ranges.asked(header, 10) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_what_is_not_there(header: str) -> None:
    with pytest.raises(RangeUnsatisfiable):
        ranges.asked(header, 10)


@pytest.mark.conformance(
    "HTTP 206", "HTTP 416", "GET studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}"
)
async def test_bulk_values_by_ranges(house: House) -> None:
    content = instance()
    pixels = pydicom.dcmread(BytesIO(content)).PixelData
    await stow(house, content)
    url = path_of(content) + "/bulkdata/7FE00010"
    octets = {"Accept": "application/octet-stream"}
    async with house.clinician() as client:
        whole = await client.get(url, headers=octets)
        assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, pixels, "bytes")
        part = await client.get(url, headers=octets | {"Range": "bytes=101-200"})
        assert (part.status_code, part.content) == (206, pixels[101:201])
        assert part.headers["content-range"] == f"bytes 101-200/{len(pixels)}"
        assert part.headers["content-length"] == "100"
        assert (await client.get(url, headers=octets | {"Range": "bytes=99999-"})).status_code == 416
        ((_, parted),) = parts_of(await client.get(url))
        assert parted == pixels
        assert (await client.get(url, headers={"Accept": "image/jpeg"})).status_code == 406


async def test_a_range_of_what_is_stored_big_endian(house: House) -> None:
    dataset = pydicom.dcmread(BytesIO(instance()))
    little = dataset.PixelData
    dataset.PixelData = b"".join(little[at : at + 2][::-1] for at in range(0, len(little), 2))
    content = to_file(dataset, ExplicitVRBigEndian)
    assert (await stow(house, content)).status_code == 200
    async with house.clinician() as client:
        part = await client.get(
            path_of(content) + "/bulkdata/7FE00010",
            headers={"Accept": "application/octet-stream", "Range": "bytes=3-8"},
        )
    assert (part.status_code, part.content) == (206, little[3:9])
