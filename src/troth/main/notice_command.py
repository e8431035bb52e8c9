"""`troth check` and `troth notice`: look at notices without a database."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from troth.kit import clock
from troth.main.modules import modules
from troth.notice import NoticeMalformed, Problem, check_all, diff, load, load_all, notice_files, render, sarif


class Form(StrEnum):
    """How problems are told."""

    text = "text"
    json = "json"
    sarif = "sarif"


app = typer.Typer(help="Read, compare and render notices.", no_args_is_help=True)


def check(
    notice: Annotated[
        list[Path], typer.Argument(help="Notice files or deployment folders; a folder is one deployment.")
    ],
    form: Annotated[Form, typer.Option("--format", help="How problems are told.")] = Form.text,
) -> None:
    """Check notices: every clause complete, known, lawful and enforced. Problems are told with file:line and a hint."""
    found: list[Problem] = []
    parts = modules()
    for path in notice:
        try:
            notices = load_all([path])
        except NoticeMalformed as fault:
            found += fault.problems
            continue
        wrong = check_all(notices, modules=parts, today=clock.now().date())
        found += wrong
        for each in () if wrong or form is not Form.text else notices:
            typer.echo(f"{each.path}: {len(each.clauses)} clauses, version {each.version}, every clause is enforced")
    if form is Form.json:
        typer.echo(json.dumps([asdict(problem) for problem in found], ensure_ascii=False))
    elif form is Form.sarif:
        typer.echo(json.dumps(sarif(found, version("troth")), ensure_ascii=False, indent=1))
    else:
        for problem in found:
            typer.echo(f"{problem.path}:{problem.line}: {problem.what}\n    {problem.hint}")
    raise typer.Exit(1 if found else 0)


alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
alone.command("check")(check)


@alone.callback()
def _alone() -> None:
    """`troth check` by itself, without what only a node needs."""


@app.command("diff")
def diff_notices(old: Path, new: Path) -> None:
    """What a newer notice adds, drops and changes, clause by clause."""
    for change in diff(load(old), load(new)).changes:
        typer.echo(str(change))


@app.command("render")
def render_notice(
    notice: Path, audience: Annotated[str, typer.Option("--for", help="visitors, users or patients.")] = "patients"
) -> None:
    """Print a notice as text for one audience."""
    page = render(load(notice_files((notice,))[0]), audience)
    typer.echo(f"{page.cover.title}\n\n{page.cover.lead}\n")
    for section in page.sections:
        typer.echo(f"\n{section.number}  {section.title}\n")
        for sentence in section.sentences:
            typer.echo(f"  {sentence.clause_id:6}{sentence.says}")
