"""The DICOM conformance statement and the checklist, made from the registries of the code and the markers of the tests.

make conformance                 # writes docs/conformance/statement.md and checklist.md, prints what no test shows
make conformance FORMAT=json     # every fact with its tests
make conformance ARGS=--run      # runs the tests that show something; those that fail or are skipped do not count
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tools.statement import checklist, network, rest, web
from tools.statement.model import MARK, ROOT, Chapter, Fact, Shown, Table, facts_of, shown

FOLDER = ROOT / "docs" / "conformance"
STATEMENT, CHECKLIST = FOLDER / "statement.md", FOLDER / "checklist.md"
_SHOWN_BY = 2
_MADE = "<!-- Made by `make conformance` from the code and its tests; do not edit. -->\n"
_OVERVIEW = """Troth takes in, keeps, finds and gives back studies, over the DICOM network, over DICOMweb and on
media, for the organisations of one deployment. Each request is decided by the privacy notice in force and written to a
ledger before the first byte leaves. This statement follows the order of DICOM PS3.2. Its lines come from the tables
that the code itself uses; the last column of each names tests that show the line (`make conformance FORMAT=json` has
all of them), and a line that no test shows fails the build. Where it says *deviation*, it is meant:
[0012](../decisions/0012-dimse-requestor.md) and [0013](../decisions/0013-dicomweb-answers.md) say why. The
[checklist](checklist.md) says point by point what is there and what is not."""
_NETWORK = """One application entity listens (title `ae`, or another one that a peer is registered to call) and calls
those to which it sends. Organisation and purpose follow from the registration: `troth admin peer add AET HOST:PORT
--organisation NAME [--certificate FILE|SHA-256] [--purpose KEY] [--called-ae AET] [--tls]`. With 10,000 silent
connections `echoscu` was answered in 0.34 to 0.59 s (alone 0.41 s) on 2 shared cores, and the listener had grown by
12 MB (`python -m tools.idle`, 22 November 2026)."""
_RETRIEVAL = """Unique keys only; lists at the level asked for. A PatientID that several people have must come with its
issuer. Destinations are the peers registered by the same organisation. Each study is opened for the peer by a decision
of its own and is in the ledger, with the destination, before its first byte leaves; the decision is made again every
second."""
_COMMITMENT = """Each instance is read back whole and held against its digests. The N-EVENT-REPORT goes over the
association that asked if it is open and idle, else over a new one to the address that the peer is registered with (as
SCP by role selection), again and again for three days, also after a restart."""
_SHORT = """- Numbers of Patient Related Studies, Series and Instances are not kept (FF01).
- Keys inside sequences are refused over DIMSE, though some are matched over DICOMweb.
- An N-EVENT-REPORT is not sent again when the peer answers it with a failure.
- A C-CANCEL that comes in the same packet as the request it is about comes too early and is passed over.
- A JPEG stream that says what its colours are (JFIF, Adobe) is believed where Photometric Interpretation says something
  else.
- What the viewer does not show is named in `tests/conformance/test_ohif.py`; it has decoders of its own.
- Native pixels of 32 bits in big endian OW are read as whole numbers, as pydicom writes them and the real files have
  them; PS3.5 turns round words of 16 bits. Both are the same for pixels of 8 and 16 bits.
