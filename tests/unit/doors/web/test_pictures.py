"""The pictures of one's own scan: every address leads somewhere, and nothing typed in one leads astray."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest

from tests.unit.doors.web.conftest import CHEST, NEW, House
from troth.archive import Found, StudySummary
from troth.doors.web.patient.pictures import FRAMES, INSTANCE_NUMBER, MODALITY, MOST_PICTURES, ROWS, page_of, parts_of

SERIES, DESCRIBED = 0x00200011, 0x0008103E


def study() -> StudySummary:
    return StudySummary(
        id=uuid4(),
        tenant=uuid4(),
        study_uid="1.2",
        subject_id=uuid4(),
        origin_id=uuid4(),
        study_date=date(2026, 11, 14),
        modalities=("CT",),
        length_bytes=1,
        series_count=2,
        instance_count=5,
        stored_at=datetime(2026, 11, 14, tzinfo=UTC),
        is_restricted=False,
    )


def found(series: str, uid: str, **values: str) -> Found:
    tags = {
        "modality": MODALITY,
        "number": INSTANCE_NUMBER,
        "frames": FRAMES,
        "rows": ROWS,
        "order": SERIES,
        "described": DESCRIBED,
    }
    return Found("instance", study(), series, uid, {tags[name]: value for name, value in values.items()})


def scan() -> list[Found]:
    return [
        found("1.9", "1.9.1", modality="MR", order="2", frames="3", rows="2048", described="Cine"),
        *(
            found("1.8", f"1.8.{n}", modality="CT", order="1", number=str(n), rows="512", described="Thin")
            for n in (10, 9, 2)
        ),
        found("1.7", "1.7.1", modality="SR", order="0"),
    ]


def test_pictures_stand_in_the_order_of_their_numbers_and_frames_are_pictures() -> None:
    thin, cine = parts_of(scan())
    assert (thin.title, cine.title) == ("Thin", "Cine")
    assert [picture.path.split("/")[-2] for picture in thin.pictures] == ["1.8.2", "1.8.9", "1.8.10"]
    assert [picture.path.split("/")[-2] for picture in cine.pictures] == ["1", "2", "3"]
    assert thin.pictures[0].href() == "/dicomweb/studies/1.2/series/1.8/instances/1.8.2/rendered"
    assert cine.pictures[0].href().endswith("/frames/1/rendered?viewport=1024,1024")
    assert "viewport=256,256" in thin.cover


def test_what_has_no_picture_is_no_part() -> None:
    assert parts_of([found("1.7", "1.7.1", modality="SR")]) == ()


@pytest.mark.parametrize("frames", ["9" * 5_000, "1" * 7, "-3", "1A", ""])
def test_an_odd_number_of_frames_breaks_nothing(frames: str) -> None:
    [part] = parts_of([found("1.8", "1.8.1", modality="CT", frames=frames)])
    assert 1 <= len(part.pictures) <= MOST_PICTURES


@pytest.mark.parametrize("typed", ["0", "-5", "4", "999999", "9" * 5_000, "x", "１", "1.5", ""])
def test_whatever_is_typed_as_a_place_is_a_picture_of_the_scan(typed: str) -> None:
    parts = parts_of(scan())
    for name in ("image", "part", "light"):
        view = page_of("/scans/a", parts, {name: typed})
        assert 1 <= view.place <= view.count
        assert view.src in view.paths
        assert -3 <= view.tune <= 3
    assert page_of("/scans/a", parts, {"look": typed}).src == page_of("/scans/a", parts, {}).src


def test_every_address_keeps_what_was_chosen() -> None:
    parts = parts_of(scan())
    view = page_of("/scans/a", parts, {"part": "1", "image": "2", "look": "bone", "light": "1"})
    assert view.src.endswith("window=480,2500,linear")
    assert view.previous == "/scans/a/images?part=1&image=1&look=bone&light=1"
    assert view.following == "/scans/a/images?part=1&image=3&look=bone&light=1"
    assert view.reset == "/scans/a/images?part=1&image=2"
    assert [each.is_chosen for each in view.windows] == [False, False, False, False, True]
    assert view.parts[1].href == "/scans/a/images?part=2&light=1"
    last = page_of("/scans/a", parts, {"part": "1", "image": "3"})
    assert (last.following, bool(last.previous)) == ("", True)
    assert [each.label for each in page_of("/scans/a", parts, {"part": "2", "look": "bone"}).windows] == [
        "As the hospital set it"
    ]


async def test_own_pictures_and_nobody_elses(house: House) -> None:
    own, other = house.studies[NEW], house.studies[CHEST]
    async with house.client(await house.session_of_patient()) as patient:
        page = (await patient.get(f"/scans/{own}/images")).text
        shown = re.search(r'<img class="is-tune0" src="(/dicomweb/[^"]+/rendered)"', page)
        assert shown is not None
        assert f"/studies/{NEW}/" in shown[1]
        cover = await patient.get(f"/scans/{own}/cover")
        assert cover.status_code == 303
        assert cover.headers["location"].startswith(f"/dicomweb/studies/{NEW}/")
        for end in ("images", "cover"):
            answers = [await patient.get(f"/scans/{each}/{end}") for each in (other, UUID(int=7))]
            assert [each.status_code for each in answers] == [404, 404]
    async with house.client(await house.session_of("Dr B. Specimen")) as doctor:
        assert (await doctor.get(f"/scans/{own}/images")).status_code == 404
