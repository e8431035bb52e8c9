"""A process works by the notices in force; a folder that says something else founds nothing and decides nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg

from tests.common.deployment import NOTICES, OpenDeployment
from tests.common.platform import OneDatabase
from troth.kit.postgres import EmbeddedServer
from troth.main.adopting import open_in_force


async def test_rooms_are_wired_by_what_was_published(
    open_deployment: OpenDeployment, postgres: EmbeddedServer, tmp_path: Path
) -> None:
    place = await open_deployment("imaging-cloud")
    name = psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"]
    served: Any = SimpleNamespace(server=postgres, name=name)
    shipped = (NOTICES / "imaging-cloud" / "notice.yaml").read_text()
    other = tmp_path / "notice.yaml"
    other.write_text(shipped.replace("version: 1\n", "version: 9\n"))
    for folder in (NOTICES / "imaging-cloud", other):
        rooms = await open_in_force(replace(place.rooms.settings, notice=(folder,)), OneDatabase(served))
        try:
            assert rooms.compiled.label == place.rooms.compiled.label
            assert "9" not in rooms.compiled.label
        finally:
            await rooms.close()
