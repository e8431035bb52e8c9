"""Checkpoints that were kept elsewhere come back as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from troth.kit.errors import Unprocessable
from troth.main.ledger_command import notes_in

FIRST = "scans.example/ledger/1\n3\nAAAA\n\n— scans.example/ledger/1 sig=\n"
SECOND = "scans.example/ledger/1\n4\nBBBB\n\n— scans.example/ledger/1 sig=\n— witness.example cosig=\n"


@pytest.mark.parametrize("between", ["", "\n", "\n\n\n"])
def test_notes_stand_one_after_the_other(tmp_path: Path, between: str) -> None:
    file = tmp_path / "kept"
    file.write_text(between.join(["", FIRST, SECOND]).rstrip("\n"))
    assert notes_in(file) == [FIRST, SECOND]


def test_a_file_without_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_text("\n\n")
    with pytest.raises(Unprocessable):
        notes_in(file)
