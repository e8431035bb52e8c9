"""A request ends the same, wherever the worker is killed: SIGKILL after every step, recorded or not."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
import pydicom
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.common.platform import NOTICE, Platform, open_platform
from tests.common.servers import ServedDatabase
from tests.crash import killable, rights_worker
from troth.dicom.specimens import Study, phantom_ct, retagged
from troth.people import Subject
from troth.rights import Right, RightsRequest

# The steps of each workflow, for one study that goes and one that stays.
STEPS = {
    Right.ACCESS: ("acknowledge", "mail receipt", "make copy", "read back", "answer", "mail answer"),
    Right.ERASE: (
        "acknowledge", "mail receipt", "decide", "erase", "erase copies", "certify", "answer", "mail answer",
    ),
}  # fmt: skip
CASES = [
    pytest.param(right, number, id=f"{right}-{name}")
    for right, steps in STEPS.items()
    for number, name in enumerate(steps, 1)
]


@dataclass
class Bench:
    """A platform, and workers that can be killed."""

    platform: Platform
    dsns: dict[str, str]
    studies: list[list[bytes]]
    people: int = 0

    async def person(self) -> Subject:
        """A new subject with an account, a study that may be erased, one that may not, and an earlier copy of both."""
        self.people += 1
        for files in self.studies:
            whose = {"PatientID": f"K-{self.people}", "PatientName": f"Killed^{self.people}"}
            theirs = [retagged(file, seed=self.people, **whose) for file in files]
            await self.platform.store(theirs)
        latest = pydicom.dcmread(io.BytesIO(theirs[0]), stop_before_pixels=True)
        subject = await self.platform.subject_of(latest.StudyInstanceUID)
        await self.platform.link(subject, f"k{self.people}@patients.example", f"Killed {self.people}", date(1970, 1, 1))
        return subject

    async def work(self, executor: str, *, kill_at: int = 0, is_recorded: bool = True, until: Any = None) -> int | None:
        """Run a worker until it is dead or its work is done; returns its exit code."""
        folder = str(self.platform.rooms.settings.data_dir)
        arguments = (folder, str(NOTICE), self.dsns, executor, kill_at, is_recorded)
        return await killable.run(rights_worker.run, *arguments, until=until)

    async def result(self, subject: Subject, request: RightsRequest) -> dict[str, Any]:
        """Everything that a kill must not change."""
        ended = await self.platform.request(subject, request.id)
        events = Counter(event.kind for event in await self.platform.events(subject))
        mails = Counter(
            mail.split("Subject: ")[1].splitlines()[0]
            for mail in await self.platform.mails()
            if f"/requests/{request.id}" in mail
        )
        certificate = None
        if ended.certificate is not None:
            signed = await self.platform.rooms.rights.certificate(self.platform.on(subject, "see_request"), request.id)
            Ed25519PublicKey.from_public_bytes(signed.public_key).verify(signed.signature, signed.text)
            content = json.loads(signed.text)
            certificate = (len(content["erased"]), len(content["refused"]), content["studies_still_held"])
        return {
            "state": ended.state,
            "steps": [step.name for step in ended.steps],
            "items": sorted(
                (item.kind, re.sub(r"R-\d+", "R-", item.title), item.outcome, item.clause) for item in ended.items
            ),
            "certificate": certificate,
            "mails": mails,
            "held": len(await self.platform.studies(subject)),
            "has_copy": ended.copy_bytes > 0,
            "events": {
                kind: events[kind]
                for kind in (
                    "rights:request:opened", "rights:request:acknowledged", "rights:request:decided",
                    "rights:copy:made", "rights:copy:erased", "rights:request:closed", "archive:study:erased",
                )
            },
        }  # fmt: skip

    def packed_bytes(self) -> int:
        """Room that sealed objects take."""
        return sum(pack.held_bytes for pack in self.platform.rooms.packs.iter_packs())


def _study(seed: int, year: int) -> Study:
    """Who it is of is written over it for each person."""
    return Study("X", "X", date(1970, 1, 1), "M", date(year, 1, 2), f"{seed}", "CT", seed=seed)


@pytest.fixture(scope="module")
async def bench(database: ServedDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    killable.preload("tests.crash.rights_worker")
    platform = await open_platform(database, tmp_path_factory.mktemp("platform"))
    stop = asyncio.Event()
    sequencing = asyncio.create_task(platform.sequencer.run(stop))
    yield Bench(
        platform,
        {
            "app": database.dsn("troth_app"),
            "sequencer": database.dsn("troth_sequencer"),
            "flow": database.server.dsn("troth_flow", "troth_flow"),
        },
        [phantom_ct(_study(seed, year), slices=2, size=256) for seed, year in ((1, 2009), (2, 2024))],
    )
    stop.set()
    await sequencing
    await platform.rooms.close()


@pytest.fixture(scope="module")
async def expected(bench: Bench) -> dict[Right, dict[str, Any]]:
    """What comes out where nothing is killed."""
    results = {}
    for right in STEPS:
        subject, request = await opened(bench, right)
        assert await bench.work("nobody-is-killed", until=is_over(bench, request)) == 0
        results[right] = await bench.result(subject, request)
    return results


async def opened(bench: Bench, right: Right) -> tuple[Subject, RightsRequest]:
    subject = await bench.person()
    rights = bench.platform.rooms.rights
    if right is Right.ERASE:
        await rights.open(bench.platform.on(subject, "open_request"), Right.ACCESS, subject.id)
        await bench.platform.fulfil()
    return subject, await rights.open(bench.platform.on(subject, "open_request"), right, subject.id)


def is_over(bench: Bench, request: RightsRequest) -> Any:
    """Whether the engine has ended the request's workflow."""

    async def look() -> bool:
        with contextlib.suppress(psycopg.errors.UndefinedTable):  # before the first launch
            return await status() == "SUCCESS"
        return False

    async def status() -> str:
        async with await psycopg.AsyncConnection.connect(bench.dsns["flow"]) as connection:
            found = await connection.execute(
                "select status from dbos.workflow_status where workflow_uuid = %s", [str(request.id)]
            )
            return str((await found.fetchone() or ("",))[0])

    return look


