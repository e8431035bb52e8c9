from __future__ import annotations

from io import BytesIO

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import generate_uid

from tests.unit.archive.rooms import instance, to_file
from tests.unit.doors.dicomweb.conftest import House
from tests.unit.doors.dicomweb.test_app import parts_of, path_of, stow, uids
from troth.doors.dicomweb import rendering
from troth.kit import children


def clip(frames: int = 3, **attributes: object) -> bytes:
    shown = np.arange(256 * frames, dtype="<u2") * 4
    return instance(NumberOfFrames=frames, PixelData=shown.tobytes(), **attributes)


@pytest.mark.conformance(
    "rendered annotation", "rendered quality", "rendered viewport", "rendered window", "rendered iccprofile", "HTTP 400"
)
async def test_what_the_parameters_ask_for(house: House) -> None:
    content = instance()
    await stow(house, content)
    path = path_of(content) + "/rendered"
    async with house.clinician() as client:

        async def drawn(query: str) -> Image.Image:
            answer = await client.get(f"{path}?{query}", headers={"Accept": "image/png"})
            assert answer.status_code == 200, (query, answer.text)
            return Image.open(BytesIO(answer.content))

        plain = await drawn("")
        assert plain.size == (16, 16)
        assert (await drawn("viewport=8,8")).size == (8, 8)
        assert (await drawn("viewport=16,16,0,0,4,8")).size == (4, 8)
        assert (await drawn("viewport=16,16,8,,,")).size == (8, 16)
        assert (await drawn("window=2048,4096,linear-exact")).tobytes() != (await drawn("window=2048,10")).tobytes()
        assert (await drawn("window=2048,400,SIGMOID")).tobytes() != (await drawn("window=2048,400")).tobytes()
        assert (await drawn("annotation=patient")).tobytes() != plain.tobytes()
        assert (await drawn("annotation=patient,technique&iccprofile=yes")).size == (16, 16)
        for wrong in (
            "window=1", "window=a,b", "window=1,0", "window=1,2,cubic", "window=nan,1", "window=1,inf",
            "window=1,2,3,4",
            "viewport=0,1", "viewport=9999,1", "viewport=1,2,3", "viewport=a,b", "viewport=9,9,-1,0,1,1",
            "viewport=1e999,1", "quality=0", "quality=101", "quality=x", "annotation=secret", "iccprofile=mine",
        ):  # fmt: skip
            assert (await client.get(f"{path}?{wrong}")).status_code == 400, wrong
        outside = await client.get(f"{path}?viewport=4,4,99,0,4,4")
        assert outside.status_code == 406


@pytest.mark.conformance("GET studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered")
async def test_frames_one_by_one_together_and_moving(house: House) -> None:
    content = clip()
    await stow(house, content)
    path = path_of(content)
    many = 'multipart/related; type="image/jpeg"'
    async with house.clinician() as client:
        moving = Image.open(
            BytesIO((await client.get(path + "/rendered?window=1500,3000", headers={"Accept": "image/gif"})).content)
        )
        assert getattr(moving, "n_frames", 0) == 3
        single = await client.get(path + "/frames/2/rendered", headers={"Accept": "image/gif"})
        assert getattr(Image.open(BytesIO(single.content)), "n_frames", 1) == 1
        every = await client.get(path + "/rendered", headers={"Accept": many})
        assert [Image.open(BytesIO(part)).size for _, part in parts_of(every)] == [(16, 16)] * 3
        two = await client.get(path + "/frames/1,3/rendered", headers={"Accept": many})
        assert ["/frames/1/" in parts_of(two)[0][0], "/frames/3/" in parts_of(two)[1][0]] == [True, True]
        for tail, accept, status in (
            ("/frames/1,3/rendered", "image/jpeg", 406), ("/frames/1,3/rendered", "image/gif", 400),
            ("/frames/1,9/rendered", many, 404), ("/frames/9/rendered", "image/jpeg", 404),
            ("/rendered", "text/html", 406), ("/frames/0/rendered", "image/jpeg", 404),
        ):  # fmt: skip
            assert (await client.get(path + tail, headers={"Accept": accept})).status_code == status, tail
        listed = await client.get(path + "/frames/3,1")
        assert [part for _, part in parts_of(listed)] == [
            pydicom.dcmread(BytesIO(content)).PixelData[at * 512 : at * 512 + 512] for at in (2, 0)
        ]
        assert (await client.get(path + "/frames/1,4")).status_code == 404


