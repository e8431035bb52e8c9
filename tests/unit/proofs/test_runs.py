"""Runs: stored, read by pages, blind when they are old or were altered; a break is remembered."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.common.deployment import Deployment, OpenDeployment
from tests.promises.test_changes import next_version, publish
from troth import policy
from troth.archive.tampering import Looked
from troth.kit import clock
from troth.kit.db import Connection
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.ledger import AlteredRow, needs
from troth.main.proof_runs import ProofRuns
from troth.proofs import Result, Runs, Standing, runs_store
from troth.proofs.looks import LeafUnreadable
from troth.proofs.result import digest


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
    with psycopg.connect(postgres.dsn(SUPERUSER, name), autocommit=True) as superuser:
        superuser.execute("delete from proof_run")


async def test_a_break_is_an_event_and_stays_listed_for_a_year_after_it_ended(open_deployment: OpenDeployment) -> None:
    place = await open_deployment("imaging-cloud")
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


async def test_every_run_names_its_results_in_the_ledger_and_is_no_reason_to_run_again(place: Deployment) -> None:
    made = await place.looked()
    entry = (await place.ledgered(kind="proofs:run:ended"))[-1]
    assert entry.clear.ref("run") == made.id
    due = ProofRuns(place.rooms)
    await place.looked()
    await place.sequencer.drain()
    assert not await due.is_due()
    await place.staff("clinician")
    await place.sequencer.drain()
    assert await due.is_due()
    await place.looked()
    with clock.moved(timedelta(hours=1, minutes=1)):
        assert await due.is_due()  # what is open breaks by the clock alone


def named(found: Result) -> str:
    return " ".join(each.found for each in found.reports[0].safeguards if each.holds is False)


async def test_stored_results_that_were_changed_with_their_digest_are_found_and_named(
    place: Deployment, postgres: EmbeddedServer
) -> None:
    made = await place.looked()
    name = str(psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"])
    with psycopg.connect(postgres.dsn(SUPERUSER, name), autocommit=True) as superuser:
        (plain,) = superuser.execute("select results from proof_run where id = %s", (made.id,)).fetchone() or ({},)
        plain["reports"][0]["promises"][0]["standing"] = "kept"
        superuser.execute(
            "update proof_run set results = %s, sha256 = %s where id = %s", (Jsonb(plain), digest(plain), made.id)
        )
    fresh = Runs(place.rooms.database, place.rooms.ledger, place.rooms.notices, place.rooms.proofs)
    assert await fresh.last() is None
    assert f"the results of run {made.id}" in named(await place.looked())
    with psycopg.connect(postgres.dsn(SUPERUSER, name), autocommit=True) as superuser:
        superuser.execute("delete from proof_run where id = %s", (made.id,))
    assert "was changed" not in named(await place.looked())


async def test_a_break_that_was_taken_away_or_called_mended_in_the_table_is_named(
    place: Deployment, postgres: EmbeddedServer
) -> None:
    key = place.rooms.settings.data_dir / "keys" / "root.key"
    key.chmod(0o644)
    name = str(psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"])
    with psycopg.connect(postgres.dsn(SUPERUSER, name), autocommit=True) as superuser:
        try:
            await place.looked()
            superuser.execute("update proof_breach set ended_at = now() where ended_at is null")
            assert "the break" in named(await place.looked())
            superuser.execute("delete from proof_breach")
            assert "which is gone" in named(await place.looked())
        finally:
            key.chmod(0o600)


async def test_of_two_workers_one_computes(place: Deployment) -> None:
    rooms = place.rooms
    other = Runs(rooms.database, rooms.ledger, rooms.notices, rooms.proofs)
    async with rooms.database.transaction(None) as connection:
        await runs_store.lease(connection)
        assert await other.try_run() is None
    assert await other.try_run() is not None


async def test_all_that_is_held_is_looked_through_once_a_night(
    place: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    held = place.rooms.archive.tampering.found

    async def found(tenant: UUID) -> Looked:
        looked.append(str(tenant))
        return await held(tenant)

    monkeypatch.setattr(place.rooms.archive.tampering, "found", found)
    await place.looked()
    assert looked
    looked.clear()
    due = ProofRuns(place.rooms)
    await place.sequencer.drain()
    made = await place.rooms.runs.try_run(is_deep=await due.is_deep_due())
    assert looked == []
    assert made is not None
    assert "every study is its patient's" in " ".join(each.found for each in made.reports[0].safeguards)
    with clock.moved(timedelta(days=1)):
        assert await due.is_deep_due()
        await place.sequencer.drain()
        assert await place.rooms.runs.try_run(is_deep=await due.is_deep_due()) is not None
        assert looked


async def test_the_rows_of_registers_are_looked_at_every_ten_minutes(place: Deployment) -> None:
    due = ProofRuns(place.rooms)
    await place.looked()
    assert not await due.are_rows_due()
    with clock.moved(timedelta(days=2)):
        assert await due.are_rows_due()
        assert not await due.are_rows_due()


async def test_a_run_is_rested_from_even_where_it_failed(place: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    due, begun = ProofRuns(place.rooms), list[bool]()

    async def fails(*, is_deep: bool) -> None:
        begun.append(is_deep)
        await asyncio.sleep(0.05)
        raise LeafUnreadable

    monkeypatch.setattr(place.rooms.runs, "try_run", fails)
    for _ in range(3):
        with contextlib.suppress(LeafUnreadable):
            await due.once()
    assert len(begun) == 1, "the next one waits for fifty times as long as that took"
    with clock.moved(timedelta(seconds=30)), pytest.raises(LeafUnreadable):
        await due.once()
    assert len(begun) == 2


async def test_altered_rows_are_named_at_once_and_not_run_for_over_and_over(
    place: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    due, begun = ProofRuns(place.rooms), list[bool]()
    altered = [AlteredRow("restriction", "1", "deleted")]

    async def bound() -> list[AlteredRow]:
        return altered

    async def try_run(*, is_deep: bool) -> None:
        begun.append(is_deep)

    async def is_due() -> bool:
        return False

    monkeypatch.setattr(place.rooms.registers, "bound", bound)
    monkeypatch.setattr(place.rooms.runs, "try_run", try_run)
    monkeypatch.setattr(due, "is_due", is_due)
    for hours in (50, 51, 52):
        with clock.moved(timedelta(hours=hours)):
            await due.once()
    assert begun == [False]
    altered.append(AlteredRow("restriction", "2", "deleted"))
    with clock.moved(timedelta(hours=53)):
        await due.once()
    assert begun == [False] * 2


async def test_a_run_that_ends_while_the_last_one_is_read_is_no_reason_to_say_nothing(
    open_deployment: OpenDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await open_deployment("imaging-cloud")
    rooms, before = place.rooms, await place.looked()
    reading = Runs(rooms.database, rooms.ledger, rooms.notices, rooms.proofs)
    found = runs_store.results_of

    async def meanwhile(connection: Connection, run_id: UUID) -> Any:
        monkeypatch.setattr(runs_store, "results_of", found)
        await rooms.runs.run()
        return await found(connection, run_id)

    monkeypatch.setattr(runs_store, "results_of", meanwhile)
    assert await reading.last() == before
    assert await reading.last() == await rooms.runs.last() != before


async def test_what_waits_for_its_place_in_the_tree_is_not_called_changed(open_deployment: OpenDeployment) -> None:
    place = await open_deployment("imaging-cloud")
    await place.sequencer.drain()
    with clock.moved(timedelta(hours=-2)):
        await place.rooms.runs.run()
    async with place.rooms.database.transaction(None) as connection:
        [entry] = await place.rooms.ledger.latest(connection, kinds=["proofs:run:ended"])
    assert entry.index is None, "nobody has sequenced it"
    assert not named(await place.rooms.runs.run())
    await place.sequencer.drain()
    assert not named(await place.rooms.runs.run())


async def test_rows_from_before_entries_named_any_read_as_they_are(
    open_deployment: OpenDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await open_deployment("imaging-cloud")
    monkeypatch.setattr(needs, "lacking", lambda *_: ())
    before = [
        policy.act(policy.Actor(kind="system", role="worker"), kind, "administration", counts={})
        for kind in ("proofs:run:ended", "proofs:clause:broken")
    ]
    async with place.rooms.database.transaction(None) as connection:
        await place.rooms.ledger.append_many(connection, before)
        await runs_store.insert_run(
            connection,
            {
                "id": uuid4(), "size": 1, "program": "0.1", "sha256": b"", "results": {}, "counts": {},
                "started_at": clock.now(), "ended_at": clock.now(), "written": 0,
            },
        )  # fmt: skip
        await runs_store.insert_breach(
            connection,
            {
                "id": uuid4(), "notice": "n", "clause": "1.1", "look": "purpose", "first_index": 1,
                "found_at": clock.now(),
            },
        )  # fmt: skip
    assert not named(await place.looked()), "nothing was changed"
    assert not named(await place.looked())


async def test_a_version_that_comes_into_force_is_looked_at_at_once_and_hides_nothing_meanwhile(
    open_deployment: OpenDeployment,
) -> None:
    place = await open_deployment("imaging-cloud")
    before = (await place.looked()).reports[0]
    notice = (await place.rooms.notices.current())[0].notice
    after = next_version(notice, ("Nothing travels over open lines without", "Nothing travels over any line without"))
    await publish(place, after)
    with clock.moved(timedelta(days=1)):
        found = await place.rooms.runs.last()
        assert found is not None
        assert found.is_behind
        (report,) = found.reports
        assert report.version == after.version
        told = {each.clause_id: each for each in report.promises}
        assert told["11.2"].is_blind
        assert told["11.2"].reason == "this version is being looked at now"
        assert "over any line" in told["11.2"].says
        others = [each for each in before.promises if each.clause_id != "11.2"]
        assert [told[each.clause_id] for each in others] == others
        for path in ("/promises", "/notice"):
            assert "cannot be checked now" in (await page(place, path)).lower()
        assert 'hx-get="/promises"' in await page(place)
        due = ProofRuns(place.rooms)
        due._rests_until = clock.now() + timedelta(hours=1)
        assert await due.look_at_new()
        assert not await due.look_at_new()
        found = await place.rooms.runs.last()
        assert found is not None
        assert not found.is_behind
        assert "hx-get" not in await page(place)
