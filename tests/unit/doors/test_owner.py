"""A study whose row says that it is somebody else's opens on no door, and the alarm is raised; merges go on.

Each lie is told as the superuser of the database would tell it: past every door, with SQL alone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.common.deployment import Deployment, Held, OpenDeployment, Person
from troth.archive import StudyMisplaced
from troth.kit import clock
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.policy import Target

JSON = {"Accept": "application/dicom+json"}
Sql = Callable[..., None]


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture(scope="module")
async def doctor(cloud: Deployment) -> Person:
    return await cloud.staff("clinician")


@pytest.fixture(scope="module")
def sql(cloud: Deployment, postgres: EmbeddedServer) -> Sql:
    database = psycopg.conninfo.conninfo_to_dict(cloud.rooms.dsn_sequencer)["dbname"]

    def run(statement: str, **values: Any) -> None:
        with psycopg.connect(postgres.dsn(SUPERUSER, str(database)), autocommit=True) as connection:
            done = connection.execute(statement, values)  # type: ignore[arg-type]
            assert done.rowcount > 0

    return run


def moved(sql: Sql, hers: Held, his: Held) -> None:
    """The lie of the finding: both columns that say whose a study is."""
    sql("update study set subject_id = %(to)s, surviving_id = %(to)s where id = %(id)s", to=his.subject_id, id=hers.id)


def with_his_keys_named(sql: Sql, hers: Held, his: Held) -> None:
    """And the audit key of the other one in the study's row."""
    moved(sql, hers, his)
    sql(
        "update study s set audit_key = (select audit_key from subject where id = %(to)s) where s.id = %(id)s",
        to=his.subject_id,
        id=hers.id,
    )


def with_her_key_in_his_row(sql: Sql, hers: Held, his: Held) -> None:
    """And her key in his own row, so that the study's key has the parent that his row names."""
    moved(sql, hers, his)
    sql(
        "update subject set key = (select key from subject where id = %(of)s), audit_key = (select audit_key from"
        " subject where id = %(of)s) where id = %(to)s",
        of=hers.subject_id,
        to=his.subject_id,
    )


def only_shown_to_him(sql: Sql, hers: Held, his: Held) -> None:
    """The origin stays, and no merge says that she is he."""
    sql("update study set surviving_id = %(to)s where id = %(id)s", to=his.subject_id, id=hers.id)


async def scans(patient: Person) -> tuple[str, int]:
    page = await patient.web.get("/scans")
    found = await patient.viewer.get("/dicomweb/studies", headers=JSON)
    return page.text, len(found.json()) if found.content else 0


@pytest.mark.parametrize("lie", [moved, with_his_keys_named, only_shown_to_him])
async def test_a_study_moved_to_another_patient_opens_for_nobody(
    cloud: Deployment, doctor: Person, sql: Sql, lie: Callable[[Sql, Held, Held], None]
) -> None:
    hers, his = await cloud.study(description="Knee of hers"), await cloud.study(description="Elbow of his")
    she, he = await cloud.patient(hers), await cloud.patient(his)
    assert (await doctor.viewer.get(f"/dicomweb/studies/{hers.uid}/metadata", headers=JSON)).status_code == 200
    assert (await she.viewer.get(f"/dicomweb/studies/{hers.uid}/metadata", headers=JSON)).status_code == 200

    lie(sql, hers, his)

    text, number = await scans(he)
    assert "Elbow of his" in text
    assert "Knee of hers" not in text
    assert number == 1
    assert (await scans(she))[1] == 0
    whole = f"/dicomweb/studies/{hers.uid}"
    series_uid, instance_uid = await _first(cloud, hers)
    instance = f"{whole}/series/{series_uid}/instances/{instance_uid}"
    paths = [whole, instance, *(f"{whole}/{one}" for one in ("metadata", "rendered", "thumbnail"))]
    paths += [f"{instance}/{one}" for one in ("metadata", "frames/1", "rendered", "thumbnail")]
    others = await cloud.staff("clinician")
    with clock.moved(timedelta(seconds=2)):  # what was open before is asked again
        for person, expected in ((he, {404}), (she, {404, 500}), (doctor, {404, 500}), (others, {500})):
            for path in paths:
                answer = await person.viewer.get(path)
                assert answer.status_code in expected, (path, answer.status_code)
                assert b"Specimen" not in answer.content
    found = await others.viewer.get("/dicomweb/studies", params={"StudyInstanceUID": hers.uid}, headers=JSON)
    assert found.status_code == 204
    for verb in ("copy", "disclose", "retrieve"):  # an export, a C-MOVE and a C-GET open in this one way
        permit = cloud.set_up_permit(verb, hers.target, "care")
        with pytest.raises(StudyMisplaced):
            await cloud.rooms.archive.open_study(permit, hers.uid)
    told = await cloud.ledgered(kind="archive:study:found_misplaced")
    assert [event.study_id for event in told if event.study_id == hers.id] == [hers.id]
    assert all(event.subject_id is None for event in told)


