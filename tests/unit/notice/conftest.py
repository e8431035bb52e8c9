"""The shipped notice, and ways to change it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from troth import notice as room
from troth.notice import loading, reading

FOLDER = Path(__file__).parents[3] / "notices" / "imaging-cloud"


@pytest.fixture(scope="session")
def shipped() -> room.Notice:
    return room.load(FOLDER)


@pytest.fixture(scope="session")
def plain() -> dict[str, Any]:
    """The shipped notice as plain content."""
    content: dict[str, Any] = reading.read(FOLDER / "notice.yaml").content
    return content


@pytest.fixture
def changed(plain: dict[str, Any]) -> Callable[[Callable[[dict[str, Any]], None]], room.Notice]:
    """Loads the shipped notice after a change of its plain content."""

    def change(edit: Callable[[dict[str, Any]], None]) -> room.Notice:
        content = copy.deepcopy(plain)
        edit(content)
        source = json.dumps(content, indent=0, ensure_ascii=False)
        return loading.of_page(reading.Page("changed.yaml", source, content, {}))

    return change
