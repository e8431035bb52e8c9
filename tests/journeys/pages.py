"""What every page must pass in a real browser: axe without a violation, no sideways scrolling, both themes and widths.

Works on an open page of Playwright's asynchronous interface:

    from tests.journeys.pages import faults_of
    assert await faults_of(browser, page, artefacts / "studies") == []
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, Page

AXE = Path(__file__).parents[2] / "build" / "axe" / "axe.min.js"
WIDTHS = (1440, 390)
SCHEMES: Mapping[str, tuple[str, ...]] = {
    "light": (),
    "dark": ("color-contrast", "link-in-text-block"),
}
"""Themes, and the rules of axe that are tried in each; none: all. A theme changes colours and nothing else."""

_RUN = """options => axe.run(document, options)
    .then(found => found.violations.map(each => [each.id, each.nodes[0].html]))"""


@cache
def axe_source() -> str:
    """The script of axe-core, as `make setup` fetched it.

    Raises:
        FileNotFoundError: It was not fetched.
    """
    if not AXE.is_file():
        raise FileNotFoundError(f"{AXE} is missing: run make setup")
    return AXE.read_text(encoding="utf-8")


class Sweep:
    """Many pages of one reader, each in both themes and widths, in one context of the browser.

    Args:
        browser: Of Playwright.
        origin: Of the pages.
        session: The cookie of whoever reads; None for whoever is not signed in.
    """

    def __init__(self, browser: Browser, origin: str, session: str | None = None) -> None:
        self._browser = browser
        self._origin = origin
        self._session = session

    async def __aenter__(self) -> Self:
        # The pages' own policy forbids scripts of others; without movement nothing has to settle before it is measured.
        self._context = await self._browser.new_context(bypass_csp=True, reduced_motion="reduce")
        if self._session is not None:
            cookie = {"name": "troth_session", "value": self._session, "url": self._origin}
            await self._context.add_cookies([cookie])  # type: ignore[list-item]
        self._page = await self._context.new_page()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._context.close()

    async def faults_at(self, path: str, pictures: Path | None = None) -> list[str]:
        """Everything wrong with one page.

        Args:
            path: Below the origin.
            pictures: Beginning of the names of screenshots, or None for none.

        Returns:
            One line for each fault; an empty list is what is wanted.
        """
        page = self._page
        answer = await page.goto(self._origin + path)
        if answer is None or answer.status != 200:
            return [f"{path}: answered {answer.status if answer else 'nothing'}"]
        if page.url != self._origin + path:
            return [f"{path}: leads on to {page.url}"]
        return [f"{path} {fault}" for fault in await faults_in(page, pictures)]


async def faults_of(browser: Browser, page: Page, pictures: Path | None = None) -> list[str]:
    """Everything wrong with the page that is open, in both themes and widths.

    Args:
        browser: To open the page once more where axe may run: the page's own policy forbids it.
        page: Open at the page in question; its cookies are taken over.
        pictures: Beginning of the names of screenshots, or None for none.

    Returns:
        One line for each fault; an empty list is what is wanted.
    """
    context = await browser.new_context(bypass_csp=True, reduced_motion="reduce")
    try:
        await context.add_cookies(await page.context.cookies())  # type: ignore[arg-type]
        again = await context.new_page()
        await again.goto(page.url)
        return await faults_in(again, pictures)
    finally:
        await context.close()


async def faults_in(page: Page, pictures: Path | None = None) -> list[str]:
    """The same, of a page in a context where axe may run: all rules in light; in dark, what colours can break."""
    faults: list[str] = []
    await page.evaluate(axe_source())
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900})
        for scheme, rules in SCHEMES.items():
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            if pictures is not None:
                await page.screenshot(path=f"{pictures}-{width}-{scheme}.png", full_page=True)
            faults += [f"{width} {scheme}: {fault}" for fault in await _faults(page, rules)]
    return faults


async def _faults(page: Page, rules: tuple[str, ...]) -> list[str]:
    over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    # Details of what passed are most of the work, and megabytes; what is looked for and found stays the same.
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = await page.evaluate(_RUN, options)
    faults = [f"{rule}: {html[:160]}" for rule, html in found]
    return [*([f"scrolls sideways by {over} px"] if over > 0 else []), *faults]
