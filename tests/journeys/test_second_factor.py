"""The second step of a sign-in in a real browser: codes of an app, and passkeys of a virtual authenticator (CDP)."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser, CDPSession, Page

from tests.common.arrivals import code_now, secret_of
from tests.common.deployment import Deployment, OpenDeployment
from tests.journeys.pages import faults_of
from troth.main.settings import Address
from troth.people import User
from troth.policy import Target

DEVICE = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
async def served(open_deployment: OpenDeployment) -> AsyncIterator[Deployment]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    place = await open_deployment(
        "imaging-cloud", http=Address("127.0.0.1", port), public_url=f"http://localhost:{port}"
    )
    server = uvicorn.Server(uvicorn.Config(place.pages, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield place
    server.should_exit = True
    await serving


async def member(place: Deployment, name: str) -> User:
    inside = place.set_up_permit("administer", Target("organisation", place.first.id, place.first.id))
    email = name.lower().replace(" ", ".") + "@x.example"
    return await place.rooms.people.add_user(inside, place.first.id, email, name, "clinician")


async def press_link(place: Deployment, page: Page, user: User) -> None:
    inside = place.set_up_permit("administer", Target("organisation", place.first.id, place.first.id))
    await page.goto(await place.rooms.people.issue_sign_in_link(inside, user.id))
    await page.get_by_role("button", name="Sign in now").click()
    await page.wait_for_url("**/second-step")


async def device_of(page: Page) -> tuple[CDPSession, str]:
    """A virtual authenticator, as the browser's own protocol makes it."""
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    made = await session.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    return session, made["authenticatorId"]


@pytest.mark.asvs("V6.3.3")
@pytest.mark.journey
async def test_an_app_for_codes(served: Deployment, browser: Browser, pictures: Path) -> None:
    user = await member(served, "Ann App")
    context = await browser.new_context()
    page = await context.new_page()
    await press_link(served, page, user)
    faults = await faults_of(browser, page, pictures / "second-step-enrol")
    key = await page.locator("#key").inner_text()
    await page.get_by_label("Code it shows now").fill(code_now(secret_of(key)))
    await page.get_by_role("button", name="Turn on").click()
    await page.get_by_role("heading", name="Save your recovery codes").wait_for()
    for width in (1440, 390):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.screenshot(path=f"{pictures / 'second-step-codes'}-{width}.png", full_page=True)
    codes = await page.locator(".codes li").all_inner_texts()
    assert len(codes) == 10
    await page.get_by_label("I have saved them somewhere safe").check()
    await page.get_by_role("button", name="Finish").click()
    await page.wait_for_url(re.compile("/studies"))
    await press_link(served, page, user)
    faults += await faults_of(browser, page, pictures / "second-step-factor")
    await page.get_by_label("Code from your app").fill(code_now(secret_of(key)))
    await page.get_by_role("button", name="Continue").click()
    assert "wrong, or was used already" in await page.get_by_role("alert").inner_text()
    await page.get_by_text("Lost your device?").click()
    await page.get_by_label("Recovery code").fill(codes[0])
    await page.get_by_role("button", name="Use this code").click()
    await page.wait_for_url("**/studies")
    await context.close()
    assert faults == []


@pytest.mark.journey
async def test_a_passkey_lets_in_whom_its_device_knows(served: Deployment, browser: Browser, pictures: Path) -> None:
    user = await member(served, "Pat Passkey")
    context = await browser.new_context()
    page = await context.new_page()
    session, device = await device_of(page)
    await press_link(served, page, user)
    await page.get_by_role("button", name="Create a passkey").click()
    await page.get_by_role("heading", name="Save your recovery codes").wait_for()
    held = await session.send("WebAuthn.getCredentials", {"authenticatorId": device})
    assert [each["rpId"] for each in held["credentials"]] == ["localhost"]
    assert all(each["isResidentCredential"] for each in held["credentials"])

    await press_link(served, page, user)
    await page.get_by_role("button", name="Use a passkey").wait_for()
    for width in (1440, 390):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.screenshot(path=f"{pictures / 'second-step-passkey'}-{width}.png", full_page=True)
    # The device asks for a finger, and it is nobody's that it knows.
    await session.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    await page.get_by_role("button", name="Use a passkey").click()
    assert "The passkey did not work" in await page.get_by_role("alert").inner_text()
    await session.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": True})
    await page.get_by_role("button", name="Use a passkey").click()
    await page.wait_for_url("**/studies")
    await context.close()
    [enrolled] = await served.ledgered(kind="people:factor:enrolled", actor=user.id)
    used = await served.ledgered(kind="people:factor:used", actor=user.id)
    assert {(each.payload or {})["form"] for each in (enrolled, *used)} == {"passkey"}
    assert len(await served.ledgered(kind="people:factor:refused", actor=user.id)) == 1


