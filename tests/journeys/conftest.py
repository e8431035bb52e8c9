"""A real node and a real browser for the journeys."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.common.node import NodeProcess, a_node
from tests.common.programs import program

PICTURES = Path(__file__).parents[2] / "artefacts" / "journeys"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)


@pytest.fixture(scope="session")
def node() -> Iterator[NodeProcess]:
    """`troth serve` in a folder of its own."""
    with a_node("troth-journey-") as started:
        yield started


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, headless."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=program("chromium"), args=list(FLAGS))
        yield started
        await started.close()


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept as artefacts."""
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    return PICTURES
