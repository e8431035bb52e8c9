"""Correcting a study in a real browser: found, typed, looked at, done; with axe, in both themes and widths."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.common.deployment import Deployment
from tests.journeys.pages import faults_in
from tests.journeys.test_need_to_know_pages import as_somebody, served

__all__ = ["served"]


@pytest.mark.journey
async def test_a_study_is_put_right(served: Deployment, browser: Browser, pictures: Path) -> None:
    url = served.rooms.settings.http_url
    held = await served.study(slices=4, name="Specimen^Carlo", patient_id="H-4480", accession="A-4480")
    office, doctor = await served.staff("office", name="E. Fixture"), await served.staff("clinician")
    await served.assign(doctor, held)
    faults: list[str] = []
    # The pages' own policy forbids axe; what a form answers cannot be opened once more to look at it.
    context = await browser.new_context(bypass_csp=True, reduced_motion="reduce")

    async def look(name: str) -> None:
        faults.extend(f"{name} {fault}" for fault in await faults_in(page, pictures / name))
        await page.set_viewport_size({"width": 1440, "height": 900})

    page = await as_somebody(context, served, office)
    await page.goto(f"{url}/office/corrections")
    await look("corrections-empty")
    await page.fill("#patient", "H-4480")
    await page.click("text=Find >> nth=-1")
    await look("corrections-found")
    await page.click("main >> text=Correct >> nth=-1")
    await look("correct")
    await page.fill("#accession", "A number that is far too long")
    await page.click("text=See what will change")
    assert "at most 16 characters" in await page.inner_text("main")
    await look("correct-wrong")
    await page.fill("#accession", "A-4480")
    await page.fill("#name", "Specimen^Carla^Maria")
    await page.fill("#born", "1971-03-04")
    await page.fill("#source", "Register of Samples")
    await page.click("text=See what will change")
    assert "Specimen^Carlo in 4 images" in await page.inner_text("main")
    await look("correct-preview")
    await page.click("text=Change what you typed")
    assert await page.input_value("#name") == "Specimen^Carla^Maria"
    assert await page.input_value("#source") == "Register of Samples"
    await page.click("text=See what will change")
    await page.click("text=Correct 4 images")
    assert "Corrected in 4 of 4 images" in await page.inner_text("main")
    await look("correct-done")

    page = await as_somebody(context, served, doctor)
    await page.goto(f"{url}/studies?study={held.id}")
    await look("studies-chosen")
    await page.click("main >> text=Correct")
    assert "Specimen, Carla Maria" in await page.inner_text("main")
    await context.close()
    assert faults == []
