"""While the database is away or comes back, every door says that trying again helps, and none says that it failed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from pynetdicom.ae import ApplicationEntity as AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tests.common.deployment import Deployment, OpenDeployment
from troth.doors import dimse
from troth.kit import db
from troth.kit.db import Database, DatabaseUnavailable
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import LEAST_ROOM, EmbeddedServer


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


def name_of(place: Deployment) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"])


def end_all(postgres: EmbeddedServer, name: str) -> int:
    """What a restart of the server does to those who are connected: SQLSTATE 57P01 and a closed socket."""
    with psycopg.connect(postgres.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
        found = connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", (name,)
        )
        return len(found.fetchall())


@contextmanager
def away(postgres: EmbeddedServer, name: str) -> Iterator[None]:
    """The server refuses this database: SQLSTATE 55000 for everybody who comes."""
    with psycopg.connect(postgres.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(f"alter database {name} allow_connections false")  # type: ignore[arg-type]
        try:
            end_all(postgres, name)
            yield
        finally:
            connection.execute(f"alter database {name} allow_connections true")  # type: ignore[arg-type]


def rejected(port: int) -> tuple[int, int, int] | None:
    """Result, source and reason with which an association of a known machine is rejected; None when it is accepted."""
    caller = AE("CT1")
    caller.add_requested_context(Verification)
    association = caller.associate("127.0.0.1", port, ae_title="TROTH")
    if association.is_established:
        association.release()
        return None
    answer = association.acceptor.primitive
    return (answer.result, answer.result_source, answer.diagnostic)


@pytest.mark.asvs("V16.5.2")
async def test_whose_connections_were_ended_notices_nothing(place: Deployment, postgres: EmbeddedServer) -> None:
    doctor, machine = await place.staff("clinician"), await place.bearer("clinician", "diagnosis")
    follower = await place.bearer("peer", "care")
    for path, person in (("/studies", doctor), ("/dicomweb/studies", machine), ("/api/changes", follower)):
        assert end_all(postgres, name_of(place)) > 0
        assert (await person.web.get(path)).status_code in (200, 204), path
    assert end_all(postgres, name_of(place)) > 0
    assert (await doctor.web.get("/health")).text == "up\n"


async def test_a_probe_is_told_that_there_is_no_room(place: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage(place.rooms.settings.data_dir)._replace(free=LEAST_ROOM - 1)
    monkeypatch.setattr("troth.kit.postgres.shutil.disk_usage", lambda folder: free)
    answer = await place.anybody().web.get("/health")
    assert (answer.status_code, answer.text) == (503, "no room\n")
    assert answer.headers["retry-after"]


@pytest.mark.asvs("V16.5.2")
async def test_every_door_says_that_trying_again_helps(
    place: Deployment, postgres: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "WAIT_SECONDS", 0.3)
    doctor, machine = await place.staff("clinician"), await place.bearer("clinician", "diagnosis")
    anybody, follower = place.anybody(), await place.bearer("peer", "care")
    asked = [
        (anybody, "/health"),
        (doctor, "/studies"),
        (anybody, "/nothing-there?x"),
        (machine, "/dicomweb/studies"),
        (machine, "/dicomweb/studies/1.2.3/metadata"),
        (follower, "/api/changes"),
    ]
    await place.peer("CT1")
    listener = dimse.create(place.rooms)
    await listener.start("127.0.0.1", 0)
    assert await asyncio.to_thread(rejected, listener.port) is None
    with away(postgres, name_of(place)):
        for person, path in asked:
            answer = await person.web.get(path)
            assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5"), path
        sent = await anybody.web.post("/sign-in", data={"email": "somebody@x.example"})
        stored = await place.stow([b"x" * 400], by=follower)
        assert (sent.status_code, stored.status_code) == (503, 503)
        assert await asyncio.to_thread(rejected, listener.port) == (2, 3, 1)
        shown = await doctor.web.get("/studies")
        assert "Try again in a few seconds" in shown.text
        assert shown.headers["content-security-policy"]
    for person, path in asked:
        assert (await person.web.get(path)).status_code in (200, 204, 404), path
    assert await asyncio.to_thread(rejected, listener.port) is None
    await listener.stop()


async def test_what_breaks_in_the_middle_is_the_databases_and_a_wrong_statement_is_not(
    place: Deployment, postgres: EmbeddedServer
) -> None:
    database: Database = place.rooms.database
    with pytest.raises(DatabaseUnavailable):
        async with database.transaction(None) as connection:
            await connection.execute("select 1")
            end_all(postgres, name_of(place))
            await connection.execute("select 1")
    with pytest.raises(psycopg.errors.QueryCanceled):
        async with database.transaction(None) as connection:
            await connection.execute("set local statement_timeout = 1")
            await connection.execute("select pg_sleep(1)")
    assert await database.answers()
