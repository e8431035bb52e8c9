"""What was erased stays erased: sent again, brought back past the doors, in another study; each is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.common.deployment import Deployment, Held, OpenDeployment
from troth.dicom import specimens
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.proofs import Proven, Standing

BREAKS = "what was erased is brought back, past every door"
DEPLOYMENTS = ("imaging-cloud", "imaging-host", "equipment-maker")

Sql = Callable[..., None]


@pytest.fixture(scope="module", params=DEPLOYMENTS)
async def place(request: pytest.FixtureRequest, open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment(request.param)


@pytest.fixture
def sql(place: Deployment, postgres: EmbeddedServer) -> Sql:
    """As the superuser of the database: past every door."""
    name = str(psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"])

    def run(statement: str, **values: Any) -> None:
        with psycopg.connect(postgres.dsn(SUPERUSER, name), autocommit=True) as connection:
            connection.execute(statement, values)  # type: ignore[arg-type]

    return run


async def stands(place: Deployment) -> Proven:
    """The promise that what is gone does not come back."""
    for report in (await place.looked()).reports:
        notice = next(each.notice for each in await place.rooms.notices.current() if each.name == report.notice)
        for clause in notice.all("safeguard"):
            if getattr(clause, "measure", "") == "stays_erased":
                return next(each for each in report.promises if each.clause_id == clause.id)
    raise AssertionError("no clause says so")


def told(promise: Proven) -> str:
    """What was found when everything held was looked through."""
    [found] = [check.found for check in promise.checked if check.measure == "stays_erased"]
    return found


async def erased(place: Deployment) -> Held:
    held = await place.study()
    await place.rooms.archive.erase_study(place.set_up_permit("erase", held.target), held.id)
    return held


def files_of(held: Held) -> list[bytes]:
    return list(specimens.phantom_ct(held.made, slices=1, size=16))


async def test_it_is_kept_once_something_was_erased_and_sending_it_again_is_refused(place: Deployment) -> None:
    assert (await stands(place)).standing is Standing.UNPROVEN
    held = await erased(place)
    answer = await place.stow(files_of(held), held.house)
    assert answer.status_code == 409
    found = await stands(place)
    assert found.standing is Standing.KEPT
    assert told(found) == "1 erased studies: none is held again, and no key of theirs is"


async def test_a_mark_that_was_taken_away_is_missed_and_what_came_back_by_it_is_found(
    place: Deployment, sql: Sql
) -> None:
    held = await erased(place)
    assert (await stands(place)).standing is Standing.KEPT
    sql("create table aside as select * from tombstone where tenant = %(house)s", house=held.house.id)
    sql("delete from tombstone where tenant = %(house)s", house=held.house.id)
    assert (await stands(place)).standing is Standing.BROKEN
    assert (await place.stow(files_of(held), held.house)).status_code == 200
    sql("insert into tombstone select * from aside")
    sql("drop table aside")
    found = await stands(place)
    assert found.standing is Standing.BROKEN
    assert "bears the mark of a study that was erased" in found.reason
    target = await place.rooms.archive.target(place_actor(place, held), held.uid)
    assert target.id != held.id, "it came back as another study"
    assert target.id is not None
    await place.rooms.archive.erase_study(place.set_up_permit("erase", target), target.id)
    assert (await stands(place)).standing is Standing.BROKEN, "one mark for two erasures"


def place_actor(place: Deployment, held: Held) -> Any:
    return place.set_up_permit("retrieve", held.target).actor


async def test_an_erasure_whose_key_is_alive_is_found(place: Deployment, sql: Sql) -> None:
    alive = await place.study()
    sql(
        "update erasure set key = (select key from study where id = %(study)s) where study_id in"
        " (select study_id from erasure limit 1)",
        study=alive.id,
    )
    found = await stands(place)
    assert found.standing is Standing.BROKEN
    assert "is erased, and its key is alive" in told(found)
