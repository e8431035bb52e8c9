"""Rules of the house that no linter knows: sizes, faces, permits, commits, the clock, words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "troth"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
WORDS = dict(line.split("\t") for line in (Path(__file__).parent / "words.tsv").read_text().splitlines() if line)


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_and_functions_keep_their_size(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 500, "a file has 500 lines at most"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 80, f"{node.name} has {length} lines; 80 is the limit"


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_is_entered_by_its_face(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0]
    if own == "main":
        return
    for module in imports(path):
        parts = module.split(".")
        if parts[0] == "troth" and len(parts) > 2 and parts[1] in ROOMS - {own, "kit", "doors"}:
            pytest.fail(f"{name_of(path)} reaches past the face of {parts[1]}: {module}")


@pytest.mark.asvs("V8.3.1", "V16.2.2")
@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (r"\bPermit\(", {"policy"}),
        (r"(?<!class )\bEntry\(", {"ledger/builder.py", "ledger/model.py"}),
        (r"\.commit\(|[\"']commit[\"']", {"kit/db.py"}),
        (r"datetime\.now\(|time\.time\(|date\.today\(", {"kit/clock.py"}),
        (r"\bprint\(", {"main"}),
        (r"importlib\.import_module|__import__\(", set()),
    ],
    ids=[
        "permits by policy",
        "entries by their builder",
        "only kit.db commits",
        "time from the clock",
        "only main prints",
        "static",
    ],
)
def test_who_may(pattern: str, allowed: set[str]) -> None:
    for path in MODULES:
        relative = path.relative_to(PACKAGE).as_posix()
        if relative in allowed or relative.split("/")[0] in allowed:
            continue
        code = re.sub(r'"""[\s\S]*?"""', "", path.read_text())
        assert not re.search(pattern, code), f"{relative} holds {pattern}"


@pytest.mark.asvs("V1.2.4")
def test_sql_is_in_stores() -> None:
    statement = re.compile(r"[\"'](?:\s|\\n)*(select .+ from|insert into|update \w+ set|delete from)\b", re.I)
    allowed = {"store.py", "kit", "main", "sequencer.py", "verify.py"}
    for path in MODULES:
        parts = path.relative_to(PACKAGE).parts
        if allowed & {parts[0], parts[-1]} or parts[-1].endswith("_store.py"):
            continue
        assert not statement.search(path.read_text()), f"{name_of(path)} holds SQL outside its room's store"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_words(path: Path) -> None:
    """One word for one thing: the "not" column of the glossary, in names that we give."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [node.name, *(argument.arg for argument in node.args.args + node.args.kwonlyargs)]
        elif isinstance(node, ast.ClassDef):
            names = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name).lower()]
        for name in names:
            for word in name.split("_"):
                assert word not in WORDS, f"{name}: say {WORDS[word]}, not {word}"
