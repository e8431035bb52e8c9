"""What a promise mark may say, and that it counts on the notice of its row only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tools import promises

DEPLOYED = (
    "import pytest\n\n@pytest.fixture\ndef open_deployment(): ...\n@pytest.fixture\ndef place(open_deployment): ...\n"
)


@pytest.mark.parametrize(
    ("mark", "fault"),
    [
        (pytest.mark.promise("ZZ-01"), "unknown promise"),
        (pytest.mark.promise("IC-03"), "needs shows="),
        (pytest.mark.promise("IC-09", on="imaging-host"), "stated by imaging-cloud, not by imaging-host"),
        (pytest.mark.promise("IC-09", shows="nothing"), "no such part: nothing"),
        (pytest.mark.promise("IC-09", show="check"), "says nothing of: show"),
    ],
    ids=str,
)
def test_a_mark_that_names_what_is_not_there_is_refused(mark: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        promises.marked(mark)


def test_a_mark_names_rows_and_parts() -> None:
    assert promises.marked(pytest.mark.promise("IC-09", on="imaging-cloud")) == [("IC-09", "check")]
    both = pytest.mark.promise("EM-34", "IH-13", shows="invalid refused")
    assert promises.marked(both) == [("EM-34", "invalid"), ("IH-13", "refused")]


def ran(folder: Path, source: str) -> promises.Recorder:
    """What is noted of a file of tests."""
    (folder / f"test_{folder.parent.name}_{folder.name}.py").write_text(source)  # each is a module of its own name
    recorder = promises.Recorder()
    arguments = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        "--rootdir",
        str(folder),
        "-c",
        "/dev/null",
        str(folder),
    ]
    pytest.main([*arguments, "-W", "ignore"], plugins=[recorder])
    return recorder


def test_a_test_without_a_notice_shows_nothing(tmp_path: Path) -> None:
    recorder = ran(
        tmp_path,
        DEPLOYED + "@pytest.mark.promise('IC-09')\ndef test_bare(): ...\n"
        "@pytest.mark.promise('IC-09')\ndef test_opens(open_deployment): ...\n"
        "@pytest.mark.promise('IC-09')\ndef test_placed(place): ...\n",
    )
    assert all(not pairs for pairs in recorder.marks.values())
    told = {fault.partition("::")[2] for fault in recorder.wrong}
    assert {one.partition(":")[0] for one in told} == {"test_bare", "test_opens", "test_placed"}
    assert sum("the test names no notice" in one for one in told) == 1, "the place of the last one is no deployment"
    assert next(row for row in promises.ledger(recorder, is_run=True) if row["id"] == "IC-09")["status"] == "open"


def test_a_test_counts_on_the_deployment_that_it_ran_on(tmp_path: Path) -> None:
    noting = "@pytest.fixture(autouse=True)\ndef noted(record_property): record_property('deployment', {!r})\n"
    marked = "@pytest.mark.promise('IC-09', on='imaging-cloud', lacks='half of it')\ndef test_it(): ...\n"
    for number, (folder, counts) in enumerate({"imaging-cloud": True, "imaging-host": False}.items()):
        (at := tmp_path / str(number)).mkdir()
        recorder = ran(at, "import pytest\n\n" + noting.format(folder) + marked)
        [shown] = recorder.marks.values()
        assert bool(shown) is counts
        assert bool(recorder.wrong) is not counts
        [row] = [row for row in promises.ledger(recorder, is_run=True) if row["id"] == "IC-09"]
        assert ("half of it" in row["lacks"]) is counts
        assert row["status"] == ("part" if counts else "open")
