"""Order, fencing and survival of the one writer."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Collection
from uuid import UUID

import psycopg
import pytest

from tests.unit.ledger.conftest import Deployment, Scope, SmallKeyring
from troth.kit.db import Database
from troth.kit.passwords import SUPERUSER
from troth.ledger import CheckpointBroken, Fenced, Sequencer, TreeBroken


def another(deployment: Deployment) -> Sequencer:
    made = Sequencer(deployment.database.dsn("troth_sequencer"), deployment.keyring, poll_seconds=0.01)
    deployment.extra.append(made)
    return made


async def test_a_transaction_that_commits_late_is_not_skipped(deployment: Deployment) -> None:
    async with deployment.database.transaction(Scope(deployment.tenant)) as slow:
        early = await deployment.ledger.append(slow, deployment.entry(subject_id=UUID(int=5)))
        late = [await deployment.append_one(subject_id=UUID(int=5)) for _ in range(3)]
        assert await deployment.sequencer.drain() == 3
    assert await deployment.sequencer.drain() == 1
    rows = deployment.tamper("select entry_id, subject_seq from ledger_leaf order by index")
    assert [row["entry_id"] for row in rows] == [*late, early]
    assert [row["subject_seq"] for row in rows] == [1, 2, 3, 4]
    assert (await deployment.verify()).is_sound


async def test_many_writers_lose_nothing(deployment: Deployment) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(deployment.sequencer.run(stop))
    subjects = [UUID(int=number) for number in (1, 2, 3)]

    async def write(number: int) -> list[UUID]:
        made = []
        for turn in range(20):
            entries = [deployment.entry(subject_id=subjects[(number + turn) % 3]) for _ in range(1 + turn % 3)]
            made += await deployment.append(*entries)
        return made

    written = [made for each in await asyncio.gather(*(write(number) for number in range(6))) for made in each]
    while deployment.tamper("select 1 from ledger_pending limit 1"):
        await asyncio.sleep(0.02)
    stop.set()
    await running
    rows = deployment.tamper("select index, entry_id from ledger_leaf order by index")
    assert [row["index"] for row in rows] == list(range(len(written)))
    assert {row["entry_id"] for row in rows} == set(written)
    verdict = await deployment.verify()
    assert verdict.broken == ()
    assert (verdict.size, verdict.pending) == (len(written), 0)
    assert verdict.checkpoints == verdict.signatures > 1


async def test_small_batches_give_the_same_tree(deployment: Deployment) -> None:
    small = Sequencer(deployment.database.dsn("troth_sequencer"), deployment.keyring, batch_size=7)
    await deployment.append(*[deployment.entry(subject_id=UUID(int=number % 5)) for number in range(200)])
    stop = asyncio.Event()
    running = asyncio.create_task(small.run(stop))
    while deployment.tamper("select 1 from ledger_pending limit 1"):
        await asyncio.sleep(0.02)
    stop.set()
    await running
    verdict = await deployment.verify()
    assert verdict.broken == ()
    assert verdict.checkpoints == 29


async def test_a_second_one_stands_by_and_takes_over(deployment: Deployment) -> None:
    second = another(deployment)
    await deployment.append_one()
    assert await deployment.sequencer.step() == 1
    assert deployment.sequencer.is_leading
    await deployment.append_one()
    assert await second.step() is None
    assert not second.is_leading
    await deployment.sequencer.close()
    taken = None
    for _ in range(1000):  # the server lets the lock go when it notices that the connection ended
        if (taken := await second.step()) is not None:
            break
        await asyncio.sleep(0.01)
    assert taken == 1
    assert await deployment.sequencer.step() is None
    assert (await deployment.verify()).is_sound


async def test_one_who_lost_the_lock_unnoticed_is_fenced(deployment: Deployment) -> None:
    second = another(deployment)
    await deployment.append_one()
    assert await deployment.sequencer.step() == 1
    # The server drops the connection with the lock; the first sequencer does not notice.
    lost = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
    deployment.tamper(f"{lost} and database = (select oid from pg_database where datname = current_database())")
    while await second.step() is None:
        await asyncio.sleep(0.01)
    await deployment.append_one()
    with pytest.raises(Fenced):
        await deployment.sequencer.step()
    assert len(deployment.tamper("select 1 from ledger_leaf")) == 1
    assert await deployment.sequencer.step() is None
    assert await second.step() == 1
    fences = [row["fence"] for row in deployment.tamper("select fence from ledger_checkpoint order by size")]
    assert fences == sorted(set(fences))
    assert (await deployment.verify()).is_sound


async def test_it_goes_on_where_the_server_cut_it_off(deployment: Deployment) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(deployment.sequencer.run(stop))
    for _ in range(5):
        await deployment.append_one()
        deployment.tamper("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'troth_sequencer'")
    while deployment.tamper("select 1 from ledger_pending limit 1"):
        await asyncio.sleep(0.02)
    stop.set()
    await running
    verdict = await deployment.verify()
    assert (verdict.broken, verdict.size) == ((), 5)


async def test_a_fenced_one_stands_by_while_it_runs(deployment: Deployment) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(deployment.sequencer.run(stop))
    await deployment.append_one()
    while deployment.tamper("select 1 from ledger_pending limit 1"):
        await asyncio.sleep(0.02)
    deployment.tamper("update ledger_fence set number = number + 1")
    await deployment.append_one()
    while deployment.tamper("select 1 from ledger_pending limit 1"):
        await asyncio.sleep(0.02)
    stop.set()
    await running
    fences = [row["fence"] for row in deployment.tamper("select fence from ledger_checkpoint order by size")]
    assert fences[1] == fences[0] + 2


async def test_what_already_has_a_leaf_gets_no_second_one(deployment: Deployment) -> None:
    await deployment.append_one()
    await deployment.sequencer.drain()
    deployment.tamper("insert into ledger_pending (tenant, entry_id) select tenant, id from ledger_entry")
    assert await deployment.sequencer.drain() == 1
    assert len(deployment.tamper("select 1 from ledger_leaf")) == 1
    assert deployment.tamper("select 1 from ledger_pending") == []


@pytest.mark.parametrize(
    "query",
    [
        "update ledger_tile set bytes = sha256(bytes) where level = 0 and index = 0",
        "update ledger_tile set bytes = ''",
        "update ledger_tile set bytes = sha256(bytes) || substr(bytes, 33)",
        "delete from ledger_tile",
        "delete from ledger_leaf where index = 2",
        "delete from ledger_checkpoint",
        "update ledger_checkpoint set note = replace(note, e'\\n3\\n', e'\\n2\\n')",
    ],
)
async def test_a_broken_tree_is_not_extended(deployment: Deployment, query: str) -> None:
    await deployment.append(*[deployment.entry()] * 2)
    await deployment.append_one()
    await deployment.sequencer.drain()
    await deployment.sequencer.close()
    await deployment.append_one()
    deployment.tamper(query)
    with pytest.raises((TreeBroken, CheckpointBroken)):
        await asyncio.wait_for(another(deployment).run(asyncio.Event()), 10)


async def test_a_log_of_another_key_is_not_extended(deployment: Deployment) -> None:
    await deployment.append_one()
    await deployment.sequencer.drain()
    await deployment.sequencer.close()
    await deployment.append_one()
    stranger = Sequencer(deployment.database.dsn("troth_sequencer"), SmallKeyring())
    deployment.extra.append(stranger)
    with pytest.raises(CheckpointBroken):
        await stranger.drain()


_VICTIM = """
import asyncio, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.unit.ledger.conftest import SmallKeyring
from troth.ledger import Sequencer

