"""Edits that take one enforcement out: a fact that is not asked, a row policy opened, an order turned round.

They are data (`tests/promises/edits/*.yaml`). Each is made alone, in a copy of the tree or of the database, and the
promise tests that it names have to fail: by what they saw, not because the program does not run any more.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from tests.common.servers import ALTERED
from tools import fork_server, series, witness
from troth.kit import clock

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "tests" / "promises" / "edits"
KEPT: Final = ROOT / "build" / "edits.jsonl"
PAGE: Final = ROOT / "docs" / "mutation.md"
KINDS: Final = ("fact", "row_policy", "ordering")
_BEGIN: Final = "<!-- edits: written by `make mutate ARGS=--keep` -->"
_END: Final = "<!-- end of edits -->"
_COPIED: Final = ("src", "tests", "tools", "notices", "docs", "pyproject.toml", "README.md", "Makefile")


class EditLost(ValueError):
    """An edit that cannot be made: what it takes out is not there, or not once."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One enforcement taken out.

    Attributes:
        id: Such as `session-alive`.
        kind: `fact`, `row_policy` or `ordering`.
        says: What is so afterwards, in a few words.
        file: Where, from the root of the repository; empty for an edit of the database.
        old: What stands there, once.
        new: What stands there instead.
        sql: What is done to the migrated database, as its superuser.
        undo: How that is taken back.
        tests: Which promise tests have to notice, as pytest names them.
    """

    id: str
    kind: str
    says: str
    tests: tuple[str, ...]
    file: str = ""
    old: str = ""
    new: str = ""
    sql: str = ""
    undo: str = ""

    def made(self, text: str) -> str:
        """The file with the edit made.

        Raises:
            EditLost: What it takes out is not there once, or what is left is no Python.
        """
        if text.count(self.old) != 1:
            raise EditLost(f"{self.id}: its text stands {text.count(self.old)} times in {self.file}")
        changed = text.replace(self.old, self.new)
        if ast.dump(_parsed(self, changed)) == ast.dump(_parsed(self, text)):
            raise EditLost(f"{self.id} changes nothing that runs")
        return changed


@dataclass
class Outcome:
    """What became of one edit.

    Attributes:
        noticed_by: The promise test that failed, by what it saw.
        promises: Rows that the test carries.
        why: How it failed, in one line.
        besides: Why a test failed that does not count: it has no promise, or the program did not run.
        seconds: Until the test failed; of an edit that was tried alone, with setting the deployment up.
        is_afterwards: The test passed, and what it had done broke a promise, as the ledger showed after it.
        is_alone: It was tried alone, so that its test has to be run without it as well.
        digest: Of the edit, of what it changes and of the tests that it names.
        commit: On which it was tried.
    """

    edit: str
    kind: str
    noticed_by: str = ""
    promises: list[str] = field(default_factory=list)
    why: str = ""
    besides: str = ""
    seconds: float = 0.0
    is_afterwards: bool = False
    is_alone: bool = False
    digest: str = ""
    commit: str = ""


def _parsed(edit: Edit, text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as fault:
        raise EditLost(f"{edit.id} leaves no Python: {fault}") from fault


@cache
def every() -> tuple[Edit, ...]:
    """All edits, by kind.

    Raises:
        EditLost: Two have the same id.
    """
    found: list[Edit] = []
    for kind in KINDS:
        for path in sorted(FOLDER.glob(f"{kind}*.yaml")):
            rows: list[dict[str, Any]] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
            found += [Edit(kind=kind, **{**row, "tests": tuple(row["tests"])}) for row in rows]
    doubled = {edit.id for edit in found if [each.id for each in found].count(edit.id) > 1}
    if doubled:
        raise EditLost(f"two edits are called {', '.join(sorted(doubled))}")
    return tuple(found)


def digest(edit: Edit) -> str:
    """Of everything that an outcome was measured on; what the program does elsewhere is not in it."""
    named = {test.partition("::")[0] for test in edit.tests}
    parts = [json.dumps(asdict(edit), sort_keys=True).encode()]
    parts += [(ROOT / file).read_bytes() for file in sorted({*named, *([edit.file] if edit.file else [])})]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


class Copy:
    """A copy of the tree, with one edit at a time, and a process that runs its tests.

    Attributes:
        digests: Of each edit, as the tree was when it was copied.

    Args:
        folder: Where; empty, and open to the database's own user.
    """

    def __init__(self, folder: Path) -> None:
        self.digests = {edit.id: digest(edit) for edit in every()}
        self._folder = folder / "tree"
        self._log = folder / "log"
        for name in _COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self._folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(ROOT / name, self._folder / name)
        path = os.pathsep.join((str(self._folder / "src"), str(self._folder)))
        self._environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
        where = self._python("-c", "import troth, tests; print(troth.__file__, tests.__file__)").stdout
        assert where.count(str(self._folder)) == 2, f"it would not be the copy that runs: {where}"
        served = folder / "server"
        served.mkdir()
        served.chmod(0o711)
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tools.fork_server", str(served)],
            cwd=self._folder, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._server.stdout is not None
        assert self._server.stdout.readline(), "it ended before it was ready"

    def close(self) -> None:
        """End the process and its database server."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def text_of(self, file: str) -> str:
        """A file as it was copied."""
        return (self._folder / file).read_text(encoding="utf-8")

    @contextmanager
    def edited(self, edit: Edit) -> Iterator[dict[str, str]]:
        """Make an edit and take it back; gives what the tests need in their environment.

        Raises:
            EditLost: It cannot be made.
        """
        if edit.sql:
            script = self._folder / "altered.sql"
            script.write_text(edit.sql)
            yield {ALTERED: str(script)}
            return
        path = self._folder / edit.file
        before = path.read_text(encoding="utf-8")
        self._write(path, edit.made(before))
        try:
            yield {}
        finally:
            self._write(path, before)

    def run(self, tests: Sequence[str], given: dict[str, str], *more: str, edited: str = "") -> list[dict[str, Any]]:
        """Run tests; gives what the witness wrote of each.

        Args:
            tests: As pytest names them.
            given: For their environment.
            *more: Further arguments of pytest.
            edited: The file that is not as it was when the process imported it.
        """
        told = self._folder / "witness.jsonl"
        told.unlink(missing_ok=True)
        arguments = ["-q", "-p", "tools.witness", *more, *tests]
        given = {**given, witness.FILE: str(told)}
        if self._forked(arguments, given, edited) == fork_server.FRESH:
            ran = self._python("-m", "pytest", *arguments, given=given)
            self._log.write_text(ran.stdout + ran.stderr)
        lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
        if not lines:
            return [{"test": "", "failed": True, "seen": False, "why": _last_of(self._log.read_text())}]
        return [json.loads(line) for line in lines]

    def run_series(self, turns: Sequence[series.Turn]) -> list[dict[str, Any]]:
        """Run tests once for each edit; gives what the witness wrote of each.

        Args:
            turns: The edits.
        """
        told, named = self._folder / "witness.jsonl", self._folder / "series.json"
        told.unlink(missing_ok=True)
        named.write_text(json.dumps([asdict(turn) for turn in turns]), encoding="utf-8")
        tests = list(dict.fromkeys(test for turn in turns for test in turn.tests))
        given = {series.FILE: str(named), witness.FILE: str(told)}
        self._forked(["-q", "-p", "tools.witness", "-p", "tools.series", *tests], given, "")
        lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
        return [json.loads(line) for line in lines]

    def _forked(self, arguments: list[str], given: dict[str, str], edited: str) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        order = {
            "arguments": arguments, "environment": given, "log": str(self._log),
            "edited": [[module_of(edited), str(self._folder / edited)]] if edited else [],
        }  # fmt: skip
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def _write(self, path: Path, text: str) -> None:
        """The compiled file goes as well: it is told apart by the second and the size alone."""
        path.write_text(text, encoding="utf-8")
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()

    def _python(self, *arguments: str, given: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self._folder, env={**self._environment, **(given or {})}, capture_output=True, text=True,
        )  # fmt: skip


