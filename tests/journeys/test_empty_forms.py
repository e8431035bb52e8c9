"""Every form of every page, sent with nothing in it: what is to mend is said as people can use it.

The page says so in the title bar, above the form, where the reader goes on from, and each line leads to its field.
"""

from __future__ import annotations

import re
from urllib.parse import urljoin

import httpx
import pytest

from tests.common.deployment import OpenDeployment
from tests.common.forms import Form, Forms
from tests.common.receiver import receiving
from tests.journeys.scene import FULL, LISTS, PAGES, Scene, bare, full, lists

EMPTY_IS_FINE = {
    "/studies/{id}/correct": "a field that is emptied is a correction, and is shown before it is done",
    "/admin/numbers": "an empty issuer is one, too: images name none",
}


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
