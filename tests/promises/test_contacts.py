"""Whom to write to about one's data stands on every page that anybody can open, and at the foot of every letter."""

from __future__ import annotations

import pytest

from tests.common.deployment import Deployment, OpenDeployment
from tests.promises.test_choices import CONSENT, choose, write_to

WAYS = ("privacy@terminology-vendor.invalid", "+1 217 555 0160", "700 Placeholder Drive")


@pytest.fixture(scope="module")
async def vendor(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("terminology-vendor")


@pytest.mark.promise("TV-24", shows="pages")
async def test_every_page_carries_the_contacts(vendor: Deployment) -> None:
    anybody, person = vendor.anybody(), await vendor.staff("clinician")
    for who, paths in (
        (anybody, ("/notice", "/promises", "/recipients", "/do-not-sell", "/notice/versions", "/sign-in", "/nothing")),
        (person, ("/choices", "/account")),
    ):
        for path in paths:
            page = (await who.web.get(path)).text
            foot = page.partition('<footer class="foot">')[2]
            assert all(way in foot for way in WAYS), path


@pytest.mark.promise("TV-24", shows="letters")
async def test_every_letter_carries_the_contacts(vendor: Deployment) -> None:
    office, person = await vendor.staff("office"), await vendor.staff("clinician")
    before = len(vendor.mails())
    await vendor.anybody().web.post("/sign-in", data={"email": person.email})
    await vendor.rooms.people.settled()
    await choose(person, "yes", CONSENT)
    assert await write_to(office, person, "promotion") == 303
    letters = vendor.mails()[before:]
    assert len(letters) == 2
    for letter in letters:
        assert all(way in letter.rpartition("Questions about your data: ")[2] for way in WAYS), letter
        assert letter.rstrip().endswith("/notice")
