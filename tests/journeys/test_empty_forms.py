"""Every form of every page, sent with nothing in it: what is to mend is said as people can use it.

The page says so in the title bar, above the form, where the reader goes on from, and each line leads to its field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx
import pytest

from tests.common.deployment import OpenDeployment
from tests.common.receiver import receiving
from tests.journeys.scene import FULL, LISTS, PAGES, Scene, bare, full, lists

GIVEN = frozenset({"hidden", "submit", "button"})
"""Kinds of input that nobody types into."""

EMPTY_IS_FINE = {
    "/studies/{id}/correct": "a field that is emptied is a correction, and is shown before it is done",
    "/admin/numbers": "an empty issuer is one, too: images name none",
}
BUTTON = re.compile(r'<button[^>]*type="submit"[^>]*>')


@dataclass
class Form:
    """A form of a page that was sent: where to, what is in it already, and what somebody has to type."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    presses: dict[str, str] = field(default_factory=dict)


class Forms(HTMLParser):
    """The forms of a page that are sent by POST, and the ids on it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.ids: list[str] = []
        self._form: Form | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "form":
            self._form = Form(given.get("action", "")) if given.get("method") == "post" else None
            if self._form is not None:
                self.found.append(self._form)
        elif self._form is not None and given.get("name"):
            if tag == "button" and not self._form.presses:
                self._form.presses = {given["name"]: given.get("value", "")}
            elif given.get("type") == "hidden":
                self._form.fields[given["name"]] = given.get("value", "")
            elif tag in {"input", "select", "textarea"} and given.get("type") not in GIVEN:
                if given.get("type") not in {"checkbox", "radio"}:
                    self._form.fields[given["name"]] = ""
                if "required" in given:
                    self._form.required.add(given["name"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None


def faults_of(answer: httpx.Response, form: Form) -> list[str]:
    """What is wrong with how a page says what is to mend."""
    found = []
    page = answer.text
    if not 400 <= answer.status_code < 500:
        return [f"answered {answer.status_code}"]
    if not re.search(r"<title>Error: ", page):
        found.append("the title does not say so: " + "".join(re.findall(r"<title>(.*?)</title>", page)))
    summaries = re.findall(r'<div class="note note-broken" id="faults"([^>]*)>(.*?)</div>', page, re.S)
    if len(summaries) != 1:
        return [*found, f"{len(summaries)} summaries"]
    [(attributes, summary)] = summaries
    if 'role="alert"' not in attributes or "autofocus" not in attributes or 'tabindex="-1"' not in attributes:
        found.append("the summary is not gone on from")
    ids = Forms(page).ids
    links = re.findall(r'href="#([^"]+)"', summary)
    if not links:
        found.append("nothing leads to a field: " + re.sub(r"<[^>]+>|\s+", " ", summary).strip())
    for each in links:
        if ids.count(each) != 1 or ids.count(f"{each}-fault") != 1:
            found.append(f"no one field with its fault: {each}")
    return found


async def walked(scene: Scene, name: str) -> tuple[list[str], int]:
    """Every form that takes something typed, of each page, once; what is wrong, and how many were sent."""
    seen: set[tuple[str, frozenset[str], str]] = set()
    wrong = []
    for spot in PAGES:
        if not spot.is_on(name) or spot.who not in scene.people or spot.route in EMPTY_IS_FINE:
            continue
        person, path = scene.people[spot.who], spot.path(scene)
        page = await person.web.get(path)
        for form in Forms(page.text).found:
            if form.required and (form.action, frozenset(form.required), spot.who) not in seen:
                seen.add((form.action, frozenset(form.required), spot.who))
                to = urljoin(path, form.action or path)
                answer = await person.web.post(to, data={**form.fields, **form.presses})
                wrong += [f"{spot.route} {form.action} {spot.who}: {each}" for each in faults_of(answer, form)]
    return wrong, len(seen)


@pytest.mark.parametrize(("name", "least"), [(FULL, 25), (LISTS, 3)])
async def test_what_is_to_mend_is_said_at_its_field(open_deployment: OpenDeployment, name: str, least: int) -> None:
    place = await open_deployment(name)
    if name == FULL:
        with receiving("ELSEWHERE") as outside:
            scene = await full(place, outside.port)
    else:
        scene = await bare(place)
        await lists(scene)
    wrong, sent = await walked(scene, name)
    assert sent >= least
    assert not wrong, "\n".join(wrong)
