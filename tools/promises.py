"""The ledger of promises: all 97, which are kept by which test, which are open. Runs the tests that carry a promise."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEDGER = {"IH": 17, "TV": 24, "EM": 35, "IC": 21}
PROMISES = [f"{prefix}-{number:02d}" for prefix, count in LEDGER.items() for number in range(1, count + 1)]


class Recorder:
    """Notes the outcome of every test that carries a promise."""

    def __init__(self) -> None:
        self.ids: dict[str, list[str]] = {}
        self.outcomes: dict[str, str] = {}
        self.lacking: dict[str, str] = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept = []
        for item in items:
            for mark in item.iter_markers("promise"):
                if "lacks" in mark.kwargs:  # shown in part only: such a promise stays open
                    self.lacking.update(dict.fromkeys(map(str, mark.args), str(mark.kwargs["lacks"])))
            marks = [str(argument) for mark in item.iter_markers("promise") for argument in mark.args]
            if marks:
                self.ids[item.nodeid] = marks
                kept.append(item)
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed" or report.when == "call":
            self.outcomes.setdefault(report.nodeid, report.outcome)
            if report.outcome == "failed":
                self.outcomes[report.nodeid] = "failed"


def main() -> int:
    """Run the tests of promises and print the ledger."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=["table", "json"], default="table")
    choice = parser.parse_args()
    recorder = Recorder()
    stdout, sys.stdout = sys.stdout, sys.stderr
    try:
        code = pytest.main(["-q", "--no-header", str(ROOT / "tests")], plugins=[recorder])
    finally:
        sys.stdout = stdout
    tests: dict[str, list[str]] = defaultdict(list)
    broken: set[str] = set()
    for test, ids in recorder.ids.items():
        for promise in ids:
            if recorder.outcomes.get(test) == "passed":
                tests[promise].append(test)
            else:
                broken.add(promise)
    unknown = {promise for ids in recorder.ids.values() for promise in ids} - set(PROMISES)
    if unknown:
        sys.stderr.write(f"unknown promises: {', '.join(sorted(unknown))}\n")
        return 1
    rows = [
        {
            "id": p,
            "status": "kept" if tests[p] and p not in broken | recorder.lacking.keys() else "open",
            "tests": tests[p],
        }
        for p in PROMISES
    ]
    if choice.format == "json":
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            lacks = f"lacks {recorder.lacking[row['id']]}; " if row["id"] in recorder.lacking else ""
            print(f"{row['id']}  {row['status']:5} {lacks}{', '.join(row['tests'])}")
        print(f"{sum(row['status'] == 'kept' for row in rows)} of {len(rows)} kept")
    return 0 if code == pytest.ExitCode.OK else 1


if __name__ == "__main__":
    sys.exit(main())