async def test_a_moving_picture_takes_a_bounded_memory(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_MOST_MOVING_PIXELS", 2 * 256)
    content = clip()
    await stow(house, content)
    async with house.clinician() as client:
        answer = await client.get(path_of(content) + "/rendered?window=1500,3000", headers={"Accept": "image/gif"})
    assert getattr(Image.open(BytesIO(answer.content)), "n_frames", 0) == 2


@pytest.mark.conformance("GET studies/{study}/rendered", "GET studies/{study}/series/{series}/rendered")
async def test_a_study_is_drawn_whole_or_by_its_middle(house: House) -> None:
    study = generate_uid()
    first, second = instance(StudyInstanceUID=study), instance(StudyInstanceUID=study)
    dataset = pydicom.dcmread(BytesIO(instance(StudyInstanceUID=study)))
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(dataset, keyword)
    await stow(house, first, to_file(dataset), second)
    async with house.clinician() as client:
        every = await client.get(
            f"/studies/{study}/rendered", headers={"Accept": 'multipart/related; type="image/png"'}
        )
        assert len(parts_of(every)) == 2
        middle = await client.get(f"/studies/{study}/rendered")
        assert middle.headers["content-type"] == "image/jpeg"
        for path in (
            f"/studies/{study}/thumbnail",
            f"/studies/{study}/series/{uids(first).SeriesInstanceUID}/thumbnail",
        ):
            assert max(Image.open(BytesIO((await client.get(path)).content)).size) <= 128


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "image/gif", "image/*", "*/*"])
async def test_every_form(house: House, kind: str) -> None:
    content = instance()
    await stow(house, content)
    async with house.clinician() as client:
        for path in ("/rendered", "/frames/1/rendered", "/thumbnail", "/frames/1/thumbnail"):
            answer = await client.get(path_of(content) + path, headers={"Accept": kind})
            assert answer.status_code == 200
            assert Image.open(BytesIO(answer.content)).size == (16, 16)


@pytest.mark.parametrize(
    ("tail", "accept", "given"),
    [
        ("/rendered", "*/*, image/jpeg;q=0", "image/png"),
        ("/rendered", "image/jpeg;q=0, image/*", "image/png"),
        ("/rendered", "*/*, image/jpeg;q=0, image/png;q=0", "image/gif"),
        ("/rendered", "*/*, image/jpeg;q=0.5", "image/png"),
        ("/rendered", "multipart/*", "multipart/related"),
        ("/rendered", "image/jpeg;q=0", "406"),
        ("/metadata", "*/*, application/dicom+json;q=0", "application/json"),
        ("/metadata", "application/*, application/dicom+json;q=0, application/json;q=0", "406"),
        ("/metadata", "*/*, application/dicom+json;q=0, application/json;q=0", "multipart/related"),
        ("/metadata", "multipart/*", "multipart/related"),
        ("/metadata", 'multipart/*, multipart/related;type="application/dicom+xml";q=0', "406"),
        ("", "multipart/*", "multipart/related"),
        ("", "*/*, application/dicom;q=0", "multipart/related"),
        ("", "*/*, multipart/*;q=0", "application/dicom"),
        ("/frames/1", "*/*", "multipart/related"),
        ("/frames/1", "multipart/*", "multipart/related"),
        ("/frames/1", "*/*, multipart/*;q=0", "application/octet-stream"),
        ("/frames/1", "*/*, multipart/*;q=0, application/octet-stream;q=0", "406"),
        ("/bulkdata/7FE00010", "*/*, multipart/related;q=0", "application/octet-stream"),
    ],
)
async def test_the_narrowest_range_decides_what_is_given(house: House, tail: str, accept: str, given: str) -> None:
    """RFC 9110 12.4.2, 12.5.1: what is refused by name is not given because of a wider range."""
    content = instance()
    await stow(house, content)
    async with house.clinician() as client:
        answer = await client.get(path_of(content) + tail, headers={"Accept": accept})
    if given.isdigit():
        assert answer.status_code == int(given)
    else:
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, given)


async def test_what_takes_too_long_is_503_and_says_when_to_try_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = instance()
    await stow(house, content)
    async with house.clinician() as client:
        assert (await client.get(path_of(content) + "/rendered")).status_code == 200
        monkeypatch.setattr(children, "TASK_SECONDS", 0.0)
        late = await client.get(path_of(content) + "/rendered")
        assert (late.status_code, late.headers["retry-after"]) == (503, "5")
        monkeypatch.undo()
        assert (await client.get(path_of(content) + "/rendered")).status_code == 200
