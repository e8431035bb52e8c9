"""A platform for each module, with its ledger sequenced as in the worker, and studies of people that never lived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date

import pytest

from tests.common.platform import Platform, open_platform
from tests.common.servers import ServedDatabase
from troth.dicom.specimens import Study


@pytest.fixture(scope="module")
async def platform(database: ServedDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    opened = await open_platform(database, tmp_path_factory.mktemp("platform"))
    stop = asyncio.Event()
    sequencing = asyncio.create_task(opened.sequencer.run(stop))
    yield opened
    stop.set()
    await sequencing
    await opened.rooms.close()


def study_of(number: int, year: int, seed: int = 1, name: str = "Ruiz^Alex") -> Study:
    """A study of the person with this number."""
    return Study(
        patient_id=f"PID-{number}", name=name, birth_date=date(1980, 3, 4), sex="F", study_date=date(year, 5, 6),
        accession=f"A{seed}", description="CT head", seed=seed,
    )  # fmt: skip
