"""The ledger of promises: all 97 rows, what tests show of each, and what is missing. Runs the tests that carry one.

A row is shown in full when every part of its proof is shown by a test that passed, on the notice of the row, no mark
says what its part still lacks, and no clause that states it says `not_yet`. `tests/promises/rows.yaml` holds the parts.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from troth.notice import load_all

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "tests" / "promises" / "rows.yaml"
WORDS = {"shows", "lacks", "on"}
"""What a mark may say besides the rows."""


@dataclass
class Shown:
    """What tests showed of one row.

    Attributes:
        parts: Which part is shown by which tests that passed.
        lacks: What a mark says is still open.
        failed: Tests that did not pass.
    """

    parts: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    lacks: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)


@cache
def rows() -> Mapping[str, Any]:
    """The rows by their id: notice, and the parts of the proof."""
    found: Mapping[str, Any] = YAML(typ="safe", pure=True).load(ROWS.read_text(encoding="utf-8"))
    return found


def not_yet() -> Mapping[str, list[str]]:
    """By promise: the clauses that state it and say themselves that they cannot all be kept yet."""
    found: dict[str, list[str]] = defaultdict(list)
    for folder in sorted((ROOT / "notices").iterdir()):
        for notice in load_all([folder]) if folder.is_dir() else ():
            for clause in notice.clauses:
                for promise in clause.promises if clause.not_yet else ():
                    found[promise].append(clause.id)
    return found


def marked(mark: Any) -> list[tuple[str, str]]:
    """The promises and parts that a mark names.

    Raises:
        ValueError: It names no row, no part of one that has several, a part that no row has, or another notice.
    """
    found = []
    named = str(mark.kwargs.get("shows", "")).split()
    if unknown := set(mark.kwargs) - WORDS:
        raise ValueError(f"a mark says nothing of: {', '.join(sorted(unknown))}")
    for promise in map(str, mark.args):
        row = rows().get(promise)
        if row is None:
            raise ValueError(f"unknown promise: {promise}")
        if mark.kwargs.get("on", row["notice"]) != row["notice"]:
            raise ValueError(f"{promise} is stated by {row['notice']}, not by {mark.kwargs['on']}")
        parts = [part for part in named if part in row["proof"]] or list(row["proof"])
        if len(parts) > 1 and not set(parts) <= set(named):
            raise ValueError(f"{promise} needs shows= with some of: {', '.join(row['proof'])}")
        found += [(promise, part) for part in parts]
    if strange := set(named) - {part for _, part in found}:
        raise ValueError(f"no such part: {', '.join(sorted(strange))}")
    return found


def deployments_of(item: pytest.Item) -> set[str]:
    """The deployments that the parameters of a test name; empty where none does."""
    callspec = getattr(item, "callspec", None)
    given = callspec.params.values() if callspec is not None else ()
    known = {row["notice"] for row in rows().values()}
    return {value for value in given if isinstance(value, str) and value in known}


def has_notice(item: pytest.Item, mark: Any) -> bool:
    """Whether it can be told on which notice a test runs: by its mark, its parameters or its deployment.

    A test that opens one itself has none that anybody else sees.
    """
    if "on" in mark.kwargs or deployments_of(item):
        return True
    opens = "open_deployment" in inspect.signature(getattr(item, "function", list)).parameters
    return "open_deployment" in getattr(item, "fixturenames", ()) and not opens


class Recorder:
    """Notes what each test shows that carries a promise, and its outcome.

    Attributes:
        marks: By test: rows and parts.
        named: By test: the deployments that its parameters name.
        outcomes: By test.
        lacking: By test and row: what its mark says is still open.
        wrong: Marks that do not count.
    """

    def __init__(self) -> None:
        self.marks: dict[str, list[tuple[str, str]]] = {}
        self.named: dict[str, set[str]] = {}
        self.outcomes: dict[str, str] = {}
        self.lacking: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.wrong: list[str] = []

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept = []
        for item in items:
            places = self.named[item.nodeid] = deployments_of(item)
            for mark in item.iter_markers("promise"):
                try:
                    pairs = [pair for pair in marked(mark) if not places or rows()[pair[0]]["notice"] in places]
                    if not has_notice(item, mark):
                        raise ValueError("names no notice: it has no deployment, and its mark no on=")
                except ValueError as fault:
                    self.wrong.append(f"{item.nodeid}: {fault}")
                    pairs = []
                self.marks.setdefault(item.nodeid, []).extend(pairs)
                for promise, _ in pairs if "lacks" in mark.kwargs else ():
                    self.lacking[item.nodeid, promise].add(str(mark.kwargs["lacks"]))
            if item.nodeid in self.marks:
                kept.append(item)
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            places = {str(value) for name, value in report.user_properties if name == "deployment"}
            places |= self.named.get(report.nodeid, set())
            held = self.marks.get(report.nodeid, [])
            for promise, part in [pair for pair in held if rows()[pair[0]]["notice"] not in places]:
                held.remove((promise, part))
                ran = f"ran on {', '.join(sorted(places))}" if places else "names no notice"
                self.wrong.append(f"{report.nodeid}: {promise} is of {rows()[promise]['notice']}; the test {ran}")
        if report.outcome != "passed" or report.when == "call":
            self.outcomes.setdefault(report.nodeid, report.outcome)
            if report.outcome == "failed":
                self.outcomes[report.nodeid] = "failed"


def ledger(recorder: Recorder, is_run: bool) -> list[dict[str, Any]]:
    """Every row with its status: `full`, `part` or `open`.

    Args:
        recorder: What the tests carry, and how they ended.
        is_run: The tests ran; else what they carry counts as shown.
    """
    shown: dict[str, Shown] = defaultdict(Shown)
    for test, pairs in recorder.marks.items():
        passed = not is_run or recorder.outcomes.get(test) == "passed"
        for promise, part in pairs:
            shown[promise].lacks |= recorder.lacking[test, promise]
            if passed:
                shown[promise].parts[part].append(test)
            else:
                shown[promise].failed.append(test)
    waiting, told = not_yet(), []
    for promise, row in rows().items():
        found = shown[promise]
        lacks = [words for part, words in row["proof"].items() if part not in found.parts]
        lacks += sorted(found.lacks)
        lacks += [f"§ {clause} says not_yet" for clause in waiting.get(promise, ())]
        lacks += [f"failed: {test}" for test in found.failed]
        status = "open" if not found.parts else "part" if lacks else "full"
        told.append(
            {
                "id": promise, "status": status, "notice": row["notice"], "shows": sorted(found.parts), "lacks": lacks,
                "tests": sorted({test for tests in found.parts.values() for test in tests}),
            }
        )  # fmt: skip
    return told


def main() -> int:
    """Run the tests of promises and print the ledger."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("--collect", action="store_true", help="Only say what the tests carry; run none.")
    choice = parser.parse_args()
    recorder = Recorder()
    stdout, sys.stdout = sys.stdout, sys.stderr
    arguments = ["-q", "--no-header", str(ROOT / "tests"), *(["--collect-only", "-qq"] if choice.collect else [])]
    try:
        code = pytest.main(arguments, plugins=[recorder])
    finally:
        sys.stdout = stdout
    sys.stderr.writelines(f"{each}\n" for each in recorder.wrong)
    told = ledger(recorder, is_run=not choice.collect)
    if choice.format == "json":
        print(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        for row in told:
            print(f"{row['id']}  {row['status']:5} {'; '.join(row['lacks'])}")
        counts = {status: sum(row["status"] == status for row in told) for status in ("full", "part", "open")}
        print(", ".join(f"{count} {status}" for status, count in counts.items()))
    return 0 if code == pytest.ExitCode.OK and not recorder.wrong else 1


if __name__ == "__main__":
    sys.exit(main())
