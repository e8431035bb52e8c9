"""The pages of lists, contacts and accounts in a real browser: axe, both themes and widths."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser

from tests.common.deployment import Deployment, OpenDeployment
from tests.journeys.pages import faults_of
from tests.promises.test_changes import Mailbox, mailbox
from tests.promises.test_sources import LIST, offer, take_in
from troth.main.settings import Address

__all__ = ["mailbox"]


@pytest.fixture(scope="module")
async def served(open_deployment: OpenDeployment, mailbox: Mailbox):
    listener = socket.create_server(("127.0.0.1", 0))
    place = await open_deployment(
        "terminology-vendor", smtp=f"127.0.0.1:{mailbox.port}",
        http=Address("127.0.0.1", listener.getsockname()[1]),
    )  # fmt: skip
    server = uvicorn.Server(uvicorn.Config(place.pages, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield place
    server.should_exit = True
    await serving


@pytest.mark.journey
async def test_the_pages_pass_axe(served: Deployment, browser: Browser, pictures: Path) -> None:
    office = await served.staff("office", name="P. Rivacy")
    empty = await served.staff("office", served.second)
    await take_in(served, office, LIST.replace("ada@", office.email.partition("@")[0] + "@"))
    await take_in(served, office, "email,counts_from\nold@x.example,2010-01-04\n")
    waits = (await offer(office, LIST)).headers["location"]
    context = await browser.new_context()
    page = await context.new_page()
    url = served.rooms.settings.http_url
    faults = []
    for person, paths in (
        (office, ("/lists", waits, "/lists/contacts", "/lists/due", "/lists/accounts", "/account")),
        (empty, ("/lists", "/lists/contacts", "/lists/due")),
    ):
        await context.clear_cookies()
        cookie = person.web.cookies["troth_session"]
        await context.add_cookies([{"name": "troth_session", "value": cookie, "url": url}])
        for path in paths:
            assert (await page.goto(url + path)).status == 200  # type: ignore[union-attr]
            name = (
                "list" if path == waits else path.strip("/").replace("/", "-") + ("-empty" if person is empty else "")
            )
            faults += [f"{path} {fault}" for fault in await faults_of(browser, page, pictures / name)]
    await page.goto(url + "/lists")
    await page.locator("#file").set_input_files(
        {"name": "list.csv", "mimeType": "text/csv", "buffer": b"email,name\nnew@x.example,New\n"}
    )
    await page.locator("#supplier").fill("Sample Press")
    await page.get_by_role("button", name="Preview").click()
    assert await page.locator("h1").inner_text() == "List L-1"
    await context.clear_cookies()
    held = served.rooms.people
    permit = served.set_up_permit("administer", served_target(served))
    invited = await held.invite_user(permit, served.first.id, "invited@x.example", "In Vited", "clinician")
    assert (await page.goto(f"{url}/invitation/{invited.secret}")).status == 200  # type: ignore[union-attr]
    faults += [f"invitation {fault}" for fault in await faults_of(browser, page, pictures / "invitation")]
    await context.close()
    assert faults == []


def served_target(served: Deployment):
    from troth.policy import Target

    return Target("organisation", served.first.id, served.first.id)
