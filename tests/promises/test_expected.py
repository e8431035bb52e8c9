"""Every shipped notice decides what was read from its sentences, and no policy of one could be missing unnoticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tools import mutate

from tests.common import expected
from troth.policy.decision import Decider

NOTICES = sorted(path.parent.name for path in expected.ROOT.glob("notices/*/notice.yaml"))


def test_something_is_expected_of_each_shipped_notice() -> None:
    assert expected.names() == NOTICES


@pytest.mark.parametrize("name", NOTICES)
def test_the_notice_decides_as_it_reads(name: str) -> None:
    decider = Decider(expected.compiled(name))
    assert [str(row) for row in expected.of_notice(name) if not row.is_met(decider)] == []


@pytest.mark.parametrize("name", NOTICES)
def test_each_policy_is_missed_when_it_is_gone_or_says_the_opposite(name: str) -> None:
    score = mutate.measure(name)
    assert (score.survived, score.wrong, score.percent) == ([], [], 100)
    assert score.killed == 2 * score.policies > 0


def less_expected(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the imaging cloud nobody asks any more what an ended session opens."""
    text = (expected.FOLDER / "imaging-cloud.yaml").read_text()
    kept = [line for line in text.splitlines() if 'by: "11.5"' not in line]
    (folder / "imaging-cloud.yaml").write_text("\n".join(kept))
    monkeypatch.setattr(expected, "FOLDER", folder)


def test_the_score_fails_where_nothing_misses_a_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mutate.main(["imaging-cloud"]) == 0
    assert "100.0 %" in capsys.readouterr().out
    less_expected(tmp_path, monkeypatch)
    assert mutate.main(["imaging-cloud"]) == 1
    told = capsys.readouterr().out
    assert told.count("SURVIVED") == 2
    assert '@id("11.5")' in told
    assert mutate.main(["--format", "json", "imaging-cloud"]) == 1
    [line] = json.loads(capsys.readouterr().out)
    assert (line["notice"], len(line["survived"]), line["score"] < 100) == ("imaging-cloud", 2, True)


def test_the_score_fails_where_nothing_is_expected_of_a_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(expected, "FOLDER", tmp_path)
    assert mutate.main(["--format", "json", "imaging-cloud"]) == 1
    [line] = json.loads(capsys.readouterr().out)
    assert (line["killed"], line["score"]) == (0, 0.0)


def test_the_score_fails_where_a_notice_decides_otherwise_than_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (expected.FOLDER / "imaging-cloud.yaml").read_text()
    row = "  - {who: admin, for: administration, may: {administer: organisation, retrieve: study}}\n"
    (tmp_path / "imaging-cloud.yaml").write_text(text.replace("allowed:\n", f"allowed:\n{row}", 1))
    monkeypatch.setattr(expected, "FOLDER", tmp_path)
    assert mutate.main(["imaging-cloud"]) == 1
    assert "WRONG     admin retrieve study for administration: allowed" in capsys.readouterr().out
