"""The pages of changes, register and proofs in a real browser: axe, both themes and widths."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser

from tests.common.deployment import Deployment, OpenDeployment
from tests.journeys.pages import faults_of
from tests.promises.test_changes import RECIPIENT, next_version, permits, with_clause
from troth.main.settings import Address


@pytest.fixture(scope="module")
async def served(open_deployment: OpenDeployment):
    listener = socket.create_server(("127.0.0.1", 0))
    place = await open_deployment("imaging-cloud", http=Address("127.0.0.1", listener.getsockname()[1]))
    server = uvicorn.Server(uvicorn.Config(place.pages, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield place
    server.should_exit = True
    await serving


@pytest.mark.journey
async def test_the_pages_pass_axe(served: Deployment, browser: Browser, pictures: Path) -> None:
    before = (await served.rooms.notices.versions())[0].notice
    clause = with_clause(before, 5, RECIPIENT.format(section=5, country="GB"))
    first, second = await permits(served)
    office = await served.staff("office")
    proposal = await served.rooms.proposals.propose(first, next_version(before, clause))
    context = await browser.new_context()
    page = await context.new_page()
    cookie = office.web.cookies["troth_session"]
    url = served.rooms.settings.http_url
    await context.add_cookies([{"name": "troth_session", "value": cookie, "url": url}])
    faults = []
    for name, path in (("office-notice", "/office/notice"), ("office-promises", "/office/promises")):
        assert (await page.goto(url + path)).status == 200  # type: ignore[union-attr]
        faults += [f"{path} {fault}" for fault in await faults_of(browser, page, pictures / name)]
    await context.clear_cookies()
    await served.rooms.proposals.agree(second, proposal.id, proposal.sha256)
    for name, path in (
        ("versions", "/notice/versions"),
        ("changes", "/notice/versions/2/changes"),
        ("processing", "/notice/register"),
    ):
        assert (await page.goto(url + path)).status == 200  # type: ignore[union-attr]
        faults += [f"{path} {fault}" for fault in await faults_of(browser, page, pictures / name)]
    await context.close()
    assert faults == []
