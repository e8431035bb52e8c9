"""What every page must pass in a real browser: axe without a violation, no sideways scrolling, both themes and widths.

Works on an open page of Playwright's asynchronous interface:

    from tests.journeys.pages import faults_of
    assert await faults_of(browser, page, artefacts / "studies") == []
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page

AXE = Path(__file__).parents[2] / "build" / "axe" / "axe.min.js"
WIDTHS = (1440, 390)
SCHEMES = ("light", "dark")
SETTLED_MS = 350  # colours change over 0.3 s; axe must not measure half-way


@cache
def axe_source() -> str:
    """The script of axe-core, as `make setup` fetched it.

    Raises:
        FileNotFoundError: It was not fetched.
    """
    if not AXE.is_file():
        raise FileNotFoundError(f"{AXE} is missing: run make setup")
    return AXE.read_text(encoding="utf-8")


async def faults_of(browser: Browser, page: Page, pictures: Path | None = None) -> list[str]:
    """Everything wrong with the page that is open, in both themes and widths.

    Args:
        browser: To open the page once more where axe may run: the page's own policy forbids it.
        page: Open at the page in question; its cookies are taken over.
        pictures: Beginning of the names of screenshots, or None for none.

    Returns:
        One line for each fault; an empty list is what is wanted.
    """
    context = await browser.new_context(bypass_csp=True)
    try:
        await context.add_cookies(await page.context.cookies())  # type: ignore[arg-type]
        again = await context.new_page()
        await again.goto(page.url)
        faults: list[str] = []
        for width in WIDTHS:
            for scheme in SCHEMES:
                await again.set_viewport_size({"width": width, "height": 900})
                await again.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                await again.wait_for_timeout(SETTLED_MS)
                if pictures is not None:
                    await again.screenshot(path=f"{pictures}-{width}-{scheme}.png", full_page=True)
                faults += [f"{width} {scheme}: {fault}" for fault in await _faults(again)]
        return faults
    finally:
        await context.close()


async def _faults(page: Page) -> list[str]:
    over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    await page.evaluate(axe_source())
    found: dict[str, Any] = await page.evaluate("axe.run(document)")
    faults = [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in found["violations"]]
    return [*([f"scrolls sideways by {over} px"] if over > 0 else []), *faults]
