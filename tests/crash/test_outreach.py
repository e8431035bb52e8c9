"""Everybody is told of a change once, wherever the worker is killed: SIGKILL after every step, recorded or not."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from dataclasses import dataclass
from email import message_from_bytes, policy
from functools import partial
from uuid import UUID

import psycopg
import pytest

from tests.common.deployment import NOTICES, Deployment, OpenDeployment
from tests.crash import killable, outreach_worker
from tests.promises.test_changes import RECIPIENT, next_version, publish, with_clause
from troth.kit.postgres import EmbeddedServer

DEPLOYMENT = "equipment-maker"
ACCOUNTS = 6  # two administrators of each of the three organisations
STEPS = ACCOUNTS + 3  # begin, one mail each, one look that finds nobody left, finish


@dataclass
class Bench:
    """A deployment whose notice promises mails about changes, and workers that can be killed."""

    place: Deployment
    dsns: dict[str, str]
    changes: int = 0

    async def change(self) -> UUID:
        """Publish a version with one more recipient, which every account has to be told; gives its id."""
        self.changes += 1
        before = (await self.place.rooms.notices.versions(DEPLOYMENT))[0].notice
        section = int(before.all("recipient")[0].id.split(".")[0])
        clause = RECIPIENT.format(section=section, country=before.regions[0])
        clause = clause.replace(".90", f".{100 + self.changes}").replace("survey_company", f"survey_{self.changes}")
        proposal = await publish(self.place, next_version(before, with_clause(before, section, clause)))
        assert proposal.version_id is not None
        return proposal.version_id

    async def work(self, version_id: UUID, executor: str, *, kill_at: int = 0, is_recorded: bool = True) -> int | None:
        """Run a worker until it is dead or everybody was told; returns its exit code."""
        folder = str(self.place.rooms.settings.data_dir)
        arguments = (folder, str(NOTICES / DEPLOYMENT), self.dsns, executor, kill_at, is_recorded)
        return await killable.run(outreach_worker.run, *arguments, until=partial(self.is_over, version_id))

    async def is_over(self, version_id: UUID) -> bool:
        """Whether the engine has ended the workflow."""
        with contextlib.suppress(psycopg.errors.UndefinedTable):  # before the first launch
            async with await psycopg.AsyncConnection.connect(self.dsns["flow"]) as connection:
                found = await connection.execute(
                    "select status from dbos.workflow_status where workflow_uuid = %s", [f"tell:{version_id}"]
                )
                return (await found.fetchone() or ("",))[0] == "SUCCESS"
        return False

    def mails(self) -> Counter[tuple[str, str]]:
        """How often each message lies in the outbox, by address and Message-ID."""
        files = sorted((self.place.rooms.settings.data_dir / "outbox").glob("*.eml"))
        read = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
        return Counter((mail["To"], mail["Message-ID"]) for mail in read if "notice changes" in mail["Subject"])

    async def told(self, version_id: UUID) -> tuple[int, int, int, int]:
        """Accounts, those written to, and the entries of the ledger for the last version: mailed, and told."""
        progress = await self.place.rooms.outreach.told(version_id)
        assert progress is not None
        number = (await self.place.rooms.notices.versions(DEPLOYMENT))[0].number
        entries = [
            len([each for each in await self.place.ledgered(kind=kind) if each.counts["number"] == number])
            for kind in ("outreach:amendment:mailed", "outreach:amendment:told")
        ]
        return progress.accounts, progress.sent, entries[0], entries[1]


@pytest.fixture(scope="module")
async def bench(open_deployment: OpenDeployment, postgres: EmbeddedServer) -> Bench:
    killable.preload("tests.crash.outreach_worker")
    place = await open_deployment(DEPLOYMENT)
    name = psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"]
    return Bench(
        place,
        {
            "app": postgres.dsn("troth_app", str(name)),
            "sequencer": place.rooms.dsn_sequencer,
            "flow": postgres.dsn("troth_flow", "troth_flow"),
        },
    )


async def test_a_kill_after_each_step_mails_each_account_once(bench: Bench) -> None:
    for number in range(1, STEPS + 1):
        before, version_id = bench.mails(), await bench.change()
        executor = f"told-{number}"
        assert await bench.work(version_id, executor, kill_at=number) == -signal.SIGKILL, number
        # The same place takes up what was under way.
        assert await bench.work(version_id, executor) == 0
        new = bench.mails() - before
        assert len({address for address, _ in new}) == ACCOUNTS, number
        assert set(new.values()) == {1}, f"an account was mailed twice after step {number}"
        assert await bench.told(version_id) == (ACCOUNTS, ACCOUNTS, ACCOUNTS, 1)


async def test_kills_within_every_step_mail_each_account_once(bench: Bench) -> None:
    before, version_id = bench.mails(), await bench.change()
    for number in range(1, STEPS + 1):  # each step has done its work and was not recorded: it runs twice
        code = await bench.work(version_id, "told-within", kill_at=number, is_recorded=False)
        assert code in (-signal.SIGKILL, 0)
        if await bench.is_over(version_id):
            break
    assert await bench.work(version_id, "told-within") == 0
    new = bench.mails() - before
    assert set(new.values()) == {1}
    assert len(new) == ACCOUNTS
    assert await bench.told(version_id) == (ACCOUNTS, ACCOUNTS, ACCOUNTS, 1)