@pytest.mark.parametrize(("right", "number"), CASES)
async def test_a_kill_after_a_step_changes_nothing(
    bench: Bench, expected: dict[Right, dict[str, Any]], right: Right, number: int
) -> None:
    subject, request = await opened(bench, right)
    before = bench.packed_bytes()
    executor = f"killed-after-{right}-{number}"
    assert await bench.work(executor, kill_at=number) == -signal.SIGKILL
    # The same place takes up what was under way.
    assert await bench.work(executor, until=is_over(bench, request)) == 0
    assert await bench.result(subject, request) == expected[right]
    await no_orphan(bench, subject, request, before)


@pytest.mark.parametrize("right", STEPS)
async def test_kills_within_every_step_change_nothing(
    bench: Bench, expected: dict[Right, dict[str, Any]], right: Right
) -> None:
    subject, request = await opened(bench, right)
    before = bench.packed_bytes()
    executor = f"killed-within-{right}"
    for number in range(1, len(STEPS[right]) + 1):  # each step has done its work and was not recorded: it runs twice
        assert await bench.work(executor, kill_at=number, is_recorded=False) == -signal.SIGKILL
    assert await bench.work(executor, until=is_over(bench, request)) == 0
    assert await bench.result(subject, request) == expected[right]
    await no_orphan(bench, subject, request, before)


async def no_orphan(bench: Bench, subject: Subject, request: RightsRequest, before: int) -> None:
    """Nothing but one copy takes more room than before; after an erasure there is more room."""
    if request.right is Right.ACCESS:
        copy_bytes = (await bench.platform.request(subject, request.id)).copy_bytes
        assert copy_bytes > 400_000
        assert bench.packed_bytes() - before < copy_bytes + 100_000
    else:
        assert bench.packed_bytes() < before


async def test_the_expectation_is_the_whole_answer(expected: dict[Right, dict[str, Any]]) -> None:
    access, erase = expected[Right.ACCESS], expected[Right.ERASE]
    assert (access["state"], access["has_copy"], access["certificate"]) == ("ready", True, None)
    assert (erase["state"], erase["held"], erase["certificate"]) == ("partly_fulfilled", 1, (1, 1, 1))
    assert erase["events"]["rights:request:closed"] == 2  # of the earlier copy, and of this one
    assert all(list(each["mails"].values()) == [1, 1] for each in expected.values())


async def test_nothing_personal_is_kept_by_the_engine_and_nothing_is_said(
    bench: Bench, expected: dict[Right, dict[str, Any]]
) -> None:
    with psycopg.connect(bench.dsns["flow"]) as connection:
        rows = connection.execute(
            "select coalesce(inputs, '') || coalesce(output, '') || coalesce(error, '') from dbos.workflow_status"
            " union all select function_name || coalesce(output, '') || coalesce(error, '') from dbos.operation_outputs"
        ).fetchall()
    kept = "".join(row[0] for row in rows)
    assert len(rows) > 20
    assert "Killed" not in kept
    assert "example" not in kept
    assert (bench.platform.rooms.settings.data_dir / "console").read_text() == ""
