from __future__ import annotations

import random
from datetime import timedelta

import pytest

from tests.unit.archive.rooms import Rooms, instance
from troth.archive import Match, Query, to_json
from troth.archive.matching import matcher
from troth.kit import clock

NAME, PATIENT_ID, DESCRIPTION, DATE = 0x00100010, 0x00100020, 0x00081030, 0x00080020
MODALITY, SERIES_DESCRIPTION, INSTANCE_NUMBER = 0x00080060, 0x0008103E, 0x00200013
FAMILIES = ("Miller", "Milner", "Smith", "Smythe", "Müller", "Li", "O'Neil", "van Dyke")
GIVEN = ("James", "Jane", "Jo", "", "Ann Mary")


@pytest.fixture(scope="module")
async def studies(rooms: Rooms) -> list[dict[str, str]]:
    """Sixty studies of drawn people."""
    draw = random.Random(7)
    made = []
    files = []
    for number in range(60):
        values = {
            "StudyInstanceUID": f"1.2.826.77.{number}",
            "SeriesInstanceUID": f"1.2.826.78.{number}",
            "SOPInstanceUID": f"1.2.826.79.{number}",
            "PatientName": f"{draw.choice(FAMILIES)}^{draw.choice(GIVEN)}".rstrip("^"),
            "PatientID": f"Q{draw.randrange(40):03d}",
            "StudyDescription": draw.choice(("CT Chest", "MR Knee left", "ct chest", "")),
            "StudyDate": draw.choice(("", f"202{draw.randrange(5)}0{draw.randrange(1, 10)}1{draw.randrange(10)}")),
            "Modality": draw.choice(("CT", "MR", "SR")),
            "SpecificCharacterSet": "ISO_IR 192",
        }
        made.append(values)
        files.append(instance(**values))
    assert {outcome.state for outcome in await rooms.store(*files)} == {"stored"}
    return made


@pytest.mark.parametrize(
    "keys",
    [
        {"PatientName": "MIL*"}, {"PatientName": "*il*"}, {"PatientName": "M?ller*"}, {"PatientName": "miller^ja*"},
        {"PatientName": "Smith^Jane"}, {"PatientName": "*^j*"}, {"PatientName": "li"}, {"PatientName": "*NEIL*"},
        {"PatientName": "v* d*"}, {"PatientID": "Q00*"}, {"PatientID": "Q012"}, {"PatientID": "*1?"},
        {"StudyDescription": "CT Chest"}, {"StudyDescription": "*hest*"}, {"StudyDescription": "?R*"},
        {"StudyDate": "20210101-20221231"}, {"StudyDate": "-20211231", "PatientName": "*i*"},
        {"PatientName": "Mil*", "StudyDescription": "*Knee*", "StudyDate": "2020-".replace("2020", "20200101")},
    ],
    ids=str,
)  # fmt: skip
async def test_a_search_finds_what_a_look_at_every_study_finds(
    rooms: Rooms, studies: list[dict[str, str]], keys: dict[str, str]
) -> None:
    tags = {"PatientName": NAME, "PatientID": PATIENT_ID, "StudyDescription": DESCRIPTION, "StudyDate": DATE}
    rules = {name: matcher(tags[name], value) for name, value in keys.items()}
    expected = {one["StudyInstanceUID"] for one in studies if all(rules[name](one[name]) for name in keys)}
    matches = tuple(Match(tags[name], value) for name, value in keys.items())
    page = await rooms.archive.query(await rooms.may_query(), Query(matches=matches, limit=1000))
    found = [one.study.study_uid for one in page.found]
    assert set(found) == expected
    assert len(found) == len(expected)
    dates = [one.study.study_date for one in page.found if one.study.study_date]
    assert dates == sorted(dates, reverse=True)


@pytest.mark.parametrize("matches", [(), (Match(NAME, "*i*"),)], ids=["all", "matched"])
async def test_pages_join(rooms: Rooms, studies: list[dict[str, str]], matches: tuple[Match, ...]) -> None:
    permit = await rooms.may_query()
    whole = await rooms.archive.query(permit, Query(matches=matches, limit=1000))
    joined = []
    for offset in range(0, 1000, 7):
        page = await rooms.archive.query(permit, Query(matches=matches, limit=7, offset=offset))
        joined += [one.study.study_uid for one in page.found]
        if not page.is_more:
            break
    assert joined == [one.study.study_uid for one in whole.found]
    assert not whole.is_more


async def test_levels_below(rooms: Rooms, studies: list[dict[str, str]]) -> None:
    permit = await rooms.may_query()
    matches = (Match(MODALITY, "SR"), Match(NAME, "Smi*"))
    series = await rooms.archive.query(permit, Query("series", matches, limit=1000))
    expected = {one["SeriesInstanceUID"] for one in studies if one["Modality"] == "SR" and "Smi" in one["PatientName"]}
    assert {one.series_uid for one in series.found} == expected
    instances = await rooms.archive.query(permit, Query("instance", (*matches, Match(INSTANCE_NUMBER, "1"))))
    assert len(instances.found) == len(expected)
    nothing = await rooms.archive.query(permit, Query("instance", (*matches, Match(INSTANCE_NUMBER, "2"))))
    assert nothing.found == ()
    told = to_json(series.found[0].values)
    assert told["00201209"] == {"vr": "IS", "Value": [1]}


async def test_a_search_is_told_to_the_ledger(rooms: Rooms, studies: list[dict[str, str]]) -> None:
    before = len(await rooms.events("archive:studies:queried"))
    await rooms.archive.query(await rooms.may_query(), Query(matches=(Match(NAME, "Smythe*"),)))
    events = await rooms.events("archive:studies:queried")
    assert len(events) == min(before + 1, 100)
    assert events[0].payload is not None
    assert events[0].payload["keys"] == {"PatientName": "Smythe*"}
    assert events[0].subject_id is None


async def test_another_organisation_finds_nothing(rooms: Rooms, studies: list[dict[str, str]]) -> None:
    page = await rooms.archive.query(await rooms.may_query(rooms.other), Query(limit=1000))
    assert page.found == ()


async def test_an_old_permit_finds_nothing(rooms: Rooms) -> None:
    permit = await rooms.may_query()
    with clock.moved(timedelta(minutes=6)), pytest.raises(Exception, match="nothing here"):
        await rooms.archive.query(permit, Query())
