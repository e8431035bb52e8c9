"""`troth check` and `troth notice`: look at notices without a database."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from troth.main import checking
from troth.main.terminal import say
from troth.notice import diff, load, notice_files, render


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
    raise typer.Exit(checking.run(notice, form))


@app.command("diff")
def diff_notices(old: Path, new: Path) -> None:
    """What a newer notice adds, drops and changes, clause by clause."""
    for change in diff(load(old), load(new)).changes:
        say(str(change))


@app.command("render")
def render_notice(
    notice: Path, audience: Annotated[str, typer.Option("--for", help="visitors, users or patients.")] = "patients"
) -> None:
    """Print a notice as text for one audience."""
    page = render(load(notice_files((notice,))[0]), audience)
    say(f"{page.cover.title}\n\n{page.cover.lead}\n")
    for section in page.sections:
        say(f"\n{section.number}  {section.title}\n")
        for sentence in section.sentences:
            say(f"  {sentence.clause_id:6}{sentence.says}")
