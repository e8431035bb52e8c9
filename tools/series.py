"""A pytest plugin: each test runs once as it is, then once with each edit that it has to notice, in one deployment.

Setting a deployment up takes longer than most tests. So a file's edits are made and taken back within one run: with the
edit the test has to fail, and right after it, without it, to pass again on the same deployment. Where it does not,
nothing is said of the edit, and it is tried alone (`tools/edits.py`).
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from _pytest.runner import runtestprotocol

from tests.common import servers
from tools import fork_server, witness
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer


@dataclass(frozen=True)
class Turn:
    """One edit of a run.

    Attributes:
        id: Of the edit.
        tests: As pytest names them; a file or class stands for all in it.
        module: What is edited; empty for an edit of the database.
        before: Its text.
        after: Its text with the edit.
        sql: What is done to each database of this run.
        undo: How that is taken back.
    """

    id: str
    tests: tuple[str, ...]
    module: str
    before: str
    after: str
    sql: str
    undo: str

    def is_for(self, test: str) -> bool:
        """Whether a test has to notice it."""
        return any(test == named or test.startswith((f"{named}::", f"{named}[")) for named in self.tests)

    @contextmanager
    def made(self) -> Iterator[None]:
        """Make the edit, and take it back.

        Raises:
            fork_server.NotSwapped: It needs a fresh Python.
        """
        if self.sql:
            script = Path(os.environ[FILE]).with_suffix(".sql")
            script.write_text(self.sql, encoding="utf-8")
            _alter(self.sql)
            os.environ[servers.ALTERED] = str(script)
        else:
            module = importlib.import_module(self.module)
            fork_server.swap(module, self.before, self.after)
        try:
            yield
        finally:
            if self.sql:
                del os.environ[servers.ALTERED]
                _alter(self.undo)
            else:
                fork_server.swap(module, self.after, self.before)


def _alter(statement: str) -> None:
    """In each database that this process has made."""
    server = EmbeddedServer(Path(os.environ[servers.SHARED]))
    with psycopg.connect(server.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
        mine = f"t{os.getpid()}\\_%"
        names = connection.execute("select datname from pg_database where datname like %s", (mine,)).fetchall()
    for (name,) in names:
        with psycopg.connect(server.dsn(SUPERUSER, name), autocommit=True) as connection:
            connection.execute(statement.encode())


class _Sibling:
    """Stands for the next test of the same place: what is set up for the place stays, what is of the test goes."""

    def __init__(self, item: pytest.Item) -> None:
        self._place = item.listchain()[:-1]

    def listchain(self) -> list[Any]:
        """Where it would stand."""
        return [*self._place, self]


class Series:
    """The plugin.

    Args:
        turns: The edits.
    """

    def __init__(self, turns: list[Turn]) -> None:
        self._open = list(turns)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run a test as it is, then with each edit, and as it is again where it failed."""
        wanted = [turn for turn in self._open if turn.is_for(item.nodeid)]
        is_sound = bool(wanted) and self._passes(item, {})
        for turn in wanted:
            if not is_sound:
                break
            try:
                with turn.made():
                    passed = self._passes(item, {"edit": turn.id})
            except fork_server.NotSwapped:
                self._open.remove(turn)
                continue
            if not passed:
                is_sound = self._passes(item, {"control": turn.id})
                self._open.remove(turn)
        item.session._setupstate.teardown_exact(nextitem)  # type: ignore[attr-defined]
        return True

    def _passes(self, item: pytest.Item, about: dict[str, Any]) -> bool:
        witness.ABOUT.clear()
        witness.ABOUT.update(about)
        sibling: Any = _Sibling(item)
        reports = runtestprotocol(item, log=False, nextitem=sibling)
        return not any(report.failed for report in reports)


def pytest_configure(config: pytest.Config) -> None:
    """Take the edits from the file that the environment names."""
    path = os.environ.get(FILE)
    if path:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
        turns = [Turn(**{**row, "tests": tuple(row["tests"])}) for row in rows]
        config.pluginmanager.register(Series(turns), "series-of-edits")


FILE = "TROTH_SERIES"
"""Names the file of edits."""
