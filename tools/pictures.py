"""Takes the pictures of README.md anew, of a demo of this minute: `python tools/pictures.py` with Debian's Chromium."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Page, async_playwright

from troth.kit import clock
from troth.main.demo.tell import open_folder
from troth.main.demo.visit import Visitor, code_shown

ROOT: Final = Path(__file__).parents[1]
PICTURES: Final = ROOT / "docs" / "pictures"
SIZE: Final = {"width": 1440, "height": 900}
START_SECONDS: Final = 240
FLAGS: Final = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
_LINK: Final = re.compile(r"^ +(.*?), (\S.*?) {2,}(http://\S+/sign-in/\S+)$", re.MULTILINE)


def begin(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    """Start a demo; returns its process and the sign-in link of each person, by what they are."""
    said = folder / "said"
    command = [sys.executable, "-m", "troth.main.cli", "demo", "--data-dir", str(folder / "data")]
    command += [part for door in ("http", "viewer", "dicom") for part in (f"--{door}", "127.0.0.1:0")]
    with said.open("wb") as sink:
        process = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)
    end = time.monotonic() + START_SECONDS
    while "Each link works once" not in said.read_text():
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(said.read_text())
        time.sleep(0.2)
    return process, {what: link for _, what, link in _LINK.findall(said.read_text())}


async def signed_in(browser: Browser, link: str) -> tuple[Page, str]:
    """A page of somebody who is signed in, with a second factor where they owe one; and the origin."""
    origin = link.partition("/sign-in/")[0]
    visitor = Visitor(origin)
    await visitor.open(link)
    await visitor.press("Sign in")
    if visitor.answer.url.path == "/second-step":
        await visitor.press("Turn on", code=code_shown(visitor.text, clock.now()))
        await visitor.press("Finish")
    context = await browser.new_context(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
    await context.add_cookies(
        [{"name": name, "value": value, "url": origin} for name, value in visitor.cookies.items()]
    )
    await visitor.close()
    return await context.new_page(), origin


async def take(links: dict[str, str]) -> None:
    """The patient's page, and the viewer."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        page, origin = await signed_in(browser, links["patient"])
        await page.goto(f"{origin}/scans", wait_until="networkidle")
        await page.screenshot(path=PICTURES / "patient-home.png")
        page, origin = await signed_in(browser, links["clinician"])
        await page.goto(f"{origin}/studies")
        await page.get_by_role("link", name=re.compile("Doe")).first.click()
        await page.get_by_role("link", name="Open in viewer").click()
        await page.locator("canvas").first.wait_for(timeout=60_000)
        await page.wait_for_timeout(5_000)  # until the picture is drawn sharp
        await page.screenshot(path=PICTURES / "viewer.png")
        await browser.close()


def main() -> None:
    """Start a demo, take the pictures, end it."""
    folder = open_folder()
    process, links = begin(folder)
    try:
        asyncio.run(take(links))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
