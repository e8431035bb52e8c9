"""A form as a real browser sends it: its own fields are taken, one more that nobody declared is not."""

from __future__ import annotations

import logging

import pytest
from playwright.async_api import Browser, Page, Response

from tests.common.deployment import Deployment
from tests.journeys.test_need_to_know_pages import served

__all__ = ["served"]

MORE = """form => {
    const field = document.createElement("input");
    [field.type, field.name, field.value] = ["hidden", "shoe_size", "fortytwo"];
    form.append(field);
}"""


async def sent(page: Page, url: str, *, more: bool) -> Response:
    """Fill in the form of the sign-in and press its button; with `more`, after somebody put a field into it."""
    await page.goto(f"{url}/sign-in")
    form = page.locator("form:has(input[name=email])")
    await form.locator("input[name=email]").fill("somebody@mail.example")
    if more:
        await form.evaluate(MORE)
    async with page.expect_response(lambda answer: answer.request.method == "POST") as waited:
        await form.locator("button:not([type=button])").first.click()
    return await waited.value


@pytest.mark.journey
@pytest.mark.promise("IH-03", shows="browser")
async def test_a_browser_sends_what_is_declared_and_one_more_field_is_refused(
    served: Deployment, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="troth")
    url, context = served.rooms.settings.http_url, await browser.new_context()
    page = await context.new_page()
    assert (await sent(page, url, more=False)).status == 303
    before = len(await served.ledgered())
    refused = await sent(page, url, more=True)
    assert refused.status == 422
    assert "fortytwo" not in await page.content()
    assert "fortytwo" not in caplog.text
    assert "shoe_size" not in caplog.text
    assert len(await served.ledgered()) == before, "nothing was taken in"
    assert (await sent(page, url, more=False)).status == 303, "the same form without it goes"
    await context.close()
