"""Every page of the web door in a real browser, under each notice: axe without a violation, both themes and widths."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser

from tests.common.deployment import Deployment, OpenDeployment
from tests.common.receiver import receiving
from tests.journeys.pages import Sweep
from tests.journeys.scene import FULL, LISTS, PAGES, Scene, bare, full, lists
from troth.main.settings import Address

OTHERS = ("imaging-cloud", "equipment-maker", "terminology-vendor")


@pytest.fixture(scope="module")
async def served(
    request: pytest.FixtureRequest, open_deployment: OpenDeployment
) -> AsyncIterator[tuple[str, Deployment]]:
    listener = socket.create_server(("127.0.0.1", 0))
    place = await open_deployment(request.param, http=Address("127.0.0.1", listener.getsockname()[1]))
    server = uvicorn.Server(uvicorn.Config(place.pages, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield request.param, place
    server.should_exit = True
    await serving


@pytest.mark.journey
@pytest.mark.parametrize("served", [FULL, *OTHERS], indirect=True)
async def test_each_page_is_sound(served: tuple[str, Deployment], browser: Browser, pictures: Path) -> None:
    name, place = served
    if name == FULL:
        with receiving("ELSEWHERE") as outside:
            scene = await full(place, outside.port)
    else:
        scene = await bare(place)
    if name == LISTS:
        await lists(scene)
    assert await faults_of(scene, browser, pictures, name) == []


async def faults_of(scene: Scene, browser: Browser, pictures: Path, name: str) -> list[str]:
    """What is wrong with the pages of a scene; their pictures are kept."""
    origin = scene.place.rooms.settings.http_url
    folder = pictures / name
    folder.mkdir(parents=True, exist_ok=True)
    faults = []
    for who, person in scene.people.items():
        spots = [spot for spot in PAGES if spot.who == who and spot.is_on(name)]
        async with Sweep(browser, origin, person.web.cookies.get("troth_session")) as sweep:
            for spot in spots:
                faults += await sweep.faults_at(spot.path(scene), folder / f"{spot.name}-{who}")
    return faults