def _last_of(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("E ")] or text.splitlines()
    return lines[-1].strip()[:200] if lines else "nothing ran"


def tried(copy: Copy, edit: Edit) -> Outcome:
    """Make one edit and see who notices."""
    outcome = Outcome(edit.id, edit.kind, is_alone=True, digest=copy.digests[edit.id])
    began = time.monotonic()
    with copy.edited(edit) as given:
        lines = copy.run(edit.tests, given, "-x", edited=edit.file)
    outcome.seconds = round(time.monotonic() - began, 1)
    for line in lines:
        if not line["failed"] or outcome.noticed_by:
            continue
        if line["seen"] and line["promises"]:
            outcome.noticed_by, outcome.promises, outcome.why = line["test"], line["promises"], line["why"]
            outcome.is_afterwards = line["when"] == "teardown"
        else:
            outcome.besides = f"{line['test']} {line['why']}".strip()
    return outcome


def tried_together(copy: Copy, chosen: Sequence[Edit]) -> list[Outcome]:
    """Try edits whose tests stand in one file, in one run; gives those that were noticed and whose control held."""
    turns = []
    for edit in chosen:
        before = copy.text_of(edit.file) if edit.file else ""
        turns.append(
            series.Turn(
                edit.id, edit.tests, module_of(edit.file), before, edit.made(before) if edit.file else "", edit.sql,
                edit.undo,
            )
        )  # fmt: skip
    found: dict[str, Outcome] = {}
    for line in copy.run_series(turns):
        edit = next((each for each in chosen if each.id == line.get("edit", line.get("control"))), None)
        if edit is None:
            continue
        if "control" in line and line["failed"]:
            found.pop(edit.id, None)
        elif "edit" in line and line["failed"] and line["seen"] and line["promises"]:
            found[edit.id] = Outcome(
                edit.id, edit.kind, line["test"], line["promises"], line["why"], seconds=round(line["seconds"], 1),
                digest=copy.digests[edit.id],
            )  # fmt: skip
    return list(found.values())


