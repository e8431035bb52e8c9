"""The page that checks a person's list, in Chromium: out of a copy without a server, and on the site."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, Route, async_playwright, expect

from tests.common.deployment import OpenDeployment
from tests.common.programs import program
from tests.unit.ledger.conftest import deployment  # noqa: F401 - a fixture
from tests.unit.rights.test_list_verifier import Made, _forged, _other_leaf, _other_word, _swapped, made  # noqa: F401 - a fixture
from troth.rights import ledger_json

Change = Callable[[dict[str, Any]], None]


def _left_out(content: dict[str, Any]) -> None:
    del content["lists"][0]["entries"][1]


def _cut(content: dict[str, Any]) -> None:
    del content["lists"][0]["entries"][-1]


def _without_a_list(content: dict[str, Any]) -> None:
    del content["lists"][1]


def _other_index(content: dict[str, Any]) -> None:
    content["lists"][0]["entries"][4]["index"] += 1  # of the one that is withheld: no leaf says its place


CHANGES: dict[str, tuple[Change, str]] = {
    "a word": (_other_word, "the words that are shown are not those that were written"),
    "a leaf": (_other_leaf, "does not lead to the signed root"),
    "the checkpoint": (_forged("checkpoint"), "the signature of the checkpoint does not hold"),
    "the count": (_forged("count"), "the signature of the count does not hold"),
    "the order": (_swapped, "was left out or moved"),
    "one left out": (_left_out, "was left out or moved"),
    "the last cut off": (_cut, "not all is here"),
    "a list taken out": (_without_a_list, "a whole list is missing"),
    "another place": (_other_index, "does not lead to the signed root"),
}


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        yield started
        await started.close()


@pytest.fixture
async def page(browser: Browser, tmp_path: Path) -> AsyncIterator[Page]:
    """CHECK.HTM, opened from a folder, as it goes into a copy."""
    file = tmp_path / ledger_json.PAGE_NAME
    file.write_bytes(ledger_json.page())
    opened = await browser.new_page()
    await opened.goto(file.as_uri())
    yield opened
    await opened.close()


async def judged(page: Page, content: object) -> str:
    """What the page says of a file."""
    text = content if isinstance(content, str) else json.dumps(content)
    given = {"name": "LEDGER.JSON", "mimeType": "application/json", "buffer": text.encode()}
    await page.set_input_files("#list-file", given)  # type: ignore[arg-type]
    await expect(page.locator("#verdict b").first).to_contain_text(re.compile("Right|NOT|cannot"))
    return await page.inner_text("#verdict")


async def test_a_whole_list_is_right(page: Page, made: Made) -> None:  # noqa: F811
    said = await judged(page, made.content)
    assert said.startswith("Right"), said
    assert "All 7 entries" in said
    assert "Not opened: 1 " in said
    assert "compare it with the page /ledger/key" in said
    status, program_said = made.check(made.content)
    assert status == 0
    for line in ("Not opened: 1 ", "Withheld: 4 "):
        assert (line in said) == (line in program_said)


@pytest.mark.parametrize("what", CHANGES)
async def test_a_list_that_was_altered_is_not(page: Page, made: Made, what: str) -> None:  # noqa: F811
    change, words = CHANGES[what]
    change(made.content)
    said = await judged(page, made.content)
    assert "NOT as it was signed" in said
    assert words in said
    status, program_said = made.check(made.content)
    assert status == 1
    assert words in program_said, "the program says the same"


async def test_another_key_and_what_is_no_list_are_refused(page: Page, made: Made) -> None:  # noqa: F811
    for text in ("", "{}", "[1]", '{"lists": [], "checkpoint": 1}'):
        assert "cannot be read" in await judged(page, text)
        await page.evaluate("document.querySelector('#verdict').replaceChildren()")
    name, identifier, _ = made.content["key"].split("+", 2)
    await page.fill("#list-key", f"{name}+{identifier}+AVhmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZm")
    assert "the signature of the checkpoint does not hold" in await judged(page, made.content)


async def test_a_browser_that_cannot_check_says_so(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / ledger_json.PAGE_NAME
    file.write_bytes(ledger_json.page())
    opened = await browser.new_page()
    await opened.add_init_script("crypto.subtle.importKey = () => Promise.reject(new Error('no Ed25519'))")
    await opened.goto(file.as_uri())
    await opened.wait_for_selector("#verdict b")
    assert "This browser cannot check it" in await opened.inner_text("#verdict")
    assert await opened.is_disabled("#list-file")
    await opened.close()


async def test_the_page_of_the_site_checks_under_its_policy(
    browser: Browser,
    made: Made,  # noqa: F811
    open_deployment: OpenDeployment,
) -> None:
    place = await open_deployment("imaging-cloud")
    anybody, opened = place.anybody().web, await browser.new_page()
    asked: list[tuple[str, str, str | None]] = []

    async def answer(route: Route) -> None:
        asked.append((route.request.method, urlsplit(route.request.url).query, route.request.post_data))
        got = await anybody.get(route.request.url.removeprefix("http://localhost:1"))
        headers = {name: value for name, value in got.headers.items() if name != "content-encoding"}
        await route.fulfill(status=got.status_code, headers=headers, body=got.content)

    await opened.route("**/*", answer)
    await opened.goto("http://localhost:1/ledger/check")
    assert (await judged(opened, made.content)).startswith("Right")
    _other_word(made.content)
    await opened.evaluate("document.querySelector('#verdict').replaceChildren()")
    assert "NOT as it was signed" in await judged(opened, made.content)
    assert set(asked) == {("GET", "", None)}, "the file stays in the browser"
    await opened.close()
