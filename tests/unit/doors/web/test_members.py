"""Members of an organisation: when each was here last, and who is shown; closing an account from there."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from tests.common.deployment import OpenDeployment
from troth.kit import clock


def rows(page: str) -> dict[str, str]:
    """The rows of the table of members, by name."""
    table = page[page.index('aria-label="Table of members"') :] if 'aria-label="Table of members"' in page else ""
    found = re.findall(r'<tr[^>]*><th scope="row">([^<]+?)(?: <span.*?)?</th>(.*?)</tr>', table, re.DOTALL)
    return dict(found)


async def test_who_was_here_when_and_who_is_shown(open_deployment: OpenDeployment) -> None:
    place = await open_deployment("imaging-host")
    admin = await place.staff("admin", name="A. Admin")
    doctor, officer = await place.staff("clinician", name="Dr Alma Ray"), await place.staff("office", name="O. Fixture")
    other = await place.staff("clinician", place.second, name="Dr Else Where")
    assert doctor.user is not None
    assert officer.user is not None
    with clock.moved(timedelta(minutes=5)):
        await doctor.web.get("/studies")
        page = (await admin.web.get("/admin")).text
        here = rows(page)
        assert {"A. Admin", "Dr Alma Ray", "O. Fixture"} <= set(here)
        assert other.user is not None
        assert other.user.name not in page
        at = {name: re.search(r'<time datetime="([^"]+)"', row) for name, row in here.items()}
        seen = at["Dr Alma Ray"]
        earlier = at["O. Fixture"]
        assert seen is not None
        assert earlier is not None
        assert datetime.fromisoformat(seen[1]) - datetime.fromisoformat(earlier[1]) > timedelta(minutes=4)
        assert set(rows((await admin.web.get("/admin?q=alma+RAY")).text)) == {"Dr Alma Ray"}
        assert set(rows((await admin.web.get("/admin?role=office")).text)) >= {"O. Fixture"}
        assert "Dr Alma Ray" not in rows((await admin.web.get("/admin?role=office")).text)
        none = (await admin.web.get("/admin?q=nobody-like-that")).text
        assert (rows(none), "Nobody is like that" in none) == ({}, True)
        assert "Dr Alma Ray" in rows((await admin.web.get("/admin?role=king&state=gone")).text), "no such filter"
        assert rows((await admin.web.get("/admin?state=closed")).text) == {}

    path = f"/admin/people/{doctor.user.id}"
    assert (await admin.post(path, {"act": "end"})).headers["location"] == "/admin?told=ended"
    assert "Dr Alma Ray" not in rows((await admin.web.get("/admin")).text)
    assert set(rows((await admin.web.get("/admin?state=ended")).text)) == {"Dr Alma Ray"}
    assert (await admin.post(path, {"act": "change", "role": "office"})).status_code == 404, "let in anew, first"
    assert (await admin.post(path, {"act": "close"})).headers["location"] == "/admin?told=closed"
    page = (await admin.web.get("/admin?state=all")).text
    assert "Alma" not in page
    assert doctor.user.email not in page
    assert "A former colleague" in rows((await admin.web.get("/admin?state=closed")).text)
    assert (await admin.web.get(path)).status_code == 404


async def test_where_nobody_can_be_the_second_it_is_said_how_to_get_one(open_deployment: OpenDeployment) -> None:
    place = await open_deployment("imaging-cloud")
    house = await place.organisation("Lone House", "controller", "GB")
    admin = await place.staff("admin", house, name="A. Lone")
    asked = {"name": "Dr New", "email": "new@x.example", "role": "clinician"}
    assert (await admin.post("/admin", asked)).headers["location"] == "/admin?told=proposed"
    page = (await admin.web.get("/admin")).text
    assert "Nobody here can so far: another administrator has to be invited" in page
    second = await place.staff("admin", house, name="B. Other")
    assert "B. Other can." in (await admin.web.get("/admin")).text
    assert "needs your approval" in (await second.web.get("/admin")).text
