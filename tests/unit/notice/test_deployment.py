"""Several notices in one deployment: by audience and region, one on top of another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.notice.kinds import content, made
from troth import notice as room
from troth.kit.errors import Unprocessable
from troth.notice import deployment


def of(name: str, *audiences: str, **head: Any) -> room.Notice:
    covers = [{"audience": audience, "title": name, "lead": "We do."} for audience in audiences]
    return made(content(notice=name, covers=covers, **head), f"{name}.yaml")


EVERYBODY = of("base", "users", "visitors")
PATIENTS = of("patients", "patients")
EEA = of("eea", "users", supplements="base", applies_in=["EEA"])
SWISS = of("swiss", "users", applies_in=["CH"])
ALL = [EVERYBODY, PATIENTS, EEA, SWISS]


@pytest.mark.parametrize(
    ("audience", "region", "names"),
    [
        ("patients", "FR", ("patients",)),
        ("users", "US", ("base",)),
        ("users", "FR", ("eea", "base")),
        ("users", "", ("base",)),
        ("users", "CH", ("swiss",)),
        ("visitors", "NL", ("base",)),
        ("visitors", "", ("base",)),
    ],
)
def test_a_reader_is_shown_what_applies(audience: str, region: str, names: tuple[str, ...]) -> None:
    assert tuple(notice.name for notice in room.applying(ALL, audience, region)) == names
    assert tuple(page.notice.name for page in room.render_all(ALL, audience, region)) == names


def test_notices_that_go_together_pass() -> None:
    assert room.check_all(ALL) == []


@pytest.mark.parametrize(
    ("notices", "what"),
    [
        ([EVERYBODY, of("other", "users")], "users are told by 'base' already, for the same countries"),
        ([SWISS, of("alps", "users", applies_in=["CH", "AT"])], "users are told by 'swiss' already"),
        ([EVERYBODY, of("base", "patients", version=2)], "the notice 'base' stands twice, in versions 1 and 2"),
        ([EVERYBODY, EEA, of("fr", "users", supplements="base", applies_in=["FR"])], "users are told by 'eea' already"),
        ([EEA], "it adds to the notice 'base', which is not there"),
        ([EVERYBODY, of("self", "patients", supplements="self")], "it adds to the notice 'self', which is not there"),
        ([EVERYBODY, EEA, of("more", "users", supplements="eea", applies_in=["FR"])], "which itself adds to another"),
    ],
)
def test_notices_that_do_not_go_together_are_named(notices: list[room.Notice], what: str) -> None:
    problems = room.check_all(notices)
    assert any(what in problem.what and problem.hint for problem in problems), problems


def test_audiences_of_other_countries_may_have_each_their_own() -> None:
    assert room.check_all([SWISS, of("at", "users", applies_in=["AT"])]) == []


def test_a_folder_is_loaded_as_a_whole(tmp_path: Path) -> None:
    for notice in ALL:
        (tmp_path / f"notice-{notice.name}.yaml").write_text(notice.source)
    assert {notice.name for notice in room.load_all([tmp_path])} == {"base", "patients", "eea", "swiss"}


def test_what_cannot_be_loaded_is_told_of_all_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"notice-{name}.yaml").write_text(json.dumps(content(colour=name)))
    with pytest.raises(room.NoticeMalformed) as caught:
        room.load_all([tmp_path])
    assert len(caught.value.problems) == 2


def test_a_folder_without_a_notice_or_with_too_many_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.yaml"):
        with pytest.raises(Unprocessable, match="there is no notice"):
            room.notice_files([path])
    for number in range(deployment.LIMIT_NOTICES + 1):
        (tmp_path / f"notice-{number}.yaml").touch()
    with pytest.raises(Unprocessable, match="notices in one deployment"):
        room.notice_files([tmp_path])
