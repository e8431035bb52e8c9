"""A visitor without a browser: follows links and fills in forms as a person would, and nothing that has no page."""

from __future__ import annotations

import re
from base64 import b32decode
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser

import httpx

from troth.people.factors import totp

_KEY = re.compile(r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}")


@dataclass(slots=True)
class Form:
    """One form of a page.

    Attributes:
        fields: Named fields with the values they came with.
        buttons: Texts of its submit buttons, with name and value where they have one.
    """

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    """Collects the forms, lists, links and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.text = ""
        self.options: list[tuple[str, str, str]] = []
        self._select = ""
        self._option: str | None = None
        self._form: Form | None = None
        self._button: tuple[str, str] | None = None
        self._link: str | None = None
        self._words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms, their fields, buttons and links."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag == "a":
            self._link, self._words = given.get("href", ""), ""
        elif tag == "select":
            self._select = given.get("name", "")
        elif tag == "option":
            self._option, self._words = given.get("value", ""), ""
        elif tag == "button" and self._form is not None:
            self._button, self._words = (given.get("name", ""), given.get("value", "")), ""
        elif tag == "input" and self._form is not None and given.get("name"):
            is_choice = given.get("type") in ("checkbox", "radio")
            if not is_choice or "checked" in given:
                self._form.fields.append((given["name"], given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        """Close what was open."""
        if tag == "form":
            self._form = None
        elif tag == "option" and self._option is not None:
            self.options.append((self._select, " ".join(self._words.split()), self._option))
            self._option = None
        elif tag == "a" and self._link is not None:
            self.links.append((self._words.strip(), self._link))
            self._link = None
        elif tag == "button" and self._button is not None and self._form is not None:
            self._form.buttons.append((" ".join(self._words.split()), *self._button))
            self._button = None

    def handle_data(self, data: str) -> None:
        """Keep the words."""
        self.text += data
        self._words += data


def code_shown(text: str, at: datetime) -> str:
    """What an app for codes shows, to which the key of a page was typed.

    Args:
        text: The words of the page that shows the key.
        at: Now.

    Raises:
        NotOnThePage: It shows none.
    """
    found = _KEY.search(text)
    if found is None:
        raise NotOnThePage("no key for an app: " + text[:300])
    return totp.code_of(b32decode(found[0].replace(" ", "")), totp.step_at(at))


class DoesNotHold(Exception):
    """A step of the story did not hold."""


def holds(is_so: bool, what: str) -> None:
    """Go on only if something is so.

    Raises:
        DoesNotHold: It is not.
    """
    if not is_so:
        raise DoesNotHold(what)


class NotOnThePage(Exception):
    """What a person would look for is not there."""


class Visitor:
    """Somebody at the pages, with cookies of their own.

    Args:
        origin: Scheme, host and port.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.client = httpx.AsyncClient(
            base_url=origin, follow_redirects=True, timeout=60, headers={"Sec-Fetch-Site": "same-origin"}
        )
        self.answer: httpx.Response = httpx.Response(200)
        self._page = _Reader()

    @property
    def text(self) -> str:
        """The words of the page, spaces folded."""
        return " ".join(self._page.text.split())

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies by name."""
        return dict(self.client.cookies)

    async def open(self, address: str) -> str:
        """Open a page; returns its words.

        Args:
            address: Path or whole address.
        """
        return self._read(await self.client.get(address))

    async def open_viewer(self, address: str) -> httpx.Response:
        """Open the viewer, by the page that hands the session over to it; returns what the viewer answers."""
        await self.open(address)
        if any(text.startswith("Open the pictures") for form in self._page.forms for text, _, _ in form.buttons):
            await self.press("Open the pictures")
        return self.answer

    async def press(self, button: str, **values: str) -> str:
        """Fill in the form with this button and press it; returns the words of the next page.

        Args:
            button: How the button's text begins.
            **values: What is written into named fields; a name of several choices is given with spaces between.

        Raises:
            NotOnThePage: No form has such a button.
        """
        for form in self._page.forms:
            for text, name, value in form.buttons:
                if text.startswith(button):
                    fields = {key: default for key, default in form.fields if key not in values} | values
                    if name:
                        fields[name] = value
                    target = str(self.answer.url.join(form.action or str(self.answer.url)))
                    if form.method == "get":
                        return self._read(await self.client.get(target, params=fields))
                    headers = {"Origin": self.origin}
                    return self._read(await self.client.post(target, data=fields, headers=headers))
        raise NotOnThePage(f"no button {button!r} at {self.answer.url.path}: {self.text[:300]}")

    def choice(self, field: str, words: str) -> str:
        """The value of the first entry of a list whose text begins with these words.

        Raises:
            NotOnThePage: There is none.
        """
        for name, text, value in self._page.options:
            if name == field and text.startswith(words):
                return value
        raise NotOnThePage(f"no choice {words!r} at {self.answer.url.path}: {self.text[:300]}")

    def link(self, words: str) -> str:
        """Where the first link that begins with these words leads.

        Raises:
            NotOnThePage: There is none.
        """
        for text, href in self._page.links:
            if " ".join(text.split()).startswith(words):
                return str(self.answer.url.join(href))
        raise NotOnThePage(f"no link {words!r} at {self.answer.url.path}: {self.text[:300]}")

    async def close(self) -> None:
        """Leave."""
        await self.client.aclose()

    def _read(self, answer: httpx.Response) -> str:
        self.answer = answer
        self._page = _Reader()
        if answer.headers.get("content-type", "").startswith("text/html"):
            self._page.feed(answer.text)
        return self.text
