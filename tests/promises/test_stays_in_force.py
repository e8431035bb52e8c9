"""A notice that is refused changes nothing: the one in force allows what it allowed, and refuses the rest."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

from tests.common.deployment import Deployment, OpenDeployment
from tests.promises.test_changes import RECIPIENT, next_version, with_clause
from tests.promises.test_publishing import operator_of, publishing, typed
from troth.notice import Notice

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
CLAUSE = '{"id": "1.1", "kind": "hold", "says": "x"}'


def swapped(old: str, new: str) -> Callable[[Notice], str]:
    """The next version with one more fault."""

    def swap(before: Notice) -> str:
        source = re.sub(r"(?m)^version: \d+", f"version: {before.version + 1}", before.source, count=1)
        assert old in source
        return source.replace(old, new, 1)

    return swap


def circle(before: Notice) -> str:
    """Two recipients outside that pass on what they get to one another."""
    one = RECIPIENT.format(section=5, country="GB").replace("says:", "passes_to: [other_company]\n        says:")
    two = one.replace("5.90", "5.91").replace("[other_company]", "[survey_company]")
    two = two.replace("key: survey_company", "key: other_company")
    source = swapped("version: ", "version: ")(before)
    old, new = with_clause(before, 5, f"{one}\n{two}")
    return source.replace(old, new, 1)


BAD = {
    "an unknown key": swapped("language: ", "mood: good\nlanguage: "),
    "a bomb": lambda before: BOMB,
    "a hundred thousand clauses": lambda before: (
        f'{{"notice": "x", "sections": [{{"number": 1, "clauses": [{",".join([CLAUSE] * 100_000)}]}}]}}'
    ),
    "a circle of recipients": circle,
    "a period that is none": swapped("period: P8Y", "period: P1X"),
    "a negative period": swapped("period: P8Y", "period: -P8Y"),
    "a day that is none": swapped("effective_on: 2026-11-01", "effective_on: 2026-02-30"),
    "a day in the past": swapped("effective_on: 2026-11-01", "effective_on: 2019-11-01"),
    "a version that stands already": lambda before: before.source,
    "another notice for the same audience": lambda before: next_version(before).source.replace(
        f"notice: {before.name}", "notice: another", 1
    ),
    "markup in a sentence": swapped("    title: Who we are", "    title: <b>Who</b>"),
    "a country that does not exist": swapped("regions: [GB]", "regions: [XQ]"),
    "an activity without retention": swapped("        retention: [chat]\n", ""),
    "a promise whose law fell": swapped("    title: Who we are", "    title: Under the Privacy Shield"),
}


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


def promised(page: httpx.Response) -> list[str]:
    """The notice as it is read, without the checkpoint of the log at its foot, which is another one each time."""
    return re.sub(
        r'<section class="stack" aria-labelledby="ledger">.*?</section>', "", page.text, flags=re.DOTALL
    ).split()


async def test_whatever_is_refused_the_notice_in_force_decides_on(place: Deployment) -> None:
    held = await place.study()
    doctor, office = await place.staff("clinician"), await place.staff("office")
    officer = await place.staff("office", operator_of(place))
    image = f"/dicomweb/studies/{held.uid}/metadata"
    before = publishing(place)
    in_force = [(each.id, each.sha256) for each in await place.rooms.notices.current()]
    page = promised(await place.anybody().web.get("/notice?for=patients"))

    async def decides_as_before(after: str) -> None:
        assert (await doctor.web.get(image)).status_code == 200, after
        assert (await office.web.get(image)).status_code == 404, after
        assert [(each.id, each.sha256) for each in await place.rooms.notices.current()] == in_force, after

    await decides_as_before("at first")
    for name, make in BAD.items():
        answer = await typed(officer, make(before), "propose")
        assert answer.status_code in (413, 422), (name, answer.status_code)
        await decides_as_before(name)
    assert not await place.rooms.proposals.all()
    assert not await place.ledgered(kind="notice:version:proposed")
    assert promised(await place.anybody().web.get("/notice?for=patients")) == page
    refused = await place.ledgered(kind="policy:access:refused", actor=office.actor.id)
    assert len(refused) == 1 + len(BAD)
    assert all("5.7" in entry.clauses for entry in refused)
