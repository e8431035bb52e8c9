"""The pages of assignments, emergencies, decisions and holds in a real browser: used, axe, both themes and widths."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page

from tests.common.deployment import Deployment, OpenDeployment, Person
from tests.journeys.pages import faults_of
from troth.kit import clock
from troth.main.settings import Address


@pytest.fixture(scope="module")
async def served(open_deployment: OpenDeployment) -> AsyncIterator[Deployment]:
    listener = socket.create_server(("127.0.0.1", 0))
    place = await open_deployment("imaging-host", http=Address("127.0.0.1", listener.getsockname()[1]))
    server = uvicorn.Server(uvicorn.Config(place.pages, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield place
    server.should_exit = True
    await serving


async def as_somebody(context: BrowserContext, place: Deployment, person: Person) -> Page:
    """A tab of somebody who is signed in."""
    await context.clear_cookies()
    cookie = person.web.cookies["troth_session"]
    await context.add_cookies([{"name": "troth_session", "value": cookie, "url": place.rooms.settings.http_url}])
    return await context.new_page()


@pytest.mark.journey
async def test_a_day_of_need_to_know(served: Deployment, browser: Browser, pictures: Path) -> None:
    url = served.rooms.settings.http_url
    held, other = await served.study(name="Specimen^Berta", patient_id="H-4471"), await served.study()
    patient = await served.patient(held)
    doctor = await served.staff("clinician", name="Dr A. Placeholder")
    await served.staff("clinician", name="Dr C. Sample")
    admin, office = await served.staff("admin", name="F. Template"), await served.staff("office", name="E. Fixture")
    faults: list[str] = []
    context = await browser.new_context(viewport={"width": 1440, "height": 900})

    async def look(page: Page, name: str) -> None:
        faults.extend(f"{name} {fault}" for fault in await faults_of(browser, page, pictures / name))

    page = await as_somebody(context, served, admin)
    await page.goto(f"{url}/admin/care")
    await look(page, "care-empty")
    await page.select_option("#person", label="Dr A. Placeholder, clinician")
    await page.fill("#patient", "H-4471")
    await page.fill("#reason", "On the ward that treats her")
    await page.click("text=Assign >> nth=-1")
    assert "They can open it from now on" in await page.inner_text("main")
    await look(page, "care")

    page = await as_somebody(context, served, doctor)
    await page.goto(f"{url}/studies/{held.id}/care")
    await look(page, "care-team")
    await page.goto(f"{url}/emergency")
    await look(page, "emergency")
    await page.fill("#patient", other.made.patient_id)
    await page.fill("#reason", "Unconscious after a fall, no team on call")
    await page.click("text=Write it down and open")
    assert "CT head" in await page.inner_text("main")
    await look(page, "emergency-open")

    answer = await patient.post("/choices", {"act": "object", "about": "exchange"})
    assert answer.status_code == 303
    page = await as_somebody(context, served, office)
    await page.goto(f"{url}/office/decisions")
    await look(page, "decisions")
    await page.click("text=Emergencies")
    assert "Unconscious after a fall" in await page.inner_text("main")
    await look(page, "emergencies")
    await page.click("text=Legal holds")
    await page.fill("#patient", "H-4471")
    await page.fill("#reason", "A claim for damages is before the court")
    await page.fill("#document", "Court of Samples, case 7 of 2026")
    await page.fill("#review_on", (clock.today() + timedelta(days=60)).isoformat())
    await page.click("text=Place the hold")
    assert "It is held from now on" in await page.inner_text("main")
    await look(page, "holds")
    await page.click("text=Place the hold")
    await context.close()
    assert faults == []
