"""A correction that is killed is made for all of a study or for none of it, and leaves nothing of what was wrong."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.common.deployment import NOTICES, Deployment, Held, start
from tests.common.servers import ServedDatabase
from tests.crash import correcting_worker
from tests.crash.correcting_worker import STEPS, permit_for
from tests.promises.test_corrections import files_of, heads, on_disk
from troth.policy import Target

pytestmark = pytest.mark.promise("IC-19", shows="corrected", lacks="sharing", on="imaging-cloud")
NONE = timedelta(0)
_forks = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module")
async def place(database: ServedDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    _forks.set_forkserver_preload(["tests.crash.correcting_worker"])
    made = await start(database, tmp_path_factory.mktemp("place"), "imaging-cloud")
    yield made
    await made.close()


async def killed(place: Deployment, database: ServedDatabase, held: Held, name: str, step: str) -> int | None:
    dsns = {"app": database.dsn("troth_app"), "sequencer": database.dsn("troth_sequencer")}
    arguments = (
        str(place.rooms.settings.data_dir), str(NOTICES / "imaging-cloud"), dsns, held.house.id, held.id, name, step,
    )  # fmt: skip
    process = _forks.Process(target=correcting_worker.run, args=arguments, daemon=True)
    process.start()
    await asyncio.to_thread(process.join, 60)
    return process.exitcode


async def sweep(place: Deployment) -> Any:
    permit = place.set_up_permit("administer", Target("platform"))
    return await place.rooms.archive.upkeep.sweep(permit, grace=NONE, key_grace=NONE, is_thorough=True)


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at(place: Deployment, database: ServedDatabase, step: str) -> None:
    held = await place.study(slices=5, name="Wrung^A")
    reader = await place.bearer("clinician", "care")
    old = await heads(place, held)
    assert await killed(place, database, held, "Right^A", step) == -signal.SIGKILL
    is_committed = step in ("committed", "old heads freed")
    said = [str(one.PatientName) for one in await files_of(reader, held)]
    assert said == ["Right^A" if is_committed else "Wrung^A"] * 5
    assert (set(await heads(place, held)) == set(old)) is not is_committed
    assert len(await place.ledgered(kind="archive:study:corrected", subject=held.subject_id)) == is_committed

    # What it left goes: unnamed heads by the sweeper, old ones by what the worker does beside it.
    assert await place.rooms.archive.releasing.release(permit_for(held.house.id, held.id, "administer")) == 0
    swept = await sweep(place)
    assert (swept.pieces > 0 or swept.packs > 0) is (not is_committed)
    assert (await sweep(place)).is_clean
    assert [str(one.PatientName) for one in await files_of(reader, held)] == said
    assert all(any(on_disk(place, locator)) for locator in old) is not is_committed

    # And it can be done again.
    archive = place.rooms.archive
    await archive.correct(permit_for(held.house.id, held.id), held.id, {0x00100010: "Right^A"}, reason="CORRECT")
    now = await files_of(reader, held)
    assert [str(one.PatientName) for one in now] == ["Right^A"] * 5
    assert [len(one.OriginalAttributesSequence) for one in now] == [1] * 5
    assert not any(any(on_disk(place, locator)) for locator in old)
