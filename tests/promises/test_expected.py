"""Every shipped notice decides what was read from its sentences."""

from __future__ import annotations

import pytest

from tests.common import expected
from troth.policy.decision import Decider


@pytest.mark.parametrize("name", expected.names())
def test_the_notice_decides_as_it_reads(name: str) -> None:
    decider = Decider(expected.compiled(name))
    assert [str(row) for row in expected.of_notice(name) if not row.is_met(decider)] == []
