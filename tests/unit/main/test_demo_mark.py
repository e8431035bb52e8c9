"""How far the story of a folder was told; no start says that it was told where it was not."""

from __future__ import annotations

from pathlib import Path

import pytest

from troth.main.demo.mark import Mark, NotOfTheDemo, aside
from troth.main.demo.sending import said_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data" / "pg").mkdir(parents=True)
    return tmp_path / "data"


def test_a_database_alone_is_no_story(folder: Path) -> None:
    assert Mark.of(folder) == Mark()
    (folder / "pg" / "PG_VERSION").write_text("18")
    with pytest.raises(NotOfTheDemo, match="never began"):
        Mark.of(folder)


def test_what_was_kept_is_what_is_known(folder: Path) -> None:
    (folder / "pg" / "PG_VERSION").write_text("18")
    mark = Mark(begun=1)
    mark.keep(folder)
    assert Mark.of(folder).is_untold, "a port was taken at the first start: nothing was done yet"
    mark.begun = 2
    mark.keep(folder)
    assert (Mark.of(folder), Mark.of(folder).is_untold) == (mark, False)
    Mark(1, "held").keep(folder)
    assert Mark.of(folder).result == "held", "a shorter text leaves nothing of the longer one"
    (folder / "demo.json").write_text('{"begun": 2, "res')
    assert (Mark.of(folder).is_untold, Mark.of(folder).result) == (False, ""), "killed while it was written"


def test_an_unfinished_story_is_moved_aside_whole(folder: Path) -> None:
    (folder / "packs").mkdir()
    (folder / "packs" / "one").write_text("kept")
    (folder / "troth.toml").write_text('ae = "DEMO"')
    place = aside(folder)
    assert (place / "packs" / "one").read_text() == "kept"
    assert [each.name for each in folder.iterdir()] == ["troth.toml"], "settings stay"
    assert aside(folder) != place


def test_statuses_are_told_with_their_reason() -> None:
    assert said_of([0, 0xA700, -1, 0xA700]) == (
        "1 of 4 without a status (the association was rejected, or no answer came within 30 s), "
        "2 of 4 A700 (out of resources)"
    )
