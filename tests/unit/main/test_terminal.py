from __future__ import annotations

import ast
import io
import os
import stat
import sys
from pathlib import Path

import pytest

from troth import main
from troth.kit.owner import OwnerUnusable
from troth.main import terminal


@pytest.mark.asvs("V1.3.3")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"), ("Åsa Öberg 山田\t1\n2", "Åsa Öberg 山田\t1\n2"),
        ("\x9b31m", "\\x9b31m"), ("a\rb", "a\\rb"), ("\u202eCBA", "\\u202eCBA"), ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\udce9tude", "\\udce9tude"), ("\x7f\x00", "\\x7f\\x00"), ("\u2028", "\\u2028"),
    ],
)  # fmt: skip
def test_nothing_steers_the_terminal(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(text)
    assert capsys.readouterr().out == shown + "\n"
    terminal.say(text, is_error=True)
    assert capsys.readouterr().err == shown + "\n"


@pytest.mark.asvs("V16.4.1")
def test_a_name_stays_in_its_line() -> None:
    assert terminal.named("a\nNOT TAKEN  b: c\t") == "a\\nNOT TAKEN  b: c\\t"


def test_what_only_the_operator_may_know_goes_to_a_terminal_or_a_file_of_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = tmp_path / "links.txt"
    terminal.confide("Sign in here", ["Example https://x.invalid/sign-in/secret"], where)
    terminal.confide("Sign in here", ["Other https://x.invalid/sign-in/another"], where)
    said = capsys.readouterr().out
    assert "Sign in here" in said
    assert str(where) in said
    assert "secret" not in said
    assert where.read_text().count("/sign-in/") == 2
    assert stat.S_IMODE(where.stat().st_mode) == 0o600

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    looked_at = Terminal()
    monkeypatch.setattr(sys, "stdout", looked_at)
    terminal.confide("Sign in here", ["Third https://x.invalid/sign-in/third"], where)
    assert "third" in looked_at.getvalue()
    assert "third" not in where.read_text()


def test_a_secret_goes_to_no_pipe_nor_link_and_nobody_is_waited_for(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "elsewhere")
    for where in (pipe, link):
        with pytest.raises(OwnerUnusable, match="not only yours"):
            terminal.confide("Sign in here", ["Example https://x.invalid/sign-in/secret"], where)
    assert not (tmp_path / "elsewhere").exists()


def test_every_command_speaks_through_it() -> None:
    root = Path(main.__file__).parent
    for path in root.rglob("*.py"):
        if path.name == "terminal.py" or "demo" in path.parts:
            continue
        called = {
            ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        }
        assert not called & {"typer.echo", "typer.secho", "click.echo"}, path