@pytest.mark.asvs("V6.6.2")
@pytest.mark.journey
async def test_what_a_browser_sends_counts_once_and_for_one_page(served: Deployment, browser: Browser) -> None:
    """The answer of a device, sent once more, or made for another origin, proves nothing."""
    user = await member(served, "Rae Replay")
    context = await browser.new_context()
    page = await context.new_page()
    await device_of(page)
    await press_link(served, page, user)
    sent: list[str] = []
    page.on("request", lambda each: sent.append(each.post_data or "") if each.url.endswith("/passkey") else None)
    await page.get_by_role("button", name="Create a passkey").click()
    await page.get_by_role("heading", name="Save your recovery codes").wait_for()
    await press_link(served, page, user)
    await page.get_by_role("button", name="Use a passkey").click()
    await page.wait_for_url("**/studies")
    assert len(sent) == 2
    await press_link(served, page, user)
    again = await page.evaluate(
        """async body => { const token = document.querySelector('form[data-passkey] [name=token]').value;
        const fields = new URLSearchParams(body); fields.set('token', token);
        await fetch('/second-step/passkey/ask', {method: 'POST', body: new URLSearchParams({token, act: 'show'})});
        return (await fetch('/second-step/passkey', {method: 'POST', body: fields})).status }""",
        sent[1],
    )
    assert again == 422
    await context.close()


@pytest.mark.journey
async def test_a_passkey_alone_signs_in(served: Deployment, browser: Browser, pictures: Path) -> None:
    """Without a mail: the device is one proof, whom it asked is the other. The same answer once more is none."""
    user = await member(served, "Ida Alone")
    context = await browser.new_context()
    page = await context.new_page()
    session, device = await device_of(page)
    await press_link(served, page, user)
    await page.get_by_role("button", name="Create a passkey").click()
    await page.get_by_role("heading", name="Save your recovery codes").wait_for()
    await context.clear_cookies()

    origin = served.rooms.settings.http_url
    sent: list[str] = []
    page.on("request", lambda each: sent.append(each.post_data or "") if each.url.endswith("/passkey") else None)
    # A device that offers nothing by itself: somebody presses the button, and it is nobody whom the device knows.
    await session.send("WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": device, "enabled": False})
    await page.goto(f"{origin}/sign-in")
    for width in (1440, 390):
        for scheme in ("light", "dark"):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await page.screenshot(path=f"{pictures / 'sign-in-passkey'}-{width}-{scheme}.png", full_page=True)
    await session.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    await session.send("WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": device, "enabled": True})
    await page.get_by_role("button", name="Use a passkey").click()
    assert "The passkey did not work" in await page.get_by_role("alert").inner_text()
    assert (await page.title()).startswith("Error: Sign in")
    await session.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": True})
    if "/sign-in" in page.url:
        await page.get_by_role("button", name="Use a passkey").click()
    await page.wait_for_url("**/studies")
    [*_, started] = await served.ledgered(kind="people:session:started", actor=user.id)
    assert started.clear is not None
    assert started.clear.says["proof"] == "passkey"

    again = served.anybody()
    [answer] = [each for each in sent if "rawId" in each][-1:]
    replayed = await again.web.post(
        "/sign-in/passkey", content=answer, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert (replayed.status_code, "did not work" in replayed.text) == (422, True)
    await context.close()