- A client that leaves the port away in `Host`, as dicomweb-client does, is given addresses without it."""


def chapters() -> list[Chapter]:
    """The statement."""
    return [
        Chapter("Overview", _OVERVIEW, (rest.clients(),)),
        Chapter(
            "SOP classes and transfer syntaxes", "",
            (network.services(), network.absent(), network.syntaxes(), network.refused_syntaxes()),
        ),
        Chapter(
            "Application entity and associations", _NETWORK,
            (network.negotiated(), network.rejections(), network.limits()),
        ),
        Chapter("Storage", "", (network.store_statuses(), network.instance_bounds())),
        Chapter("Query", "", (network.find_keys(), network.matching(), network.find_statuses())),
        Chapter("Retrieve", _RETRIEVAL, (network.retrieve_statuses(),)),
        Chapter("Storage commitment", _COMMITMENT, (network.commit_statuses(), network.commit_reasons())),
        Chapter(
            "DICOMweb", "",
            (web.resources(), web.taken(), web.reasons(), web.warnings(), web.search_keys(), web.search_options(),
             web.frames(), web.drawn(), web.wado_uri(), web.commitment(), web.statuses()),
        ),
        Chapter("Media interchange", "", (rest.media(),)),
        Chapter("Character sets", "", (rest.charsets(),)),
        Chapter("Attributes", "", (rest.attributes(),)),
        Chapter("Security", "", (rest.security(),)),
        Chapter("Configuration and identifiers", "", (rest.configuration(), rest.identifiers())),
        Chapter("Known to fall short", _SHORT),
        Chapter("Storage classes of the standard", network.storage_classes()),
    ]  # fmt: skip


def every_fact() -> list[Fact]:
    """Facts of the statement, and the points that only the checklist has."""
    return facts_of(chapters()) + [Fact(f"checked {what}", (what,)) for what in checklist.CHECKED]


def statement(told: Shown) -> str:
    """The statement as Markdown."""
    out = [_MADE, "# DICOM conformance statement\n"]
    for number, chapter in enumerate(chapters(), 1):
        out.append(f"## {number}. {chapter.title}\n")
        if chapter.text:
            out.append(chapter.text + "\n")
        out += [_table(table, told) for table in chapter.tables]
    return "\n".join(out)


def _table(table: Table, told: Shown) -> str:
    lines = [f"### {table.title}\n"]
    if table.before:
        lines.append(table.before + "\n")
    heads = (*table.heads, "shown by")
    lines += [_row(heads), _row(["---"] * len(heads))]
    lines += [_row((*fact.cells, _by(told.tests[fact.id]))) for fact in table.facts]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _by(tests: Sequence[str]) -> str:
    """A few of the tests, those of other makers' programs first."""
    if not tests:
        return "**not shown**"
    first = sorted(tests, key=lambda test: (not test.startswith("tests/conformance"), test))
    named = [_link(test) for test in first[:_SHOWN_BY]]
    more = len(tests) - len(named)
    return "<br>".join(named) + (f" and {more} more" if more else "")


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[{name.rpartition('::')[2]}](../../{path})"


def checked(told: Shown) -> str:
    """The checklist as Markdown."""
    out = [_MADE, "# The checklist, line by line\n"]
    out.append(
        "What a real archive must do, as the project's review of the standard and of other archives has it. *yes* and "
        "*partly* name tests; *differs* and *no* say why. Lines and tests are those of the "
        "[statement](statement.md).\n"
    )
    for title, source, lines in checklist.PARTS:
        out += [f"## {title} ({source})\n", _row(("point", "", "shown by, or because")), _row(["---"] * 3)]
        for line in lines:
            tests = sorted({test for one in met(line, told) for test in told.tests[one]})
            said = [one for one in (line.because, _by(tests) if line.facts else "") if one]
            out.append(_row((line.text, line.answer, "<br>".join(said))))
        out.append("")
    return "\n".join(out)


def met(line: checklist.Line, told: Shown) -> list[str]:
    """The facts that a line of the checklist names."""
    return [one for one in told.tests for pattern in line.facts if fnmatchcase(one, pattern.replace("[", "[[]"))]


class Recorder:
    """Runs the tests that carry the marker and notes which of them did not pass."""

    def __init__(self) -> None:
        self.failed: set[str] = set()
        self.passed: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.get_closest_marker(MARK)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid.partition("[")[0]
        if report.outcome == "failed":
            self.failed.add(test)
        elif report.when == "call" and report.outcome == "passed":
            self.passed.add(test)


def ran(told: Shown) -> Shown:
    """The same with only those tests that pass now."""
    recorder = Recorder()
    stdout, sys.stdout = sys.stdout, sys.stderr
    try:
        pytest.main(["-q", "--no-header", str(ROOT / "tests")], plugins=[recorder])
    finally:
        sys.stdout = stdout
    good = recorder.passed - recorder.failed
    tests = {fact: [test for test in tests if test in good] for fact, tests in told.tests.items()}
    return Shown(tests, told.unknown)


def main() -> int:
    """Write the statement and the checklist, or print the facts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("--run", action="store_true", help="run the tests; only those that pass count")
    choice = parser.parse_args()
    facts = every_fact()
    told = shown(facts)
    if choice.run:
        told = ran(told)
    if choice.format == "json":
        print(
            json.dumps([{"id": fact.id, "says": fact.cells, "tests": told.tests[fact.id]} for fact in facts], indent=1)
        )
    else:
        pages: tuple[tuple[Path, Callable[[Shown], str]], ...] = ((STATEMENT, statement), (CHECKLIST, checked))
        for path, write in pages:
            path.write_text(write(told))
        for mark, test in told.unknown:
            print(f"unknown   {mark}  ({test})")
        for fact in facts:
            if not told.tests[fact.id]:
                print(f"not shown {fact.id}")
        print(f"{sum(bool(tests) for tests in told.tests.values())} of {len(facts)} facts are shown")
    return 0 if not told.unknown and all(told.tests.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
