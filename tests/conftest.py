"""Fixtures are in tests/common; here is what holds for a whole run."""

from __future__ import annotations

import ctypes
from collections.abc import Generator

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["tests.common.servers", "tests.common.deployment"]

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("troth", deadline=None)
settings.load_profile("troth")

#: What takes longest begins first, so that the workers end at about the same time. By folder or file; the rest follows.
FIRST = ("tests/journeys/", "tests/crash/", "tests/conformance/", "tests/promises/")
#: One worker does all of it: one node, one browser, one folder of pictures.
TOGETHER = ("tests/journeys/",)


def rank(file: str) -> int:
    """When a file has its turn."""
    return next((number for number, prefix in enumerate(FIRST) if file.startswith(prefix)), len(FIRST))


class Scheduling(LoadFileScheduling):
    """A file stays with one worker, as what it sets up is its own; some folders as well."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """How `-n` shares out the tests."""
    config.option.loadscopereorder = False  # it would put first what has most tests, not what takes longest
    return Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what takes longest first where the tests are shared out."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid))


def file_identity() -> tuple[int, int]:
    """User and group as whom this thread opens files."""
    library = ctypes.CDLL(None)
    return library.setfsuid(-1), library.setfsgid(-1)  # a number that is none changes nothing


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """No test leaves its thread as another user than it found it: what comes after would be refused its own files."""
    before = file_identity()
    try:
        answer = yield
    finally:
        note_deployments(item)
    assert file_identity() == before, item.nodeid
    return answer


def note_deployments(item: pytest.Item) -> None:
    """Note on which deployments a test ran: what it shows, it shows of their notices only.

    The deployments and nodes of its fixtures say so themselves. Of a test that starts its own, its mark says `on=`.
    """
    from tests.common.deployment import Deployment  # pytest has to load the plugin itself, to rewrite its assertions
    from tests.common.node import NodeProcess

    folders = set()
    for value in getattr(item, "funcargs", {}).values():
        for place in (value, getattr(value, "place", None), getattr(value, "node", None)):
            if isinstance(place, Deployment):
                folders |= {path if path.is_dir() else path.parent for path in place.rooms.settings.notice}
            elif isinstance(place, NodeProcess):
                folders.add(place.notice)
    said = {str(mark.kwargs["on"]) for mark in item.iter_markers("promise") if "on" in mark.kwargs}
    names = {folder.name for folder in folders} or said
    item.user_properties += [("deployment", name) for name in sorted(names)]
