"""Coming in: the one place where tests sign somebody in, with the second factor that staff owe."""

from __future__ import annotations

import re
from base64 import b32decode

import httpx
from playwright.async_api import Page

from troth.kit import clock
from troth.kit.db import Space
from troth.people import Challenge, People, Session
from troth.people.factors import totp
from troth.people.model import tenant_of

_SHOWN = re.compile(r'name="(shown)" value="([^"]*)"')
_TOKEN = re.compile(r'action="/second-step[^"]*"[^>]*><input type="hidden" name="token" value="([0-9a-f]+)"')
_KEY = re.compile(r'id="key">([A-Z2-7 ]+)<')


def shown_in(page: str) -> dict[str, str]:
    """The field by which a form says which versions of the notice and the terms it showed."""
    return dict(_SHOWN.findall(page))


def code_now(secret: bytes, later: int = 0) -> str:
    """The code that an app shows now, or some steps later."""
    return totp.code_of(secret, totp.step_at(clock.now()) + later)


def secret_of(base32: str) -> bytes:
    """The key of an app, from how it is typed."""
    plain = base32.replace(" ", "")
    return b32decode(plain + "=" * (-len(plain) % 8))


async def come_in(people: People, link_secret: str, address: str = "127.0.0.1", chosen: str = "") -> Session:
    """Sign in by a one-time link, and show the second factor; an app for codes is set up where there is none."""
    return await complete(people, await people.sign_in(link_secret, address, chosen), address)


async def complete(people: People, begun: Session | Challenge, address: str = "127.0.0.1") -> Session:
    """Take the second step, where one is owed."""
    if isinstance(begun, Session):
        return begun
    owed = await people.owed(begun.token)
    assert owed is not None
    if owed.needs == "enrolment":
        enrolled = await people.enrol_app(begun.token, code_now(secret_of(owed.secret)), address)
        actor = await people.actor_of_session(enrolled.token)
        assert actor is not None
        return Session(enrolled.token, actor, enrolled.expires_at)
    return await people.show_code(begun.token, await _code_for(people, begun.token), address)


async def take_second_step(client: httpx.AsyncClient) -> httpx.Response:
    """Set an app for codes up on the page, as a browser would: the key is read from it."""
    page = (await client.get("/second-step")).text
    key, token = _KEY.search(page), _TOKEN.search(page)
    assert key is not None, page[:2000]
    assert token is not None
    return await client.post("/second-step/app", data={"token": token[1], "code": code_now(secret_of(key[1]))})


async def show_factor(people: People, client: httpx.AsyncClient) -> httpx.Response:
    """Show the code of the app on the page, as a browser would."""
    cookie = client.cookies["troth_session"]
    token = _TOKEN.search((await client.get("/second-step")).text)
    assert token is not None
    return await client.post("/second-step", data={"token": token[1], "code": await _code_for(people, cookie)})


async def _code_for(people: People, cookie: str) -> str:
    # Somebody in a test signs in more often than every 30 seconds, and keeps no app between its steps: the key is
    # read where it is sealed. That no code counts twice, and whose code counts, has tests of its own.
    async with people._db.transaction(Space(tenant_of(cookie))) as connection:
        held = await people._held_challenge(connection, cookie)
        assert held is not None
        secret = people._unsealed(held.account_key, held.of_form("totp")[0])
        await connection.execute("update factor set last_step = 0 where account_id = %s", (held.account_id,))
    return code_now(secret)


async def take_second_step_on(page: Page) -> None:
    """The same in a browser: an app for codes is set up on the page, and the recovery codes are put aside."""
    await page.wait_for_url("**/second-step")
    key = await page.locator("#key").inner_text()
    await page.get_by_label("Code it shows now").fill(code_now(secret_of(key)))
    await page.get_by_role("button", name="Turn on").click()
    await page.get_by_label("I have saved them somewhere safe").check()
    await page.get_by_role("button", name="Finish").click()
    await page.wait_for_load_state()