def module_of(file: str) -> str:
    """The module of a file of the package; empty for none."""
    return file.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def kept() -> dict[str, Outcome]:
    """What was measured before and still holds: neither the edit, nor its file, nor its tests have changed."""
    if not KEPT.exists():
        return {}
    now = {edit.id: digest(edit) for edit in every()}
    found = [Outcome(**json.loads(line)) for line in KEPT.read_text(encoding="utf-8").splitlines()]
    return {one.edit: one for one in found if one.digest == now.get(one.edit)}


def measured(chosen: Sequence[Edit], say: Callable[[str], None], *, again: bool = False) -> list[Outcome]:
    """Try edits, or take what was measured before.

    Args:
        chosen: Which.
        say: Is told the progress.
        again: Also those that were measured before.

    Raises:
        EditLost: One cannot be made any more.
        AssertionError: A test that noticed an edit fails without it as well.
    """
    before = {} if again else kept()
    missing = [edit for edit in chosen if edit.id not in before]
    if missing:
        with tempfile.TemporaryDirectory(prefix="troth-edits-", dir="/var/tmp") as folder, ExitStack() as stack:
            os.chmod(folder, 0o755)
            copy = Copy(Path(folder))
            stack.callback(copy.close)
            commit = _commit()
            for outcome in _tried(copy, missing):
                outcome.commit = commit
                before[outcome.edit] = outcome
                told = outcome.noticed_by.rpartition("::")[2] or f"NOBODY {outcome.besides}"
                number = sum(edit.id in before for edit in missing)
                say(f"{number}/{len(missing)} {outcome.kind} {outcome.edit}: {told} ({outcome.seconds:.0f} s)")
                KEPT.parent.mkdir(exist_ok=True)
                with KEPT.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(outcome)) + "\n")
            _require_sound(
                copy, sorted({before[edit.id].noticed_by for edit in missing if before[edit.id].is_alone} - {""}), say
            )
    return [before[edit.id] for edit in chosen]


def _tried(copy: Copy, chosen: Sequence[Edit]) -> Iterator[Outcome]:
    """Together by the file of their tests; alone what was not noticed so, or not for certain."""
    files = dict.fromkeys(edit.tests[0].partition("::")[0] for edit in chosen)
    for file in files:
        those = [edit for edit in chosen if edit.tests[0].startswith(f"{file}::") or edit.tests[0] == file]
        together = tried_together(copy, those)
        yield from together
        for edit in those:
            if edit.id not in {outcome.edit for outcome in together}:
                yield tried(copy, edit)