async def main():
    keyring = SmallKeyring()
    keyring._signing = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sys.argv[2]))
    sequencer = Sequencer(sys.argv[1], keyring, poll_seconds=0.001, batch_size=5)
    print("ready", flush=True)
    await sequencer.run(asyncio.Event())

asyncio.run(main())
"""


async def test_it_may_be_killed_at_any_point(deployment: Deployment) -> None:
    secret = deployment.keyring._signing.private_bytes_raw().hex()
    dsn = deployment.database.dsn("troth_sequencer")
    written = 0
    for number in range(3):
        victim = subprocess.Popen(
            [sys.executable, "-c", _VICTIM, dsn, secret], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
        )
        try:
            assert victim.stdout is not None
            await asyncio.to_thread(victim.stdout.readline)
            for _ in range(3 + number):
                await deployment.append(*[deployment.entry(subject_id=UUID(int=5))] * 30)
                written += 30
        finally:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            if victim.stdout is not None:
                victim.stdout.close()
    while await deployment.sequencer.step() is None:  # the server may take a moment to free a dead one's lock
        await asyncio.sleep(0.01)
    await deployment.sequencer.drain()
    verdict = await deployment.verify()
    assert (verdict.broken, verdict.size, verdict.pending) == ((), written, 0)


async def test_a_database_that_is_away_is_waited_for(deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = Sequencer("host=/nowhere dbname=none user=none", deployment.keyring, poll_seconds=0.01)
    stop = asyncio.Event()
    running = asyncio.create_task(nowhere.run(stop))
    while "does not answer" not in caplog.text:
        await asyncio.sleep(0.01)
    stop.set()
    await running


async def test_idle_is_cheap_and_orderly(deployment: Deployment) -> None:
    assert await deployment.sequencer.drain() == 0
    assert deployment.tamper("select 1 from ledger_checkpoint") == []
    with psycopg.connect(deployment.database.dsn(SUPERUSER)) as connection:
        row = connection.execute("select count(*) from pg_stat_activity where usename = 'troth_sequencer'").fetchone()
    assert row is not None
    assert row[0] <= 2
    assert isinstance(deployment.database, Database)


async def test_it_tells_when_something_was_written(deployment: Deployment) -> None:
    told: list[Collection[str]] = []
    stop = asyncio.Event()
    running = asyncio.create_task(deployment.sequencer.run(stop, lambda kinds: told.append(set(kinds))))
    await asyncio.sleep(0.2)
    assert told == []
    await deployment.append_one()
    async with asyncio.timeout(10):
        while not told:
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert told == [{"archive:study:opened"}]


async def test_one_that_stands_by_cannot_know_and_tells_each_time(deployment: Deployment) -> None:
    await deployment.sequencer.step()  # takes the lead
    told: list[Collection[str]] = []
    stop = asyncio.Event()
    running = asyncio.create_task(another(deployment).run(stop, told.append))
    async with asyncio.timeout(10):
        while len(told) < 3:
            await asyncio.sleep(0.01)
    stop.set()
    await running
