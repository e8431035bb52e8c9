"""A pytest plugin: which test failed, whether it carries a promise, and whether it failed because it saw something.

What it writes, a JSON line for each test that ran, goes to the file that the environment names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.common.afterwards import PromiseBroken
from troth.kit.errors import TrothError

FILE = "TROTH_WITNESS"
"""Names the file."""

ABOUT: dict[str, Any] = {}
"""What else each line says: under which edit the test ran."""

_UNPACKED = (ValueError, IndexError, StopIteration, KeyError)


def has_seen(error: BaseException, where: str, when: str = "call") -> bool:
    """Whether an error says that something is not as it should be, and not that the program is broken.

    An assertion says so, a refusal in the words of the house, and a test that takes apart what it got. Of what is
    looked at after the tests, only that the ledger shows a broken promise.

    Args:
        error: Why the test ended.
        where: File of the line that raised it.
        when: Phase of the test: `setup`, `call` or `teardown`.
    """
    if when != "call":
        return when == "teardown" and isinstance(error, PromiseBroken)
    if isinstance(error, AssertionError | pytest.fail.Exception | TrothError):
        return True
    return isinstance(error, _UNPACKED) and f"{os.sep}tests{os.sep}" in where


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Write what became of a test."""
    yield
    failed = call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception)
    if call.when != "call" and not failed:
        return
    line: dict[str, Any] = {"test": item.nodeid, "when": call.when, "failed": failed, "seconds": call.duration, **ABOUT}
    if failed and call.excinfo is not None:
        line["promises"] = sorted({str(row) for mark in item.iter_markers("promise") for row in mark.args})
        if isinstance(call.excinfo.value, PromiseBroken):
            line["promises"] = call.excinfo.value.promises  # of the clauses that it names, whatever the test carries
        line["seen"] = has_seen(call.excinfo.value, str(call.excinfo.traceback[-1].path), call.when)
        line["why"] = f"{call.excinfo.typename}: {call.excinfo.value}".split("\n")[0][:200]
    elif call.excinfo is not None:
        line["skipped"] = True
    with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
