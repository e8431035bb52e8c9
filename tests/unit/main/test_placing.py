"""A node whose place the notices rule out does not start, and says how to put it right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from troth.main.first_start import prepare
from troth.main.placing import misplaced
from troth.main.settings import Settings
from troth.notice import NoticeMalformed, load_all

NOTICES = Path(__file__).parents[3] / "notices"


@pytest.mark.parametrize(
    ("name", "region", "count"),
    [
        ("imaging-cloud", "GB", 0),
        ("imaging-cloud", "US", 1),
        ("imaging-host", "NZ", 0),
        ("equipment-maker", "FR", 0),
        ("equipment-maker", "DE", 1),
        ("terminology-vendor", "GB", 0),
        ("imaging-cloud", "Atlantis", 1),
    ],
)
def test_a_node_stands_where_its_notices_keep_data(name: str, region: str, count: int) -> None:
    assert len(list(misplaced(load_all([NOTICES / name]), region))) == count


def test_it_says_what_to_do(tmp_path: Path) -> None:
    nowhere: Any = None  # nothing is touched before the place is right
    with pytest.raises(NoticeMalformed) as refused:
        prepare(Settings(tmp_path, (NOTICES / "imaging-cloud",), region="US"), nowhere)
    [problem] = refused.value.problems
    assert "§ 7.1 keeps data in GB, and this node says it stands in US" in problem.what
    assert "TROTH_REGION" in problem.hint
    assert "adds US" in problem.hint
    assert not list(tmp_path.iterdir())
