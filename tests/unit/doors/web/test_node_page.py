"""What the page says of this computer: real figures, what is wrong with its way out, and only to who runs it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.common.deployment import OpenDeployment
from troth.doors.web.admin.node import node_lines
from troth.proofs import NodeFigures, node_figures

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
WELL = NodeFigures(50_000, 100_000, 7_000, NOW - timedelta(hours=6), NOW, True, 0, None, "1")


@pytest.mark.parametrize(
    ("change", "name", "word"),
    [
        ({"free_bytes": 9_000}, "Disk of the data folder", "Nearly full"),
        ({"backed_up_at": None}, "Last backup", "Missing"),
        ({"backed_up_at": NOW - timedelta(days=3)}, "Last backup", "Old"),
        ({"verified_at": None}, "Last backup", "Not checked"),
        ({"follows": False}, "What is erased is erased in backups", "Does not follow"),
        ({"waiting": 2, "oldest_at": NOW - timedelta(hours=1)}, "Requests for the worker", "Late"),
    ],
)
def test_what_is_wrong_has_a_way_out(change: dict[str, object], name: str, word: str) -> None:
    assert {each.rings for each in node_lines(WELL, NOW)} == {"kept"}
    wrong = [each for each in node_lines(replace(WELL, **change), NOW) if each.rings != "kept"]  # type: ignore[arg-type]
    [line] = wrong
    assert (line.name, line.word) == (name, word)
    assert line.way_out.endswith(".")


async def test_the_page_has_the_figures_of_this_node_for_who_runs_it(open_deployment: OpenDeployment) -> None:
    place = await open_deployment("imaging-host")
    found = await node_figures(place.rooms.database, place.rooms.settings.data_dir, place.first.id)
    assert found.disk_bytes == shutil.disk_usage(place.rooms.settings.data_dir).total
    assert found.database_bytes > 1_000_000
    assert (found.backed_up_at, found.follows, found.waiting) == (None, True, 0)
    runs_it = next(each for each in await place.rooms.people.organisations() if each.operates)
    for house, is_shown in ((runs_it, True), (place.second, False)):
        admin = await place.staff("admin", house)
        page = (await admin.web.get("/admin/systems")).text
        assert ("This computer" in page) is is_shown
        assert ("Make one with troth backup, every day." in page) is is_shown

    patient = await place.patient(await place.study())
    await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    found = await node_figures(place.rooms.database, place.rooms.settings.data_dir, place.first.id)
    assert found.waiting == 1
    other = await node_figures(place.rooms.database, place.rooms.settings.data_dir, place.second.id)
    assert other.waiting == 0, "what others asked is not counted"