def _require_sound(copy: Copy, tests: Sequence[str], say: Callable[[str], None]) -> None:
    """A test that fails anyway notices nothing: without any edit each passes."""
    say(f"without any edit: {len(tests)} tests that noticed one")
    failing = [line for line in copy.run(tests, {}) if line["failed"]] if tests else []
    for line in failing:  # what they are said to have noticed is measured anew next time
        found = KEPT.read_text(encoding="utf-8").splitlines()
        KEPT.write_text("".join(f"{one}\n" for one in found if json.loads(one)["noticed_by"] != line["test"]))
    assert not failing, f"fails without an edit too: {failing}"


@dataclass(frozen=True, slots=True)
class Row:
    """What stands on the page of one edit."""

    edit: str
    says: str
    by: str
    promises: str
    seconds: str
    commit: str

    @property
    def is_noticed(self) -> bool:
        """Whether a test noticed it."""
        return not self.by.startswith("**nobody**")

    def __str__(self) -> str:
        cells = (self.edit, self.says, self.by.replace("|", "\\|"), self.promises, self.seconds, self.commit)
        return f"| {' | '.join(cells)} |"


def row_of(one: Outcome) -> Row:
    """An outcome as it stands on the page."""
    says = next(edit.says for edit in every() if edit.id == one.edit)
    file, _, name = one.noticed_by.rpartition("::")
    by = f"`{name}` ({Path(file.partition('::')[0]).stem})" if name else f"**nobody** {one.besides}".strip()
    by = f"{by}, in the ledger afterwards" if one.is_afterwards else by
    return Row(one.edit, says, by, ", ".join(one.promises), f"{one.seconds:.0f}", one.commit)


def on_page(text: str) -> dict[str, Row]:
    """What stands on the page so far, of the edits that there still are.

    Args:
        text: Of the page.
    """
    says = {edit.id: edit.says for edit in every()}
    found = {}
    for line in text.partition(_BEGIN)[2].partition(_END)[0].splitlines():
        cells = [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 6 and cells[0] in says:
            found[cells[0]] = Row(cells[0], says[cells[0]], *cells[2:])
    return found


def table(rows: Sequence[Row]) -> str:
    """The edits as a table of Markdown, by kind, those that nobody noticed first."""
    places = [edit.id for edit in every()]
    lines = ["| edit | so that | noticed by | rows | s | commit |", "|---|---|---|---|---|---|"]
    lines += map(str, sorted(rows, key=lambda row: (row.is_noticed, places.index(row.edit))))
    return "\n".join(lines) + "\n"


def summary(rows: Sequence[Row]) -> str:
    """One line for each kind, and what is not measured."""
    lines, known = [], {row.edit: row for row in rows}
    for kind in KINDS:
        held = [edit.id for edit in every() if edit.kind == kind]
        those = [known[one] for one in held if one in known]
        seen = sum(row.is_noticed for row in those)
        seconds = sum(int(row.seconds) for row in those)
        lines.append(
            f"{kind:<12} {len(held):>3} edits  {len(those):>3} measured  {seen:>3} noticed  {seconds:>6} s"
            f"   on {', '.join(sorted({row.commit for row in those}))}"
        )
        missing = [one for one in held if one not in known]
        lines += [f"{'':<12} not measured: {', '.join(missing)}"] if missing else []
    return "\n".join(lines)


def keep(outcomes: Sequence[Outcome]) -> None:
    """Write the summary and the table into `docs/mutation.md`. What was not measured anew stays, with its own commit.

    Args:
        outcomes: What was measured.
    """
    text = PAGE.read_text(encoding="utf-8")
    before, mark, after = text.partition(_BEGIN)
    _, end, after = after.partition(_END)
    if not mark or not end:
        raise ValueError(f"{PAGE} has no place for the table")
    rows = list({**on_page(text), **{one.edit: row_of(one) for one in outcomes}}.values())
    day = f"{clock.today():%d %B %Y}".lstrip("0")
    told = f"{day}, {os.cpu_count()} cores:\n\n```\n{summary(rows)}\n```\n\n{table(rows)}"
    PAGE.write_text(f"{before}{_BEGIN}\n{told}{_END}{after}", encoding="utf-8")


def _commit() -> str:
    """What is checked out."""
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    return said.stdout.strip()
