"""Runs: stored, read by pages, blind when they are old or were altered; a break is remembered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.common.deployment import Deployment, OpenDeployment
from troth.kit import clock
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.proofs import Result, Standing


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


def standings(found: Result | None) -> set[Standing]:
    assert found is not None
    return {promise.standing for report in found.reports for promise in report.promises}


async def page(place: Deployment, path: str = "/promises") -> str:
    answer = await place.anybody().web.get(path)
    assert answer.status_code == 200
    return answer.text


async def test_before_the_first_run_nothing_is_said(place: Deployment) -> None:
    assert await place.rooms.runs.last() is None
    assert "Nothing was checked yet" in await page(place)
    assert "Not checked yet" in await page(place, "/notice")
    assert "registered for a sale" not in await page(place, "/do-not-sell")


async def test_a_page_reads_what_a_run_found_and_computes_nothing(
    place: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await place.looked()
    seen: list[str] = []

    async def verify(*_: Any, **__: Any) -> Any:
        seen.append("verified")

    monkeypatch.setattr(place.rooms.ledger, "verify", verify)
    found = await place.rooms.runs.last()
    assert found == made
    for path in ("/promises", "/notice", "/do-not-sell"):
        await page(place, path)
    assert "computed again, and every one fits" in await page(place)
    assert seen == []


async def test_a_run_that_is_older_than_a_day_says_nothing_of_now(place: Deployment) -> None:
    await place.looked()
    with clock.moved(timedelta(hours=25)):
        assert Standing.KEPT in standings(await place.rooms.runs.last())
    with clock.moved(timedelta(hours=27)):
        found = await place.rooms.runs.last()
        assert Standing.KEPT not in standings(found)
        assert found is not None
        reasons = {each.reason for report in found.reports for each in report.promises if each.is_blind}
        assert reasons == {"the last check is older than a day"}


async def test_results_that_were_altered_or_are_of_another_program_are_not_told(
    place: Deployment, postgres: EmbeddedServer
) -> None:
    await place.looked()
    name = str(psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"])
    with psycopg.connect(postgres.dsn(SUPERUSER, name), autocommit=True) as superuser:
        superuser.execute("update proof_run set program = 'another'")
        assert Standing.KEPT not in standings(await place.rooms.runs.last())
        superuser.execute(
            "update proof_run set results = replace(results::text, '\"unproven\"', '\"kept\"')::jsonb,"
            " id = gen_random_uuid()"
        )
    assert await place.rooms.runs.last() is None


async def test_a_break_is_an_event_and_stays_listed_for_a_year_after_it_ended(place: Deployment) -> None:
    await place.looked()
    key = place.rooms.settings.data_dir / "keys" / "root.key"
    key.chmod(0o644)
    try:
        broken = await place.looked()
    finally:
        key.chmod(0o600)
    (clause,) = [each for each in broken.reports[0].promises if each.clause_id == "11.1"]
    assert clause.standing is Standing.BROKEN
    (event,) = await place.ledgered(kind="proofs:clause:broken")
    assert event.clauses == ("11.1",)
    with clock.moved(timedelta(days=2)):
        healed = await place.looked()
    assert [each.clauses for each in await place.ledgered(kind="proofs:clause:mended")] == [("11.1",)]
    (clause,) = [each for each in healed.reports[0].promises if each.clause_id == "11.1"]
    assert clause.standing is not Standing.BROKEN
    assert "it was broken from" in clause.reason
    with clock.moved(timedelta(days=360)):
        assert "it was broken from" in told(await place.looked())
    with clock.moved(timedelta(days=370)):
        assert "it was broken from" not in told(await place.looked())


def told(found: Result) -> str:
    return " ".join(promise.reason for report in found.reports for promise in report.promises)


async def test_a_run_that_finds_what_the_last_one_found_writes_one_entry_a_day(place: Deployment) -> None:
    await place.looked()
    before = len(await place.ledgered(kind="proofs:run:ended"))
    await place.looked()
    assert len(await place.ledgered(kind="proofs:run:ended")) == before
    with clock.moved(timedelta(days=400)):
        await place.looked()
        assert len(await place.ledgered(kind="proofs:run:ended")) == before + 1
