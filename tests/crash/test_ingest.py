"""kill -9 of the whole node at random moments while instances come in: nothing acknowledged is lost or altered.

`TROTH_KILLS` sets how many kills (20; `make crash` does 200), `TROTH_SEED` repeats the moments of a run.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest

from tests.common.node import Access, NodeProcess, Nursery, a_node, sweep
from tests.crash.examine import Findings, compare, examine, in_clear
from tests.crash.ingest import STOW_BATCH, Book, Load
from troth.main.node import server_for
from troth.policy import Actor
from troth.vault.segments import Place

KILLS = int(os.environ.get("TROTH_KILLS", "20"))
SEED = int(os.environ.get("TROTH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
DURING_START = 0.15  # share of kills that hit a node on its way up
MOST_ACKS = 40  # of one round; its kill comes after a random number of them, so a slow machine has the same moments
LONGEST_SECONDS = 0.1  # and a random while later, in the middle of whatever goes on


@dataclass
class Run:
    """A node that was killed again and again, up once more."""

    node: NodeProcess
    access: Access
    book: Book = field(default_factory=Book)
    checkpoints: list[str] = field(default_factory=list)
    kills: int = 0
    kills_during_start: int = 0

    def last_checkpoint(self) -> None:
        """Keep the ledger's newest signed checkpoint outside, as a witness would."""
        with psycopg.connect(server_for(self.node.settings).dsn("troth_app")) as connection:
            row = connection.execute("select note from ledger_checkpoint order by size desc limit 1").fetchone()
        if row is not None:
            self.checkpoints.append(row[0])

    def kill_during_ingest(self, dice: random.Random) -> None:
        """Start clients, wait for a random moment, kill."""
        self.book.prepare(MOST_ACKS + 2 * STOW_BATCH)
        load = Load(self.node, self.access, self.book)
        load.start()
        count = dice.randrange(MOST_ACKS)
        assert load.wait_for_acks(count, 120), f"little is taken: {self.book.refused[:3]} {self.node.said}"
        time.sleep(dice.uniform(0, LONGEST_SECONDS))
        self.node.kill(every_backend=dice.random() < 0.5)
        load.end()
        self.kills += 1

    def restart(self, dice: random.Random) -> None:
        """Come up again; now and then it is killed on the way, whatever it does just then."""
        while dice.random() < DURING_START and self.kills < KILLS:
            self.node.launch()
            time.sleep(dice.uniform(0, 1.5))
            self.node.kill()
            self.kills += 1
            self.kills_during_start += 1
        self.node.start()


@pytest.fixture(scope="module")
async def run() -> Iterator[Run]:
    """All kills, and the node up again on the same folder."""
    dice = random.Random(SEED)
    nursery = Nursery()
    try:
        with a_node("troth-kill-", nursery) as node:
            run = Run(node, await node.grant_access())
            node.starts_seconds.clear()
            while run.kills < KILLS:
                run.kill_during_ingest(dice)
                run.restart(dice)
                run.last_checkpoint()
            yield run
    finally:
        nursery.close()


@pytest.fixture(scope="module")
async def findings(run: Run) -> Findings:
    """What is there after all kills."""
    return await examine(run.node, run.access, run.book, run.checkpoints)


def test_nothing_acknowledged_is_lost_or_altered(
    run: Run, findings: Findings, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(
            f"\nkills {run.kills} ({run.kills_during_start} during a start), acknowledged {len(run.book.acked)}, "
            f"lost {len(findings.lost)}, altered {len(findings.altered)}, half-made {len(findings.half_made)}, "
            f"stored without acknowledgement {findings.instances - len(run.book.acked)}, "
            f"left over {findings.leftovers} pieces of packs, {findings.leftover_bytes} bytes, "
            f"{findings.lone_subjects} people without a study, "
            f"restart median {statistics.median(run.node.starts_seconds):.2f} s, seed {SEED}"
        )
    assert len(run.book.acked) > run.kills
    assert findings.lost == set()
    assert findings.altered == set()


def test_clients_were_never_refused(run: Run) -> None:
    assert run.book.refused == []


def test_no_study_is_half_made(findings: Findings) -> None:
    assert findings.half_made == []


def test_the_ledger_is_whole_and_tells_of_every_instance(run: Run, findings: Findings) -> None:
    assert findings.ledger == []
    assert run.checkpoints


def test_no_name_is_on_the_disk_in_clear(run: Run, findings: Findings) -> None:
    assert findings.in_clear == []
    study_uid = next(iter(run.book.acked.values()))[0]
    assert in_clear(run.node.folder / "pg", study_uid.encode()), "the search must find what is there in clear"


async def test_after_a_sweep_nothing_is_left_over(
    run: Run, findings: Findings, capsys: pytest.CaptureFixture[str]
) -> None:
    found = sweep(run.node, "--dry-run")
    freed = sweep(run.node)
    again = sweep(run.node, "--dry-run")
    after = await examine(run.node, run.access, run.book, run.checkpoints)
    with capsys.disabled():
        print(
            f"\nswept {freed['pieces']} pieces of packs with {freed['bytes']} bytes, {freed['packs']} whole packs, "
            f"{freed['subjects']} subjects, {freed['keys']} keys; afterwards {after.leftovers} pieces, "
            f"{after.lone_subjects} subjects, {again['keys']} keys"
        )
    assert found["pieces"] >= findings.leftovers
    assert found["subjects"] == findings.lone_subjects
    assert (after.leftovers, after.lone_subjects) == (0, 0)
    assert (again["pieces"], again["subjects"], again["keys"]) == (0, 0, 0)
    assert after.is_sound
    assert after.instances == findings.instances


async def test_the_examiner_compares_bytes(run: Run) -> None:
    uid, (study_uid, _) = list(run.book.acked.items())[len(run.book.acked) // 2]
    other = Book()
    other.acked[uid] = (study_uid, bytes(32))
    findings = Findings()
    await compare(run.node, run.access, other, findings)
    assert (findings.lost, findings.altered) == (set(), {uid})


async def test_the_examiner_sees_a_lost_and_an_altered_instance(run: Run, findings: Findings) -> None:
    """Runs last: it breaks the deployment."""
    assert findings.is_sound
    lost, altered = list(run.book.acked)[:1], list(run.book.acked)[-1:]
    async with (
        run.node.rooms() as rooms,
        rooms.database.transaction(Actor("system", tenant=run.access.tenant)) as connection,
    ):
        await connection.execute("delete from instance where instance_uid = any(%s)", (lost,))
        cursor = await connection.execute("select bulk_locator from instance where instance_uid = any(%s)", (altered,))
        (row,) = await cursor.fetchall()
    (extent,) = Place.decode(row["bulk_locator"]).extents
    with (run.node.folder / "packs" / f"{extent.pack_id.hex()}.pack").open("r+b") as pack:
        pack.seek(extent.offset + extent.length // 2)
        byte = pack.read(1)[0]
        pack.seek(-1, os.SEEK_CUR)
        pack.write(bytes([byte ^ 1]))
    seen = await examine(run.node, run.access, run.book, run.checkpoints)
    assert {*lost, *altered} <= seen.lost | seen.altered
    assert seen.half_made, "a study that says more instances than it has must be seen"
    assert seen.ledger, "a ledger that tells of more instances than there are must be seen"
