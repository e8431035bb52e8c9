"""`troth check`, with as little to import as can be: editors and CI run it at every change of a notice."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from troth.kit import clock
from troth.main import collecting
from troth.main.capabilities import serves
from troth.main.modules import modules
from troth.notice import NoticeMalformed, Problem, check_all, load_all, notice_files, sarif

FORMS = ("text", "json", "sarif")
HELP = (
    "Check notices: every clause complete, known, lawful and enforced, and nothing taken in or kept that none covers."
    " Problems are told with file:line and a hint."
)


def run(paths: Sequence[Path], form: str) -> int:
    """Check notices and tell their problems.

    Args:
        paths: Notice files or deployment folders; a folder is one deployment.
        form: One of `FORMS`.

    Returns:
        0 where there is no problem, else 1.
    """
    found: list[Problem] = collecting.undeclared()
    parts = modules()
    for path in paths:
        try:
            notices = load_all([path])
        except NoticeMalformed as fault:
            found += fault.problems
            continue
        wrong = check_all(notices, modules=parts, today=clock.now().date(), serves=serves())
        if not wrong and _is_whole(path):
            wrong = collecting.uncovered(notices)
        found += wrong
        for each in () if wrong or form != "text" else notices:
            print(f"{each.path}: {len(each.clauses)} clauses, version {each.version}, every clause is enforced")
    if form == "json":
        print(json.dumps([asdict(problem) for problem in found], ensure_ascii=False))
    elif form == "sarif":
        from importlib.metadata import version  # costs more to import than a notice to read

        print(json.dumps(sarif(found, version("troth")), ensure_ascii=False, indent=1))
    else:
        for problem in found:
            print(f"{problem.path}:{problem.line}: {problem.what}\n    {problem.hint}")
    return 1 if found else 0


def _is_whole(path: Path) -> bool:
    """Whether what a path names is all that a deployment says: of one notice among several, the others say the rest."""
    return path.is_dir() or len(notice_files([path.parent])) == 1


def main(words: Sequence[str]) -> None:
    """`troth check` by itself.

    Args:
        words: What follows `check` on the command line.
    """
    parser = ArgumentParser(prog="troth check", description=HELP)
    parser.add_argument("notice", nargs="+", type=Path, help="Notice files or deployment folders.")
    parser.add_argument("--format", choices=FORMS, default="text", help="How problems are told.")
    chosen = parser.parse_args(words)
    sys.exit(run(chosen.notice, chosen.format))
