"""Adding a machine: what it can be for, and what is entered at it."""

from __future__ import annotations

import re

import pytest

from tests.common.deployment import Deployment, OpenDeployment
from troth.people import FieldMalformed


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


def offered(text: str, form: str) -> list[str]:
    chosen = re.search(rf'action="{form}".*?<select[^>]*name="purpose".*?</select>', text, re.DOTALL)
    assert chosen is not None
    return re.findall(r'<option value="([^"]+)"', chosen[0][chosen[0].index('name="purpose"') :])


async def test_a_machine_is_only_for_what_the_notice_lets_machines_do(place: Deployment) -> None:
    admin = await place.staff("admin")
    page = (await admin.web.get("/admin/systems")).text
    assert offered(page, "/admin/systems") == ["care"]
    assert "site" not in offered(page, "/admin/tokens")
    fields = {"ae": "SCANNER1", "host": "192.0.2.77", "port": "104", "purpose": "site"}
    refused = await admin.post("/admin/systems", fields)
    assert (refused.status_code, "for this purpose" in refused.text) == (422, True)
    added = await admin.post("/admin/systems", fields | {"purpose": "care"})
    assert added.headers["location"] == "/admin/systems?told=added"
    with pytest.raises(FieldMalformed):
        await place.bearer("peer", "administration")


async def test_the_page_says_what_is_entered_at_a_machine(place: Deployment) -> None:
    page = (await (await place.staff("admin")).web.get("/admin/systems")).text
    ours, settings = page[page.index("How it reaches us") :], place.rooms.settings
    for word in (settings.ae, settings.dicom.host, str(settings.dicom.port)):
        assert f'class="mono">{word}</dd>' in ours


async def test_where_no_machine_may_do_anything_none_is_added(open_deployment: OpenDeployment) -> None:
    place = await open_deployment("terminology-vendor")
    page = (await (await place.staff("admin")).web.get("/admin/systems")).text
    assert "Add an imaging system" not in page
    with pytest.raises(FieldMalformed):
        await place.bearer("peer", "care")
