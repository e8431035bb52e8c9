"""What the program says it serves is there: every route, job, command and listener that is named."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from starlette.routing import Route

from troth.doors.web.app import routes
from troth.main import capabilities, collecting, commands
from troth.notice import ACTIONS, Notice, Serves, impossible, load_all

NOTICES = Path(__file__).parents[3] / "notices"


class Anything:
    """Stands in for a desk: routes only bind its handlers."""

    def __getattr__(self, name: str) -> Any:
        return Anything()


def of_commands(tree: typer.Typer, before: str = "") -> Iterator[str]:
    for each in tree.registered_commands:
        assert each.callback is not None
        yield f"{before}{each.name or each.callback.__name__.replace('_', '-')}"
    for group in tree.registered_groups:
        assert group.typer_instance is not None
        yield from of_commands(group.typer_instance, f"{before}{group.name} ")


@pytest.fixture(scope="module")
def alive() -> frozenset[str]:
    found = {f"route:{each.path}" for each in routes(Anything()) if isinstance(each, Route)}  # type: ignore[arg-type]
    found |= {f"job:{name}" for name in collecting.JOBS}
    found |= {f"listener:{each.name}" for each in collecting.LISTENERS}
    found |= {f"command:{name}" for name in of_commands(commands.app)}
    return frozenset(found)


def test_what_serves_is_a_live_route_job_command_or_listener(alive: frozenset[str]) -> None:
    assert [each for each in capabilities.serves() if each.by not in alive] == []


def test_what_is_read_from_the_sources_is_what_they_declare() -> None:
    declared = []
    for file in sorted(capabilities.PACKAGE.rglob("serves.py")):
        parts = file.relative_to(capabilities.PACKAGE).with_suffix("").parts
        values = vars(importlib.import_module(".".join(("troth", *parts)))).values()
        groups = (value for value in values if isinstance(value, tuple))
        declared += [each for group in groups for each in group if isinstance(each, Serves)]
    assert list(capabilities.serves()) == declared
    assert len(set(declared)) == len(declared)


def test_each_action_that_is_served_is_one_of_the_language() -> None:
    assert {each.name for each in capabilities.serves() if each.topic == "act"} <= set(ACTIONS)


@cache
def shipped() -> list[Notice]:
    return [notice for folder in sorted(NOTICES.iterdir()) if folder.is_dir() for notice in load_all([folder])]


def test_the_shipped_notices_say_of_each_promise_whether_it_can_be_kept() -> None:
    assert [problem for notice in shipped() for problem in impossible(notice, capabilities.serves())] == []


@pytest.mark.parametrize("gone", capabilities.serves(), ids=lambda each: f"{each.topic}:{each.name}@{each.by}")
def test_without_what_serves_it_some_shipped_promise_is_not_possible(gone: Serves) -> None:
    """A declaration that no notice needs would be a wish."""
    rest = [each for each in capabilities.serves() if each != gone]
    wrong = [problem for notice in shipped() for problem in impossible(notice, rest)]
    assert any("not possible here" in problem.what for problem in wrong)
