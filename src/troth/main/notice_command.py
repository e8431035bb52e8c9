"""`troth check` and `troth notice`: look at notices without a database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from troth.main.wiring import notice_files
from troth.notice import NoticeMalformed, diff, load, render
from troth.notice import check as problems_of

app = typer.Typer(help="Read, compare and render notices.", no_args_is_help=True)


def check(paths: list[Path], form: str) -> int:
    """Check notices and print what is wrong.

    Args:
        paths: Files or deployment folders.
        form: `text` or `json`.

    Returns:
        0 when nothing is wrong, else 1.
    """
    found = []
    for file in notice_files(tuple(paths)):
        try:
            notice = load(file)
        except NoticeMalformed as fault:
            found += list(fault.problems)
            continue
        wrong = problems_of(notice)
        found += wrong
        if form == "text" and not wrong:
            typer.echo(f"{file}: {len(notice.clauses)} clauses, version {notice.version}, every clause is enforced")
    if form == "json":
        typer.echo(json.dumps([{"path": p.path, "line": p.line, "what": p.what, "hint": p.hint} for p in found]))
    else:
        for problem in found:
            typer.echo(f"{problem.path}:{problem.line}: {problem.what}\n    {problem.hint}")
    return 1 if found else 0


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