async def _first(cloud: Deployment, held: Held) -> tuple[str, str]:
    async with cloud.rooms.database.transaction(held.house) as connection:
        cursor = await connection.execute(
            "select r.series_uid, i.instance_uid from instance i join series r on r.id = i.series_id"
            " where r.study_id = %s limit 1",
            (held.id,),
        )
        row = await cursor.fetchone()
    assert row is not None
    return row["series_uid"], row["instance_uid"]


async def test_her_key_written_into_his_row_opens_nothing_either(cloud: Deployment, doctor: Person, sql: Sql) -> None:
    hers, his = await cloud.study(), await cloud.study()
    with_her_key_in_his_row(sql, hers, his)
    for held in (hers, his):
        answer = await doctor.viewer.get(f"/dicomweb/studies/{held.uid}/metadata", headers=JSON)
        assert answer.status_code == 500
        assert b"Specimen" not in answer.content


async def test_an_open_viewing_ends_where_its_study_is_moved(cloud: Deployment, sql: Sql) -> None:
    hers, his = await cloud.study(), await cloud.study()
    permit = cloud.set_up_permit("retrieve", hers.target, "care")
    with pytest.raises(StudyMisplaced):
        moved(sql, hers, his)
        await cloud.rooms.archive.decide_again(permit, hers.uid)


async def test_nothing_is_erased_for_somebody_whose_it_is_not(cloud: Deployment, sql: Sql) -> None:
    hers, his = await cloud.study(), await cloud.study()
    moved(sql, hers, his)
    archive, whose = cloud.rooms.archive, Target("subject", his.subject_id, his.house.id, his.subject_id)
    with pytest.raises(StudyMisplaced):
        await archive.erase_study(cloud.set_up_permit("erase", whose, "rights"), hers.id)
    with pytest.raises(StudyMisplaced):
        await archive.erase_subject(cloud.set_up_permit("erase", whose, "rights"), his.subject_id)
    sql("update study set subject_id = %(to)s, surviving_id = %(to)s where id = %(id)s", to=hers.subject_id, id=hers.id)
    viewing = await archive.open_study(cloud.set_up_permit("retrieve", hers.target, "care"), hers.uid)
    assert (await viewing.instances())[0].instance_uid


async def test_merged_and_taken_apart_again_it_opens(cloud: Deployment, doctor: Person) -> None:
    hers = await cloud.study(name="Specimen^One", patient_id=f"M-{uuid4().hex[:8]}")
    again = await cloud.study(name="Specimen^One", patient_id=f"M-{uuid4().hex[:8]}")
    house = Target("organisation", hers.house.id, hers.house.id)
    merging = cloud.rooms.archive.merging
    made = await merging.merge(
        cloud.set_up_permit("merge", house, "rights"), hers.subject_id, again.subject_id, "One person, entered twice."
    )
    path = f"/dicomweb/studies/{hers.uid}/metadata"
    assert (await doctor.viewer.get(path, headers=JSON)).status_code == 200
    permit = cloud.set_up_permit("retrieve", Target("organisation", hers.house.id, hers.house.id), "care")
    found = await cloud.rooms.archive.studies_of_subject(permit, again.subject_id)
    assert {study.study_uid for study in found} == {hers.uid, again.uid}
    await merging.unmerge(cloud.set_up_permit("merge", house, "rights"), made.id, "Two sisters.")
    assert (await doctor.viewer.get(path, headers=JSON)).status_code == 200
    found = await cloud.rooms.archive.studies_of_subject(permit, again.subject_id)
    assert {study.study_uid for study in found} == {again.uid}
