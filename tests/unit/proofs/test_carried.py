"""What is told of a version that no run has looked at: a break is not ended by writing its clause otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from troth.kit import clock
from troth.notice import load, parse
from troth.proofs.carried import LOOKED_AT, carried, untold
from troth.proofs.model import Report, Standing

SAYS = "The list of who looked, for eight years after the look."


@pytest.mark.parametrize(("stood", "stands"), [(Standing.BROKEN, Standing.BROKEN), (Standing.KEPT, Standing.UNPROVEN)])
def test_a_clause_that_was_written_otherwise_stays_broken_and_is_else_unproven(
    stood: Standing, stands: Standing
) -> None:
    before = load(Path("notices/imaging-cloud"))
    after = parse(before.source.replace(SAYS, f"{SAYS} Not longer."), before.path)
    found = tuple(replace(untold(each, before, ""), standing=stood) for each in before.clauses)
    told = carried(Report(before.name, before.version, clock.now(), 0, True, found), before, after)
    changed = [each for each in told.promises if each.says.startswith(SAYS)]
    assert [each.standing for each in changed] == [stands]
    assert (changed[0].reason == LOOKED_AT) is (stands is Standing.UNPROVEN)
    assert {each.standing for each in told.promises if each not in changed} == {stood}
