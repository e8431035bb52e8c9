"""A database that is not the one that was signed last is said at the start, in the ledger, and to administrators."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.common.deployment import Deployment, OpenDeployment
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.ledger import HEAD_DIFFERED, HeadFile, Sequencer
from troth.main.first_start import operator
from troth.main.standing import say_standing, sequence

TABLES = ("ledger_entry", "ledger_leaf", "ledger_checkpoint", "ledger_tile")


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture
def sql(place: Deployment, postgres: EmbeddedServer) -> Iterator[Callable[..., None]]:
    """As the superuser of the database; the ledger is put back as it was."""
    database = psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"]
    with psycopg.connect(postgres.dsn(SUPERUSER, str(database)), autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")

        def run(statement: str, **values: int) -> None:
            for table in TABLES:
                connection.execute(f"create temporary table if not exists kept_{table} as table {table}".encode())
            connection.execute(statement.encode(), values)

        yield run
        for table in TABLES:
            connection.execute(f"delete from {table}".encode())
            connection.execute(f"insert into {table} select * from kept_{table}".encode())


def cut(sql: Callable[..., None], size: int) -> None:
    """Back to a size that was signed, with all that was signed after it."""
    sql("delete from ledger_entry where id in (select entry_id from ledger_leaf where index >= %(size)s)", size=size)
    sql("delete from ledger_leaf where index >= %(size)s", size=size)
    sql("delete from ledger_checkpoint where size > %(size)s", size=size)


def altered(sql: Callable[..., None], size: int) -> None:
    """As many entries, and others: the tiles of a tree that was made anew."""
    sql("update ledger_tile set bytes = sha256(bytes) || substr(bytes, 33) where level = 0", size=size)


LIES = {"cut": (cut, "an older or a cut one"), "other": (altered, "are not those that were signed")}


async def told(place: Deployment) -> list[dict[str, str]]:
    async with place.rooms.database.transaction(None) as connection:
        cursor = await connection.execute(
            "select more -> 'says' ->> 'state' as how, counts from ledger_entry where kind = %s order by at",
            (HEAD_DIFFERED,),
        )
        return [dict(row) for row in await cursor.fetchall()]


async def test_what_is_as_it_was_signed_is_not_spoken_of(place: Deployment) -> None:
    await place.study()
    await place.looked()
    admin = await place.staff("admin")
    assert await say_standing(place.rooms, operator())
    page = await admin.web.get("/admin/systems")
    assert page.status_code == 200
    assert "signed last" not in page.text
    assert await told(place) == []


@pytest.mark.parametrize("how", LIES)
async def test_an_older_or_another_ledger_is_said_at_the_start_and_on_the_page(
    place: Deployment, sql: Callable[..., None], how: str, caplog: pytest.LogCaptureFixture
) -> None:
    admin = await place.staff("admin")
    await place.looked()
    head = HeadFile(place.rooms.settings.data_dir).read()
    assert head is not None
    lie, words = LIES[how]
    before = await told(place)
    size = (await sizes(place))[-2]
    lie(sql, size)
    with caplog.at_level(logging.CRITICAL):
        assert not await say_standing(place.rooms, operator())
    assert "Nothing more is signed" in caplog.text
    now = await told(place)
    assert [row["how"] for row in now[len(before) :]] == [how]
    assert now[-1]["counts"] == {"signed": head.size, "held": size if how == "cut" else head.size}
    page = await admin.web.get("/admin/systems")
    assert words in page.text.lower()
    assert "Nothing more is signed" in page.text


async def test_a_head_file_that_is_gone_or_spoilt_is_said(place: Deployment) -> None:
    file = HeadFile(place.rooms.settings.data_dir).path
    kept = file.read_bytes()
    try:
        file.unlink()
        assert not await say_standing(place.rooms, operator())
        file.write_text("{}")
        assert not await say_standing(place.rooms, operator())
    finally:
        file.write_bytes(kept)
    assert [row["how"] for row in await told(place)][-2:] == ["gone", "unreadable"]
    assert await say_standing(place.rooms, operator())


async def sizes(place: Deployment) -> list[int]:
    """Of the checkpoints."""
    async with place.rooms.database.transaction(None) as connection:
        cursor = await connection.execute("select size from ledger_checkpoint order by size")
        return [row["size"] for row in await cursor.fetchall()]


async def test_a_tree_that_must_not_go_on_ends_the_signing_alone_and_is_said(
    place: Deployment, sql: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """What the head file does not see: a leaf that is gone. The worker's task ends well, so its other work goes on."""
    admin = await place.staff("admin")
    await place.looked()
    await place.sequencer.close()
    before, number = await told(place), await fence(place)
    sql("delete from ledger_leaf where index = (select max(index) from ledger_leaf)")
    for _ in range(2):
        head = HeadFile(place.rooms.settings.data_dir)
        sequencer = Sequencer(place.rooms.dsn_sequencer, place.rooms.keyring, head=head)
        with caplog.at_level(logging.CRITICAL):
            await sequence(place.rooms, operator(), sequencer, asyncio.Event(), lambda kinds: None)
    assert "not as many as its last checkpoint says. Nothing more is signed" in caplog.text
    assert [row["how"] for row in (await told(place))[len(before) :]] == ["broken", "broken"]
    assert await fence(place) == number, "tries that fail raise no number: it would pass the one that is remembered"
    page = await admin.web.get("/admin/systems")
    assert "do not fit what was signed" in page.text
    assert "Nothing more is signed" in page.text


async def fence(place: Deployment) -> int:
    """The fencing number in force."""
    async with await psycopg.AsyncConnection.connect(place.rooms.dsn_sequencer) as connection:
        row = await (await connection.execute("select number from ledger_fence")).fetchone()
    assert row is not None
    return int(row[0])
