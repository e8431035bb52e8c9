"""`troth check` by itself: what it tells, how it ends, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from troth import notice
from troth.main import checking

NOTICES = Path(__file__).parents[3] / "notices"


def ended(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        checking.main([str(word) for word in words])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """The notice of the imaging cloud with a country that does not exist, and a key that nobody knows."""
    text = (NOTICES / "imaging-cloud" / "notice.yaml").read_text()
    file = tmp_path / "notice.yaml"
    file.write_text(text.replace("regions: [GB]", "regions: [XX]", 1).replace("language:", "mood: good\nlanguage:", 1))
    return file


def test_sound_notices_end_with_nought_and_wrong_ones_with_one(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(NOTICES / "imaging-cloud", NOTICES / "equipment-maker") == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 4
    assert all(line.endswith("every clause is enforced") for line in told)
    assert ended(NOTICES / "imaging-cloud", wrong) == 1
    told = capsys.readouterr().out.splitlines()
    assert sum(line.startswith(f"{wrong}:") for line in told) == 2
    assert any("'XX'" in line for line in told)


def test_machines_are_told_the_same(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--format", "json", NOTICES / "imaging-cloud") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert ended("--format", "json", wrong) == 1
    problems = json.loads(capsys.readouterr().out)
    assert {each["path"] for each in problems} == {str(wrong)}
    assert ended("--format", "sarif", wrong) == 1
    [run] = json.loads(capsys.readouterr().out)["runs"]
    assert len(run["results"]) == len(problems)


def test_a_promise_that_nothing_in_the_program_keeps_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = checking.modules()
    assert ended("--format", "json", NOTICES / "imaging-cloud") == 0
    monkeypatch.setattr(checking, "modules", lambda: parts - {"vault.keyring"})
    capsys.readouterr()
    assert ended("--format", "json", NOTICES / "imaging-cloud") == 1
    problems = json.loads(capsys.readouterr().out)
    assert problems
    assert all("'vault.keyring' has to keep this promise" in each["what"] for each in problems)
    assert all(each["line"] > 1 and each["hint"] for each in problems)


def test_wrong_use_is_told_apart_from_a_wrong_notice(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended() == 2
    assert ended("--format", "verse", NOTICES) == 2
    assert "usage: troth check" in capsys.readouterr().err


def test_nothing_of_a_node_is_imported() -> None:
    """A check takes what it reads and what it compiles with: no database, no web, no signatures."""
    script = (
        "import sys; from troth.main import checking\n"
        f"try: checking.main([{str(NOTICES / 'imaging-cloud')!r}])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print([name for name in ('psycopg', 'asyncio', 'cryptography', 'starlette', 'pydantic', 'typer') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_face_gives_what_works_with_versions_and_nothing_else() -> None:
    from troth.notice import proposals, service, version

    assert (notice.Notices, notice.NoticeVersion) == (service.Notices, version.NoticeVersion)
    assert (notice.Proposals, notice.Proposal, notice.earliest, notice.following) == (
        proposals.Proposals,
        proposals.Proposal,
        proposals.earliest,
        proposals.following,
    )
    with pytest.raises(AttributeError, match="'Moods'"):
        notice.Moods  # noqa: B018
