"""Facts, the tables they stand in, and the tests that show them."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARK = "conformance"


@dataclass(frozen=True)
class Fact:
    """One line of the statement.

    Attributes:
        id: What a test names in its marker.
        cells: What the line says, in the columns of its table.
    """

    id: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Facts of one kind.

    Attributes:
        heads: Names of the columns.
        before: What is said above it.
    """

    title: str
    heads: tuple[str, ...]
    facts: tuple[Fact, ...]
    before: str = ""


@dataclass(frozen=True)
class Chapter:
    """A chapter of the statement, in the order of the template of DICOM PS3.2 Annex N."""

    title: str
    text: str = ""
    tables: tuple[Table, ...] = ()


@dataclass
class Shown:
    """Which tests show which facts.

    Attributes:
        tests: Tests by fact.
        unknown: What markers name that is no fact: the marker and its test.
    """

    tests: dict[str, list[str]] = field(default_factory=dict)
    unknown: list[tuple[str, str]] = field(default_factory=list)


def facts_of(chapters: Sequence[Chapter]) -> list[Fact]:
    """All facts, in order."""
    return [fact for chapter in chapters for table in chapter.tables for fact in table.facts]


def shown(facts: Sequence[Fact], folder: Path = ROOT / "tests") -> Shown:
    """Read the markers of all tests. A `*` in a marker stands for every fact of a registry that the test goes through.

    Args:
        facts: All there are.
        folder: Where the tests are.
    """
    found: dict[str, set[str]] = defaultdict(set)
    answer = Shown()
    known = [fact.id for fact in facts]
    for path in sorted(folder.rglob("test_*.py")):
        text = path.read_text()
        if f"mark.{MARK}" not in text:
            continue
        name = path.relative_to(folder.parent).as_posix()
        for test, mark in _marks(ast.parse(text), ""):
            met = [one for one in known if fnmatchcase(one, mark.replace("[", "[[]"))]
            for one in met:
                found[one].add(f"{name}::{test}")
            if not met:
                answer.unknown.append((mark, f"{name}::{test}"))
    answer.tests = {one: sorted(found[one]) for one in known}
    return answer


def _marks(node: ast.AST, outer: str) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{outer}{child.name}"
            for decorator in child.decorator_list:
                for mark in _named(decorator):
                    yield name, mark
            if isinstance(child, ast.ClassDef):
                yield from _marks(child, f"{name}::")


def _named(decorator: ast.expr) -> Iterator[str]:
    if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute) and decorator.func.attr == MARK:
        for argument in decorator.args:
            if isinstance(argument, ast.Constant):
                yield str(argument.value)
