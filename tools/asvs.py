"""OWASP ASVS 5.0.0, levels 1 and 2: which test shows which requirement, and what nothing shows (`make asvs`).

Tests carry `@pytest.mark.asvs("V1.2.3")`; `docs/security/asvs.yaml` has every requirement by its number and says why,
where no test shows it in full. The page is made of both, and a test holds it to be fresh.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from ruamel.yaml import YAML

ROOT: Final = Path(__file__).parents[1]
REQUIREMENTS: Final = ROOT / "docs" / "security" / "asvs.yaml"
PAGE: Final = ROOT / "docs" / "security" / "asvs.md"
COUNTS: Final = {1: 70, 2: 183}
"""How many requirements the standard has at each level."""

Standing = Literal["shown", "shown in part", "written down", "does not apply", "open"]
STANDINGS: Final[tuple[Standing, ...]] = ("shown", "shown in part", "written down", "does not apply", "open")
_CHAPTERS: Final = {
    1: "Encoding and sanitising", 2: "Validation and business logic", 3: "The browser's side", 4: "API and web service",
    5: "Files", 6: "Authentication", 7: "Sessions", 8: "Authorisation", 9: "Self-contained tokens",
    10: "OAuth and OpenID Connect", 11: "Cryptography", 12: "Secure communication", 13: "Configuration",
    14: "Data protection", 15: "Secure coding and architecture", 16: "Logging and errors", 17: "WebRTC",
}  # fmt: skip


class Unsound(ValueError):
    """A requirement is claimed twice over, not at all, or by something that is not there."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement and how it stands.

    Attributes:
        id: Its number in the standard.
        level: From which level on.
        about: What it is about, in our words.
        standing: How it stands.
        because: What is left open, why it does not apply, or which page says it.
        tests: Those that carry its number, as `file::name` below `tests/`.
    """

    id: str
    level: int
    about: str
    standing: Standing
    because: str
    tests: tuple[str, ...]


def marks(folder: Path) -> Mapping[str, list[str]]:
    """The tests that carry each number, read and not run.

    Args:
        folder: Of the tests.

    Raises:
        Unsound: A mark is not made of plain texts.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(folder.rglob("test_*.py")):
        source = file.read_text(encoding="utf-8")
        if "mark.asvs(" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for number in _numbers(node):
                    found[number].append(f"{file.relative_to(folder).as_posix()}::{node.name}")
    return found


def requirements(said: Mapping[str, Mapping[str, str | int]], shown: Mapping[str, list[str]]) -> list[Requirement]:
    """All requirements of both levels, with how each stands.

    Args:
        said: Of each its `level`, what it is `about`, and at most one of `lacks`, `record`, `na` and `open`.
        shown: Tests by the numbers that they carry.

    Raises:
        Unsound: They do not add up.
    """
    if unknown := sorted(set(shown) - set(said)):
        raise Unsound(f"tests carry what is no requirement of these levels: {', '.join(unknown)}")
    found = [_requirement(number, one, tuple(shown.get(number, ()))) for number, one in said.items()]
    if (counts := Counter(each.level for each in found)) != COUNTS:
        raise Unsound(f"the standard has {COUNTS} requirements by level, and here are {dict(counts)}")
    return found


@cache
def known() -> Mapping[str, Mapping[str, str | int]]:
    """What `docs/security/asvs.yaml` says."""
    said: Mapping[str, Mapping[str, str | int]] = YAML(typ="safe", pure=True).load(REQUIREMENTS.read_text("utf-8"))
    return said


def page(found: list[Requirement]) -> str:
    """The page for people."""
    counts = Counter(each.standing for each in found)
    lines = [
        "<!-- Made by `make asvs` from docs/security/asvs.yaml and the tests; do not edit. -->", "",
        "# OWASP ASVS 5.0.0, levels 1 and 2", "",
        "What each requirement is about is said in our words; the sentence that counts is the standard's, under the",
        "same number. *Shown* is what a test would miss if it were gone; *shown in part* names what no test shows.",
        "*Written down* is where the standard asks for a document. *Open* is what no test shows, whether it holds or",
        "not: this is no certificate, and nobody but us has looked.", "",
        "| | " + " | ".join(STANDINGS) + " | all |", "|---|" + "---|" * (len(STANDINGS) + 1),
    ]  # fmt: skip
    for level in COUNTS:
        mine = Counter(each.standing for each in found if each.level == level)
        lines.append(f"| level {level} | " + " | ".join(str(mine[one]) for one in STANDINGS) + f" | {mine.total()} |")
    lines.append("| both | " + " | ".join(str(counts[one]) for one in STANDINGS) + f" | {counts.total()} |")
    for number, title in _CHAPTERS.items():
        lines += [
            "",
            f"## V{number} {title}",
            "",
            "| | level | about | stands | by, or because |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(each) for each in found if each.id.startswith(f"V{number}.")]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page anew and print the counts, or everything as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    found = requirements(known(), marks(ROOT / "tests"))
    PAGE.write_text(page(found), encoding="utf-8")
    if options.format == "json":
        sys.stdout.write(json.dumps([asdict(each) for each in found], indent=1) + "\n")
        return 0
    for standing in STANDINGS:
        sys.stdout.write(f"{standing:16} {sum(each.standing == standing for each in found)}\n")
    sys.stdout.write(f"{len(found)} requirements, in {PAGE.relative_to(ROOT)}\n")
    return 0


def _numbers(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.asvs":
            for argument in mark.args:
                if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
                    raise Unsound(f"{node.name} carries a number that is no plain text")
                yield argument.value


def _requirement(number: str, said: Mapping[str, str | int], tests: tuple[str, ...]) -> Requirement:
    names = {"lacks", "record", "na", "open"} & set(said)
    name = next(iter(names), "")
    if len(names) > 1 or bool(tests) != (name in ("", "lacks")):
        raise Unsound(f"{number} has {len(tests)} tests and says {sorted(names) or 'nothing'} of what they leave open")
    because = str(said.get(name, ""))
    if name == "record" and not (ROOT / because).is_file():
        raise Unsound(f"{number} is said to be written down in {because}, which is not there")
    by_name: dict[str, Standing] = {
        "": "shown", "lacks": "shown in part", "record": "written down", "na": "does not apply", "open": "open",
    }  # fmt: skip
    return Requirement(number, int(said["level"]), str(said["about"]), by_name[name], because, tests)


def _row(each: Requirement) -> str:
    told = [f"`{test}`" for test in each.tests]
    if each.standing == "written down":
        told.append(f"[{Path(each.because).name}](../../{each.because})")
    elif each.because:
        told.append(each.because)
    return f"| {each.id} | {each.level} | {each.about} | {each.standing} | {'<br>'.join(told)} |"


if __name__ == "__main__":
    sys.exit(main())
